"""Measures one trial per cell before a sweep is started."""
