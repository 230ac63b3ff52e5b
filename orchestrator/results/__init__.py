"""Reads the results of a sweep: selection, tables, figures, claims and the report.

`Results` is the one object to read with: it never writes to the store, selects once, and reads
the rows of a probe only when they are needed.
"""

from orchestrator.results.results import Results, open_store

__all__ = ["Results", "open_store"]
