"""Renders one self-contained page about a sweep, which opens from disk and loads nothing else."""

from orchestrator.results.report._page import SCRIPT, STYLE, render, render_section, vega
from orchestrator.results.report._sections import SECTIONS
from orchestrator.results.report._summary import unfinished

__all__ = ["SCRIPT", "SECTIONS", "STYLE", "render", "render_section", "unfinished", "vega"]
