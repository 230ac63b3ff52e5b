"""The command `orch`: commands of a few lines over the library."""
