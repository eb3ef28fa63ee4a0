"""Pictures to learn from: shards, what of a picture is shown, batches by step."""
