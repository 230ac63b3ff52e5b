"""What a trial does: models, data, optimisation, probes. Knows nothing of the orchestrator."""
