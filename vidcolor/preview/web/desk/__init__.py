"""What may be opened and changed: films, color scripts, edits as the page says them."""
