"""References: colored pictures of the scene, and colored frames of the film."""
