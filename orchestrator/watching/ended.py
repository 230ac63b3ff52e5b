"""How trials have ended, looked up again and again: each time only what is new is read."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from orchestrator.store import Outcome, Snapshot, Store
from orchestrator.store.files import is_partial
from orchestrator.store.kept import Kept
from orchestrator.store.parts import MERGED
from orchestrator.store.schema import SCHEMA_FILE


class Ended:
    """The trials of a store that have ended, in the order in which they were found.

    A look lists one folder, and reads the files of the trials that have ended since. It reads
    anew, as far as `kept` does not hold it, once a driver has merged or removed files.
    """

    def __init__(self, store: Store, kept: Kept) -> None:
        self._store, self._kept = store, kept
        self._stamps: dict[str, str] = {}
        self.outcomes: dict[str, Outcome] = {}

    def look(self) -> bool:
        """Look at the store; tell whether anything has changed since the look before."""
        listed = self._store.files.stamps("trials").items()
        stamps = {n: s for n, s in listed if n != SCHEMA_FILE and not is_partial(n)}
        if stamps == self._stamps:
            return False
        new = stamps.keys() - self._stamps.keys()
        is_longer = self._stamps.items() <= stamps.items()
        if is_longer and self._stamps and not any(name.startswith(MERGED) for name in new):
            self.outcomes = {**self.outcomes, **self._of(new)}
        else:
            self.outcomes = self._store.snapshot(self._kept).outcomes
        self._stamps = stamps
        return True

    def _of(self, names: set[str]) -> Mapping[str, Outcome]:
        """Read the files of single trials."""

        def read(name: str) -> Mapping[str, Outcome]:
            return Snapshot(self._store, name.removesuffix(".parquet")).outcomes

        with ThreadPoolExecutor(self._store.files.threads) as pool:
            return {i: end for found in pool.map(read, sorted(names)) for i, end in found.items()}
