"""The loop: steps, optimizer, processes, and what a run leaves in its folder."""
