"""Color spaces, luma, and how chroma meets it."""
