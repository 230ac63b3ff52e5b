"""What a store says of a sweep: selection, tables, figures, claims, the report.

`Results` is the one object to read with; it has a store, reads only, selects once, and reads a
probe only when that probe is asked for.
"""

from orchestrator.results.results import Results, open_store

__all__ = ["Results", "open_store"]
