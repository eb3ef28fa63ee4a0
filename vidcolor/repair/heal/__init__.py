"""Holes healed: from other frames, from lines that shine through, from the surroundings."""
