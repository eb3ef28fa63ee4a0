"""Films that come and go through pipes: read once, written without a way back."""
