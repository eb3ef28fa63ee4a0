"""Film repair: damage found in a film and healed, every other code value left as it is."""
