"""Code that several test files share: toy sweeps, stores, buckets, hosts and comparisons."""
