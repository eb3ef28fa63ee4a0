"""Where pictures are to be filled: holes drawn by seed, and film damage with known truth."""
