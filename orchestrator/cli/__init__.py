"""The command line `orch`: a thin layer over the library."""
