"""Renders one self-contained page about a sweep, which opens from disk and loads nothing else."""

from orchestrator.results.report._page import render

__all__ = ["render"]
