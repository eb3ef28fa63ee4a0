"""How good and how steady the color of finished films is."""
