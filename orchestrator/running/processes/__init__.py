"""A process of its own for every trial, forked from a warm one that has imported the trainable."""
