"""One self-contained page about a sweep, that opens from disk and asks nothing of a network."""

from orchestrator.results.report._page import render

__all__ = ["render"]
