"""What the page shows of a shot, made while it is colored and kept."""
