"""What a trial does: models, data, optimisation and probes, with no knowledge of the orchestrator."""
