"""What a trial runs: models, data, optimisation and probes, independent of the orchestrator."""
