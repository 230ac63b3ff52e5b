"""Whether stored code is current: whether it means the same as the files that are there now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from orchestrator.code.archive import Archive
from orchestrator.code.manifest import Content
from orchestrator.code.scope import Scope
from orchestrator.code.trees import is_same
from orchestrator.errors import InputError


class Difference(NamedTuple):
    """A file or glob that is not as an archive has it.

    Attributes:
        name: of the file, or the glob.
        text: what is different, after "since" in a message.
    """

    name: str
    text: str


class Currency:
    """Compares stored code with the files as they are now; each file is read once.

    Make a new one to look again.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._now: dict[str, Content | None] = {}
        self._same: dict[tuple[str, Content], bool] = {}
        self._answers: dict[str, str | None] = {}

    def is_current(self, digest: str, read: Callable[[str], Archive | None]) -> bool:
        """Tell whether the code of a digest means the same as the present files.

        Args:
            digest: of a trial's manifest.
            read: reads the archive of a digest.
        """
        return self.why_stale(digest, read) is None

    def why_stale(self, digest: str, read: Callable[[str], Archive | None]) -> str | None:
        """Say in words what is not current about the code of a digest; None if all is."""
        if digest not in self._answers:
            archive = read(digest)
            if archive is None:
                return "the store does not have the files of its code"  # another store may
            first = next(self.differences(archive), None)
            self._answers[digest] = first.text if first else None
        return self._answers[digest]

    def differences(
        self, archive: Archive, names: Collection[str] | None = None
    ) -> Iterator[Difference]:
        """List what is not as in an archive: files, then globs.

        Args:
            archive: the stored code.
            names: files to look at, without the globs; by default all files and the globs.
        """
        manifest = archive.manifest
        for name in manifest.files if names is None else names:
            if not self._is_same(name, archive):
                gone = self._content(name) is None
                yield Difference(name, f"{name} {'is gone' if gone else 'differs'}")
        if names is None:
            yield from self.glob_differences(archive)

    def glob_differences(self, archive: Archive) -> Iterator[Difference]:
        """List the globs that no longer match the same names."""
        for pattern, matched in archive.manifest.globs.items():
            try:
                now: tuple[str, ...] = self._scope.match(pattern)
            except InputError:
                now = ()
            if now != matched:
                other = sorted({*now} ^ {*matched})[0]
                verb = "now matches" if other in now else "no longer matches"
                yield Difference(pattern, f"`{pattern}` {verb} {other}")

    def _content(self, name: str) -> Content | None:
        if name not in self._now:
            path = self._scope.find(name)
            try:
                self._now[name] = None if path is None else Content.of_file(path)
            except OSError:
                self._now[name] = None
        return self._now[name]

    def _is_same(self, name: str, archive: Archive) -> bool:
        stored = archive.manifest.files[name]
        if (name, stored) not in self._same:
            now = self._content(name)
            self._same[name, stored] = now == stored or (
                now is not None and self._means_the_same(name, archive)
            )
        return self._same[name, stored]

    def _means_the_same(self, name: str, archive: Archive) -> bool:
        path = self._scope.find(name)
        try:
            kept = archive.content(name)
            return bool(kept is not None and path and is_same(name, kept, path.read_bytes()))
        except OSError:
            return False
