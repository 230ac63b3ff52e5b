"""What git knows of the files: the commit, and how they differ from it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from typing import NamedTuple


class History(NamedTuple):
    """The state of the working folder's repository.

    Attributes:
        commit: the commit that is checked out.
        changes: how the files differ from it, as `git diff` writes it; empty if they do not.
    """

    commit: str
    changes: bytes


def history(folder: str, names: Collection[str]) -> History | None:
    """Ask git for the commit, and for the changes to some files.

    Args:
        folder: the working folder.
        names: of the files, relative to the folder.

    Returns:
        None without git, a repository or a commit.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = ("diff", "--relative", "--no-ext-diff", "--no-textconv")
    changed = _git(folder, *diff, "--name-only", "-z", "HEAD") or b""
    ours = [name for name in map(os.fsdecode, changed.split(b"\0")) if name in names]
    changes = _git(folder, *diff, "HEAD", "--", *ours) if ours else b""
    return History(commit.decode().strip(), changes or b"")


def _git(folder: str, *words: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", *words],  # noqa: S607  (the one in the user's path)
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
