"""Vertical scratches."""
