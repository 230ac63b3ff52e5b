"""Makes a store match a sweep: what is missing runs, nothing runs twice."""
