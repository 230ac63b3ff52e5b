"""Sweeps over cells, search and seeds: planned, run on Ray, stored as Parquet, tabulated."""
