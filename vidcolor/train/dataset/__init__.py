"""Sets of color pictures, made of films and folders: tar shards that training streams."""
