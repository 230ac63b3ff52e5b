"""The code and the environment that a trial runs, as its worker knows them."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from importlib import metadata
from typing import Any

from orchestrator.code import Archive, Currency
from orchestrator.code.recorder import Loaded
from orchestrator.errors import EditedError
from orchestrator.running.file_stamp import FileStamp
from orchestrator.running.job import Job, Task
from orchestrator.spec.command import own_words
from orchestrator.store import Store
from orchestrator.store.sweep_code import named_by

_RAY = "ray"
"""Trials run under it, and do not compute with it."""


class RunCode:
    """The code of a run, which a worker compares with the files that it finds.

    Args:
        job: of the run.
        store: with the archive of the run's code.
    """

    def __init__(self, job: Job, store: Store) -> None:
        self._job, self.store, self.scope = job, store, job.scope
        self.digest = job.code_digest
        self._stamps: dict[str, FileStamp | None] = {}
        self._outputs: set[str] = set()

    @cached_property
    def archive(self) -> Archive | None:
        """What the driver read when the run began."""
        return self.store.archives.read(self.digest)

    def require_closure_unedited(self) -> None:
        """Compare what a process is about to import with the run's code.

        Raises:
            EditedError: a file means something else by now.
        """
        if self.archive is not None:
            manifest = self.archive.manifest
            opened = manifest.matched | {*manifest.words}
            self._require_unedited(self.archive, manifest.files.keys() - opened)

    def require_inputs_unedited(self) -> None:
        """Compare what a trial opens itself with the run's code.

        Raises:
            EditedError: a file means something else by now, or a glob matches other files.
        """
        if self.archive is not None and self.archive.manifest.globs:
            self._require_unedited(self.archive, self.archive.manifest.matched)

    def _require_unedited(self, archive: Archive, names: Iterable[str]) -> None:
        currency = Currency(self.scope)
        for difference in currency.differences(archive, sorted(names)):
            raise EditedError.of(difference.name)
        for difference in currency.glob_differences(archive):
            raise EditedError.of(f"`{difference.name}` ({difference.text.split(' ', 1)[1]})")

    def outputs(self) -> frozenset[str]:
        """List the files that only words of the command name, and that trials have changed."""
        if self.archive is None:
            return frozenset()
        for name in self.archive.manifest.words:
            stamp = FileStamp.of(self.scope.find(name))
            if self._stamps.get(name) != stamp:
                self._stamps[name] = stamp
                if any(Currency(self.scope).differences(self.archive, [name])):
                    self._outputs.add(name)
        return frozenset(self._outputs)

    def beside(self, task: Task) -> frozenset[str]:
        """List the files that only words name, and none of those that a trial gets."""
        words = self.archive.manifest.words if self.archive else ()
        if not words:
            return frozenset()
        own = own_words(json.loads(self._job.runs)["command"], task.params)
        return frozenset(words) - named_by(own, self.scope)

    def why_stale(self, digest: str) -> str | None:
        """Say what makes other code than the run's stale; None for code that is current."""
        if digest == self.digest:
            return None
        return Currency(self.scope).why_stale(digest, self.store.archives.read)

    def is_current(self, digest: str) -> bool:
        """Tell whether code is the run's, or means the same as the present files."""
        return self.why_stale(digest) is None


class TrialCode:
    """What one attempt has loaded: the run's code, and what was seen beyond it."""

    def __init__(self, run: RunCode) -> None:
        self.run = run
        self._files: dict[str, bytes] = {}
        self._modules: set[str] = set()
        self._packages: dict[str, str] = {}
        """Of programs that run in another environment than this process."""

    def note(self, loaded: Loaded) -> None:
        """Take in what the trial's process has loaded since it last said so.

        What a trial itself writes, imports and deletes is no code of its.
        """
        lasts = self.run.scope.lasts
        self._files |= {name: data for name, data in loaded.files.items() if lasts(name)}
        self._modules |= set(loaded.modules)
        self._packages |= loaded.packages

    def inherit(self, digest: str) -> None:
        """Take over what an earlier attempt had loaded beyond the run's code.

        Args:
            digest: of that attempt's code.
        """
        archive = None if digest == self.run.digest else self.run.store.archives.read(digest)
        if archive is not None and self.run.archive is not None:
            beyond = archive.manifest.files.keys() - self.run.archive.manifest.files.keys()
            contents = {name: archive.content(name) for name in beyond}
            self._files |= {name: data for name, data in contents.items() if data is not None}

    def digest(self, task: Task) -> str:
        """Keep the trial's code in the store, and return its digest."""
        archive, others = self.run.archive, self.run.outputs() | self.run.beside(task)
        if archive is None or not (self._files or others):
            return self.run.digest
        own = archive.but(others, self._files)
        self.run.store.archives.write(own)
        return own.digest

    def environment(self) -> str:
        """Keep the list of the trial's packages in the store, and return its digest."""
        listed = _environment(frozenset(self._modules - {_RAY}))
        listed = {**listed, "packages": {**listed["packages"], **self._packages}}
        digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
        self.run.store.archives.write_environment(digest, listed)
        return digest

    def columns(self, task: Task) -> dict[str, str]:
        """Keep code and environment, and return the columns of the trial's row that name them."""
        return {"code_digest": self.digest(task), "environment_digest": self.environment()}


Note = Callable[[Loaded], None]
"""Takes in what a trial's process has loaded, as `TrialCode.note`."""


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Map top-level names to distributions, which takes a look at every installed file."""
    return metadata.packages_distributions()


@cache
def _environment(modules: frozenset[str]) -> dict[str, Any]:
    known = _distributions()
    names = {name for module in modules for name in known.get(module, ())}
    packages = {name: metadata.version(name) for name in sorted(names)}
    return {"python": platform.python_version(), "packages": packages}
