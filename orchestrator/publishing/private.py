"""Names of hosts and of this user's folders, which a publication does not show unless asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from orchestrator.code import Archive
from orchestrator.results import Results

_COLUMNS = ("host", "error", "facts")
"""Columns of ``trials`` that may hold such names."""


class Private:
    """Replaces names.

    Args:
        hosts: what to write in place of each host.
        folders: what to write in place of each folder.
    """

    def __init__(self, hosts: Mapping[str, str], folders: Mapping[str, str]) -> None:
        self._folders = folders
        self._stand_ins = {**hosts, **folders}
        longest_first = sorted(self._stand_ins, key=len, reverse=True)
        self._names = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])")

    @classmethod
    def of(cls, results: Results) -> Private:
        """Hide the hosts of a sweep's trials, the working folder and the user's own."""
        hosts = sorted(set(results.trials["host"].dropna()))
        folders = {str(Path.cwd()): ".", str(Path.home()): "~"}
        return cls(
            {host: f"host-{number}" for number, host in enumerate(hosts, 1)},
            {name: short for name, short in folders.items() if name != "/"},
        )

    @classmethod
    def nothing(cls) -> Private:
        """Hide nothing."""
        return cls({}, {})

    def hidden(self, text: str) -> str:
        """Write something else in place of each name."""
        if not self._stand_ins:
            return text
        return self._names.sub(lambda found: self._stand_ins[found[0]], text)

    def hidden_in(self, trials: pa.Table) -> pa.Table:
        """Replace the names in rows of ``trials``."""
        for name in _COLUMNS:
            position = trials.schema.get_field_index(name)
            field = trials.schema.field(position)
            texts = [text and self.hidden(text) for text in trials[name].to_pylist()]
            column = pa.array(texts, pa.string()).cast(field.type)
            trials = trials.set_column(position, field, column)
        return trials

    def folders_in(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Find the folders in what is published as it is: in which file, and which folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = str(path.relative_to(folder))
            if path.suffix == ".zip":
                archive = Archive.read(path.read_bytes())
                for member in archive.manifest.files if archive else ():
                    content = (archive.content(member) if archive else None) or b""
                    yield from self._named(f"{member} in {name}", member.encode() + content)
            elif path.suffix != ".parquet":
                yield from self._named(name, path.read_bytes())

    def _named(self, name: str, content: bytes) -> Iterator[tuple[str, str]]:
        for folder in self._folders:
            if folder.encode() in content:
                yield name, folder
