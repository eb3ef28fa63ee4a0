"""Hints: colors that a person gives to places."""
