"""The checksums of a publication, as `sha256sum --check` reads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from orchestrator.columns import TABLES
from orchestrator.errors import InputError

FILE = "SHA256SUMS"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>\S.*)")
_SOURCES = (
    "sweep.yaml",
    "looks.json",
    "code/[!.]*",
    *(f"{table}/[!.]*.parquet" for table in TABLES),
)
"""Where results and sources are read from; a store skips hidden files, and so does this."""
_SHOWN = 5
"""How many files a message names."""


def write(folder: Path) -> None:
    """List the digest of every file in a folder."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    lines = (f"{_digest(folder / name)}  {name}\n" for name in names)
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def read(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a publication, by its name.

    Raises:
        InputError: the folder is no publication.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    if not found or len(found) < len(lines) or not (folder / "sweep.yaml").is_file():
        raise InputError(
            f"{folder} is no publication: expected a folder that `orch publish` has written, with "
            f"sweep.yaml and {FILE}"
        )
    return {match["name"]: match["digest"] for match in found}


def verify(folder: Path) -> str:
    """Compare the files of a publication with their digests.

    Files may have come that it does not list, but none that results or sources are read from.

    Returns:
        The digest of what the results follow from, as `of_sources` has it.

    Raises:
        InputError: the folder is no publication, or a file of it is missing, added or changed.
    """
    wrong, listed = [], read(folder)
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif _digest(path) != digest:
            wrong.append(f"{name} has changed")
    sources = sorted(path for pattern in _SOURCES for path in folder.glob(pattern))
    names = (str(path.relative_to(folder)) for path in sources)
    wrong += [f"{name} is not listed" for name in names if name not in listed]
    if wrong:
        more = f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        raise InputError(f"{folder} is not as it was published: {', '.join(wrong[:_SHOWN])}{more}")
    return of_sources(listed)


def of_sources(listed: Mapping[str, str]) -> str:
    """Return one digest for all files that results and sources are read from.

    It is the SHA-256 of their digests, sorted, one per line. Tables, figures and reports are no
    part of it, nor are names of files: they change when a publication is derived again.

    Args:
        listed: the digest of each file of a publication, by its name.
    """
    digests = sorted(
        digest
        for name, digest in listed.items()
        if any(PurePath(name).match(pattern) for pattern in _SOURCES)
    )
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
