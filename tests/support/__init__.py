"""What several test files share: toy sweeps, stores, buckets, hosts, and how they are compared."""
