"""Seeds the global generators that a process has, now or as soon as their library is imported."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.abc
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from orchestrator.code.importing import spec_from
from orchestrator.running.live_trial import Start

_LIMIT = 2**32
"""Numpy's seeds are below it; torch and random take them too."""


def seed_of(start: Start) -> int:
    """Derive the seed of a process from a trial's seed and the epochs that it has finished."""
    digest = hashlib.sha256(f"{start.params['seed']} {start.epoch - 1}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _LIMIT


def _seed_numpy(numpy: Any, seed: int) -> None:
    numpy.random.seed(seed)


def _seed_torch(torch: Any, seed: int) -> None:
    torch.manual_seed(seed)


_SEEDERS: dict[str, Callable[[Any, int], None]] = {"numpy": _seed_numpy, "torch": _seed_torch}


class Seeding(importlib.abc.MetaPathFinder):
    """Seeds what is imported, and what is imported later at its import.

    Install one per process: ``Seeding.install()``.
    """

    def __init__(self) -> None:
        self._seed = 0

    @classmethod
    @contextlib.contextmanager
    def installed(cls) -> Iterator[Seeding]:
        """Watch imports while the block runs."""
        seeding = cls.install()
        try:
            yield seeding
        finally:
            sys.meta_path.remove(seeding)

    @classmethod
    def install(cls) -> Seeding:
        """Watch imports from now on; the seed is 0 until `seed` is called."""
        seeding = cls()
        sys.meta_path.insert(0, seeding)
        seeding.seed(0)
        return seeding

    def seed(self, seed: int) -> None:
        """Seed every global generator."""
        self._seed = seed
        random.seed(seed)
        for name, seeder in _SEEDERS.items():
            if name in sys.modules:
                seeder(sys.modules[name], seed)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Let the other finders find a library, and seed it once it is imported."""
        if fullname not in _SEEDERS:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = spec_from(others, fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader, self._seed_import)
        return spec

    def _seed_import(self, module: ModuleType) -> None:
        _SEEDERS[module.__name__](module, self._seed)


class _SeedingLoader(importlib.abc.Loader):
    """Loads a module by its own loader, then seeds it."""

    def __init__(self, loader: Any, seed: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._seed_module = seed

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._seed_module(module)
