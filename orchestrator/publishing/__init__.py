"""`orch publish`: a store as a folder for others to read, recompute and audit."""
