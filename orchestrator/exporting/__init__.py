"""`orch export`: the finished trials of a store as runs of an experiment tracker."""
