"""`orch watch`: a local page about a sweep that follows its store, whoever runs the sweep."""

from orchestrator.watching.server import HOST, listen, serve

__all__ = ["HOST", "listen", "serve"]
