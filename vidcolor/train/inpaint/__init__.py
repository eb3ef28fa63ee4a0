"""Networks that fill holes: losses, pictures with holes, measurements."""
