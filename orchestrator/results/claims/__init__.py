"""The verdicts on a sweep's claims."""
