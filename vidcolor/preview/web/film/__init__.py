"""One open film: its shots, its state, and the long work on it."""
