"""Makes a store match a sweep file: what is missing runs."""
