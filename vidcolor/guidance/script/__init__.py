"""The color script: all that a person says about a film, in one file."""
