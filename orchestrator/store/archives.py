"""The code that a store's trials ran, and the packages that they had loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.code import Archive
from orchestrator.store.files import Files


def archive_file(digest: str) -> str:
    """Name the file of some code in a store."""
    return f"code/{digest}.zip"


def environment_file(digest: str) -> str:
    """Name the file that lists the packages of an environment in a store."""
    return f"code/{digest}.json"


class Archives:
    """The folder ``code`` of a store; each file is written once, unless it is damaged."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._present: set[str] = set()
        """Files that are known to be there, so that not every trial asks a bucket."""

    def read(self, digest: str) -> Archive | None:
        """Read the code of a digest; None if there is none with a manifest."""
        return Archive.read(self._files.read(archive_file(digest)))

    def write(self, archive: Archive) -> None:
        """Keep some code, also in the place of a damaged file."""
        name = archive_file(archive.digest)
        if name not in self._present and self.read(archive.digest) is None:
            self._files.write(name, archive.data)
        self._present.add(name)

    def environment(self, digest: str) -> dict[str, Any] | None:
        """Read the versions that an environment's digest stands for; None if they are not known."""
        try:
            listed = json.loads(self._files.read(environment_file(digest)) or b"")
        except ValueError:
            return None
        return listed if isinstance(listed, dict) else None

    def write_environment(self, digest: str, listed: Mapping[str, Any]) -> None:
        """Keep the versions that an environment's digest stands for."""
        name = environment_file(digest)
        if name not in self._present and self.environment(digest) is None:
            self._files.write(name, json.dumps(listed, indent=1).encode())
        self._present.add(name)

    def copy(self, source: Archives, code: str, environment: str | None) -> None:
        """Take over what a trial of another store refers to."""
        names = [archive_file(code)] + ([environment_file(environment)] if environment else [])
        for name in names:
            data = None if self._files.exists(name) else source._files.read(name)
            if data is not None:
                self._files.write(name, data)
