"""Tests that start sweeps; they share a Ray cluster, which ends with the last of them."""
