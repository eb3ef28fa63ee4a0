"""Training: data, film degradation, losses, phases and the loop."""
