"""A host and its processes: what it is, what runs on it, what a cluster asks of it over SSH."""
