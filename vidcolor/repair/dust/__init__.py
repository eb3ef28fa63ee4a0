"""Damage of single frames: dust, dirt, sparkle, hairs."""
