"""The artifacts of a store: what trials leave in ``trial.folder/keep``."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from orchestrator.store.files import Files, is_partial
from orchestrator.store.local_folder import is_utf8
from orchestrator.store.names import ARTIFACTS, artifact_folder

KEEP = "keep"
"""The file or folder of a trial's own folder that becomes its artifact."""


class Artifacts:
    """The artifacts of a store, each a folder that is named by its trial."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def sizes(self, *, partial: bool = False) -> dict[str, int]:
        """Return the bytes of each artifact, by trial id.

        Args:
            partial: count what killed workers have left, too, whose names begin with a dot.
        """
        sizes = Counter[str]()
        for path, size in self._files.sizes(ARTIFACTS).items():
            sizes[path.partition("/")[0]] += size
        return {name: size for name, size in sizes.items() if partial or not is_partial(name)}

    def files_of(self, trial_id: str) -> dict[str, int]:
        """Return the bytes of each file of an artifact, by path; none if there is no artifact."""
        return self._files.sizes(artifact_folder(trial_id))

    def place(self, trial_id: str) -> str:
        """Return the path or URI of a trial's artifact, which need not exist."""
        return f"{self._files.location}/{artifact_folder(trial_id)}"

    def put(self, trial_id: str, folder: Path) -> list[str]:
        """Keep what a trial has left in its folder, if it has left anything.

        Args:
            trial_id: the trial.
            folder: its own folder.

        Returns:
            What is left out, since it is no regular file in the folder, nor a link to one.

        Raises:
            StoreError: the disk or the bucket refuses; nothing is kept.
        """
        kept, left_out = _files_in(folder)
        if kept:
            self._replace(trial_id, kept, link=True)
        return left_out

    def copy(self, source: Artifacts, trial_id: str) -> None:
        """Copy an artifact of another store, on a disk or in the same file system.

        Raises:
            StoreError: the disk or the bucket refuses; nothing is kept.
        """
        paths = source.files_of(trial_id)
        if source._files.local is not None:
            folder = Path(source.place(trial_id))
            self._replace(trial_id, {path: folder / path for path in paths}, link=False)
            return
        self.delete([trial_id])
        with self._deleting_on_error(trial_id):
            for path in paths:
                name = f"{artifact_folder(trial_id)}/{path}"
                self._files.copy(source._files.path(name), name)

    def delete(self, trial_ids: Collection[str]) -> None:
        """Delete the artifacts of some trials."""
        for trial_id in trial_ids:
            self._files.delete_folder(artifact_folder(trial_id))

    def retire(self, trial_id: str) -> None:
        """Move a trial's artifact to ``retired/``."""
        folder = artifact_folder(trial_id)
        for path in self.files_of(trial_id):
            self._files.move(f"{folder}/{path}", f"retired/{folder}/{path}")
        self.delete([trial_id])

    def _replace(self, trial_id: str, kept: dict[str, Path], *, link: bool) -> None:
        """Put files as a trial's artifact, in place of the one that it has.

        Args:
            trial_id: the trial.
            kept: where each file lies now, by its path in the artifact.
            link: spare the disk a copy where it can, since nobody will change the files.
        """
        if self._files.local is None:
            folder = artifact_folder(trial_id)
            with self._deleting_on_error(trial_id):
                for path, source in kept.items():
                    self._files.upload(source, f"{folder}/{path}")
                gone = self.files_of(trial_id).keys() - kept.keys()
                self._files.delete_all([f"{folder}/{path}" for path in gone])
            return
        hidden = f".{trial_id}-{os.urandom(8).hex()}"
        with self._deleting_on_error(hidden):
            for path, source in kept.items():
                self._files.link(source, f"{artifact_folder(hidden)}/{path}", copy=not link)
            self.delete([trial_id])
            self._files.move(artifact_folder(hidden), artifact_folder(trial_id))

    @contextlib.contextmanager
    def _deleting_on_error(self, trial_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.delete([trial_id])
            raise


def _files_in(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the files to keep, by their path in the artifact, and what cannot be kept."""
    keep, kept, left_out = folder / KEEP, dict[str, Path](), list[str]()
    below = (Path(at, n) for at, folders, names in os.walk(keep) for n in (*folders, *names))
    for path in sorted([keep, *below]):
        if not path.is_symlink() and (path.is_dir() or not path.exists()):
            continue
        place = KEEP if path == keep else path.relative_to(keep).as_posix()
        source = _source(path)
        if source and source.is_relative_to(folder.resolve()) and is_utf8(place):
            kept[place] = source
        else:
            left_out.append(place)
    return kept, left_out


def _source(path: Path) -> Path | None:
    """Find the file that a path leads to; None if it leads to none, or in a circle."""
    try:
        source = path.resolve()
    except (OSError, RuntimeError):
        return None
    return source if source.is_file() else None
