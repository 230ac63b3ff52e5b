"""A folder of stores, one per sweep."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.model import SMOKE_SUFFIX
from orchestrator.store.checkpoints import OnCorrupt
from orchestrator.store.files import Files
from orchestrator.store.store import Store, warn_of_corrupt_file


class Stores:
    """The stores below one root, which is a folder or a prefix of a bucket."""

    def __init__(self, root: str, on_corrupt: OnCorrupt = warn_of_corrupt_file) -> None:
        self.files = Files(root)
        self._on_corrupt = on_corrupt

    def store_of(self, name: str) -> Store:
        """Open the store of a sweep, which need not exist."""
        return Store(f"{self.files.location}/{name}", self._on_corrupt)

    def siblings_of(self, name: str) -> Iterator[Store]:
        """Open the stores whose trials a sweep may reuse; none from or for smoke runs."""
        if name.endswith(SMOKE_SUFFIX):
            return
        for other in self.files.folders():
            if other != name and not other.endswith(SMOKE_SUFFIX):
                store = self.store_of(other)
                if store.exists:
                    yield store
