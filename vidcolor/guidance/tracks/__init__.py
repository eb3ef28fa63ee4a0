"""Tracks: which are one object, and what color it has."""
