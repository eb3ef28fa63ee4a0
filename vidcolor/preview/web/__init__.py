"""The page: a local server that shows films and edits their color scripts."""
