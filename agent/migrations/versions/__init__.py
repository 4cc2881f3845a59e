"""One file a revision, oldest first. Each is frozen once released."""
