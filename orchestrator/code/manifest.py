"""Manifests: which files a trial's numbers come from, and what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

LARGEST = 10_000_000
"""Bytes above which a file counts by its digest alone, and is not kept."""


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        sha256: in hexadecimal.
        size: in bytes.
    """

    sha256: str
    size: int

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Digest some bytes."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))

    @classmethod
    def of_file(cls, path: Path) -> Content:
        """Digest a file, which may be larger than memory.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(digest, stream.tell())


@dataclass(frozen=True)
class Manifest:
    """The files that count as a trial's code, by name, and the globs that some of them match."""

    files: Mapping[str, Content]
    globs: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...] = ()
    """The files that count only since a word of the command names them: input, or output."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, contents and globs, in hexadecimal."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def matched(self) -> frozenset[str]:
        """The files that globs match, which a trial opens itself."""
        return frozenset(name for names in self.globs.values() for name in names)

    def but(self, without: Collection[str], added: Mapping[str, bytes]) -> Manifest:
        """Leave files out, and add others."""
        kept = {name: content for name, content in self.files.items() if name not in without}
        files = kept | {name: Content.of(data) for name, data in added.items()}
        return replace(self, files=files, words=tuple(w for w in self.words if w not in without))

    def as_dict(self) -> dict[str, Any]:
        """Write the manifest as plain values."""
        return {
            "files": {name: list(content) for name, content in self.files.items()},
            "globs": {pattern: list(names) for pattern, names in self.globs.items()},
            **({"words": list(self.words)} if self.words else {}),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Manifest:
        """Read what `as_dict` wrote."""
        return cls(
            {name: Content(*content) for name, content in plain["files"].items()},
            {pattern: tuple(names) for pattern, names in plain["globs"].items()},
            tuple(plain.get("words", ())),
        )
