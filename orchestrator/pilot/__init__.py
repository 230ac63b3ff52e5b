"""Profiles one trial per cell before a sweep starts: memory, speed, hours."""
