"""HTTP: addresses, the door, events, and the server itself."""
