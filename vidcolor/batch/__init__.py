"""A whole season: many films, one after the other, and a report of what became of each."""
