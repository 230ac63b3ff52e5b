"""`orch audit`: runs random trials of a publication again, and certifies what they came to."""
