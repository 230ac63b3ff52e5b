"""One self-contained page about a sweep, that opens from disk and asks nothing of a network."""

from orchestrator.results.report._page import render
from orchestrator.results.report._summary import Origin

__all__ = ["Origin", "render"]
