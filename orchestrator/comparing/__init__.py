"""`orch compare`: which cells of two stores moved, and whether beyond the noise of seeds."""
