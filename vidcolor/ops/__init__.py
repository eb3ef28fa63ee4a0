"""Plain functions on boxes, crops, sizes and flow."""
