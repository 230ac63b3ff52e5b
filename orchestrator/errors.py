"""Errors that users see.

Each message says what is wrong, where, and what to do. The command line prints it without
a traceback and exits with the class's ``exit_code``::

    OrchError
    ├── SpecError             the sweep file is wrong: file, line, key, what is expected
    ├── InputError            an option or argument is wrong
    ├── TrainableError        the trainable or program cannot run, or refuses a config
    ├── ClusterError          the cluster file or a node is wrong, or the cluster unreachable
    ├── ResourceError         no node of the cluster can hold a trial
    ├── MetricError           the trainable does not yield the selection metric
    ├── ShowError             a table or figure needs what the store does not have
    ├── StoreError            the store cannot be read or written
    │   ├── StoreLockedError      another driver uses it
    │   ├── SweepChangedError     its sweep differs in what may not change
    │   └── CorruptFileError      one file in it cannot be read
    └── RunError              the run stopped before its end
        ├── AlikeError            the first trials all failed with the same error
        ├── EditedError           a file that a trial needs was edited while the sweep ran
        ├── HeadDiedError         Ray's head process has died
        ├── GpuMemoryError        a trial needs more of a GPU's memory than it has
        ├── NodeMemoryError       a node's memory is full, and Ray has ended trials on it
        ├── WorkerDiedError       a worker process ended while it ran a trial
        ├── TrialError            a trial broke the contract of `orchestrator.trial`
        │   └── NotLoadedError        it resumes, but has not taken its state
        └── TrialFailedError      a trial's process failed; its log says where
            ├── KilledError           a signal ended it
            └── UsageError            it is a program that refuses its arguments
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class OrchError(Exception):
    """Base of all errors that users see; ``str(error)`` is the whole message."""

    exit_code = 2


class SpecError(OrchError):
    """The sweep file is wrong."""


class InputError(OrchError):
    """An option or argument is wrong."""


class TrainableError(OrchError):
    """The trainable is none, cannot be imported or refuses a config; or the program cannot run."""


class ClusterError(OrchError):
    """A cluster file is wrong, a node is unfit, or the cluster cannot be reached."""


class ResourceError(OrchError):
    """No node of the cluster can hold a trial."""


class MetricError(OrchError):
    """The trainable does not yield the metric that the sweep file selects by."""


class ShowError(OrchError):
    """A table or figure needs something that the store does not have."""


class StoreError(OrchError):
    """The store cannot be read or written."""


class StoreLockedError(StoreError):
    """Another driver uses the store."""


class SweepChangedError(StoreError):
    """The store holds a sweep that differs in what may not change under one name."""


class CorruptFileError(StoreError):
    """A file of the store cannot be read."""

    def __init__(self, name: str, path: str, reason: str) -> None:
        self.name = name
        """The file's name within the store."""
        self.path = path
        """The file's path or address, as messages name it."""
        self.reason = reason.splitlines()[0] if reason else "no reason given"
        super().__init__(name, path, reason)

    def __str__(self) -> str:
        return f"{self.path} cannot be read ({self.reason})"


class RunError(OrchError):
    """The run stopped before its end."""

    exit_code = 1


class AlikeError(RunError):
    """The first trials all failed with the same error, and none has finished."""


class EditedError(RunError):
    """A file that a trial needs was edited while the sweep ran; the trial is not run."""

    @classmethod
    def of(cls, what: str) -> EditedError:
        """Say which file, or which glob, is not as it was when the run began."""
        return cls(f"{what} was edited while the sweep ran")


class TimeUpError(RunError):
    """The time of a run is up before all is done; the same command goes on."""

    exit_code = 75


class HeadDiedError(RunError):
    """The head process of Ray has died, and with it all that ran."""

    exit_code = 3


class GpuMemoryError(RunError):
    """A trial needs more memory than its share of a GPU has."""


class NodeMemoryError(RunError):
    """A node's memory is nearly full, and Ray has ended trials on it."""


class WorkerDiedError(RunError):
    """A worker process ended while it ran a trial."""


class TrialError(RunError):
    """A trial broke the contract between a trainable and its runner."""


class NotLoadedError(TrialError):
    """A trial resumes, but its trainable has not taken the state with which it does."""


class TrialFailedError(RunError):
    """A trial's process failed, and its log says where; the message is the trainable's own.

    Args:
        reason: the message.
        frames: of the traceback, those from the user's first one on; empty without any.
        place: the exception's class, and the file and line of the user's innermost frame; empty
            without one.
    """

    def __init__(self, reason: str, frames: str = "", place: str = "") -> None:
        self.frames, self.place = frames, place
        super().__init__(reason)


class KilledError(TrialFailedError):
    """A signal ended a trial's process."""


class UsageError(TrialFailedError):
    """A program refuses its arguments; it says why."""

    exit_code = 2


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is unknown, suggest a similar one, and list the known ones.

    Args:
        what: the kind of thing that is named.
        name: the unknown name.
        known: the names that exist.
    """
    names = list(known)
    similar = get_close_matches(str(name), names, n=1, cutoff=0.5)
    shown = name if str(name).isprintable() else repr(name)[1:-1]
    hint = f"; did you mean `{similar[0]}`?" if similar else ""
    listed = ", ".join(names) if names else "none"
    return f"unknown {what} `{shown}`{hint} (known: {listed})"
