"""Archives of code: a zip with a manifest and the files that it names."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from orchestrator.code.history import History
from orchestrator.code.manifest import Manifest
from orchestrator.code.trees import is_same

MANIFEST = "manifest.json"
CHANGES = "changes.diff"
_FILES = "files/"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
)
"""What reading a damaged zip raises, and one without a manifest."""


class Archive:
    """A zip of code, as it is stored.

    Args:
        data: the zip, which has a manifest.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._head: dict[str, Any] = json.loads(self._zip.read(MANIFEST))

    @classmethod
    def read(cls, data: bytes | None) -> Archive | None:
        """Open a zip; None for one that is damaged, absent, or older than manifests."""
        try:
            archive = None if data is None else cls(data)
            return None if archive and archive._zip.testzip() else archive
        except _UNREADABLE:
            return None

    @classmethod
    def pack(
        cls, manifest: Manifest, contents: Mapping[str, bytes], past: History | None
    ) -> Archive:
        """Pack files; the same files at the same commit give the same bytes."""
        head = {**manifest.as_dict(), "commit": past.commit if past else None}
        members = {MANIFEST: json.dumps(head, sort_keys=True, indent=1).encode()}
        if past and past.changes:
            members[CHANGES] = past.changes
        members |= {_FILES + name: data for name, data in sorted(contents.items())}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        return cls(buffer.getvalue())

    @cached_property
    def manifest(self) -> Manifest:
        """The files by name, with digest and size, and the globs."""
        return Manifest.of(self._head)

    @property
    def digest(self) -> str:
        """The manifest's digest, which names the archive."""
        return self.manifest.digest

    def content(self, name: str) -> bytes | None:
        """Read a file; None for one that is too large to be kept."""
        try:
            return self._zip.read(_FILES + name)
        except KeyError:
            return None

    def difference_from(self, other: Archive) -> str | None:
        """Name a file that both have, in versions that mean different things; None without one."""
        theirs = other.manifest.files
        for name, content in self.manifest.files.items():
            if name in theirs and content != theirs[name]:
                one, another = self.content(name), other.content(name)
                if one is None or another is None or not is_same(name, one, another):
                    return name
        return None

    def but(self, without: Collection[str], added: Mapping[str, bytes]) -> Archive:
        """Pack these files without some, and with others."""
        names = self._zip.namelist()
        contents = {
            name.removeprefix(_FILES): self._zip.read(name)
            for name in names
            if name.startswith(_FILES) and name.removeprefix(_FILES) not in without
        }
        changes = self._zip.read(CHANGES) if CHANGES in names else b""
        past = History(self._head["commit"], changes) if self._head["commit"] else None
        return Archive.pack(self.manifest.but(without, added), {**contents, **added}, past)
