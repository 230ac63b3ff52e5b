"""The store of one sweep: a folder or a prefix of a bucket."""

from __future__ import annotations

import warnings
from functools import cached_property

from orchestrator.errors import CorruptFileError
from orchestrator.store.archives import Archives
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.checkpoints import OnCorrupt, head_ids, read_checkpoint
from orchestrator.store.files import Files
from orchestrator.store.index import layout_of
from orchestrator.store.kept import Kept
from orchestrator.store.names import log_file
from orchestrator.store.schema import SCHEMA_FILE, Layout
from orchestrator.store.snapshot import Snapshot


class CorruptFileWarning(UserWarning):
    """A file of the store cannot be read; its trial counts as missing."""


def warn_of_corrupt_file(error: CorruptFileError) -> None:
    """Issue a warning: the default of everything that reads a store."""
    warnings.warn(f"{error}; its trials count as missing", CorruptFileWarning, stacklevel=2)


class Store:
    """One sweep's folder or bucket prefix.

    Reading never blocks or changes anything, and returns each row once, whatever a driver does
    at the time.
    """

    def __init__(self, location: str, on_corrupt: OnCorrupt = warn_of_corrupt_file) -> None:
        self.files = Files(location)
        self.on_corrupt = on_corrupt

    @cached_property
    def archives(self) -> Archives:
        """The code that its trials ran."""
        return Archives(self.files)

    @cached_property
    def artifacts(self) -> Artifacts:
        """What its trials have left to be kept."""
        return Artifacts(self.files)

    @property
    def exists(self) -> bool:
        """Whether a sweep has ever run in it."""
        return self.files.exists("sweep.yaml")

    def snapshot(self, kept: Kept | None = None) -> Snapshot:
        """Look at what it holds now.

        Args:
            kept: what earlier looks have read, and need not be read again.
        """
        return Snapshot(self, kept=kept)

    def layout(self) -> Layout | None:
        """Read the columns as they are now, while trials run; None if it has no tables yet."""
        return layout_of(self.files, [f"trials/{SCHEMA_FILE}"], self.on_corrupt)

    def checkpoint_ids(self) -> list[str]:
        """List the trials that have a checkpoint now."""
        return head_ids(self.files.whole_tree("checkpoints"))

    def checkpoint(self, trial_id: str, *, with_state: bool = False) -> Checkpoint | None:
        """Read a trial's checkpoint; None if it has no readable one.

        Args:
            trial_id: the trial.
            with_state: read the state too, for the trial's next attempt.
        """
        return read_checkpoint(
            self.files, trial_id, lambda error, _: self.on_corrupt(error), with_state=with_state
        )

    def log_name(self, trial_id: str) -> str:
        """Name a trial's log file in a message."""
        return self.files.shown(log_file(trial_id))
