"""The interface of a trial that a trainable may use."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast


class Trial(Protocol):
    """One trial, as a trainable sees it.

    Within an epoch a trainable calls `probe` any number of times, then `save` if
    `checkpoint_due`, and then yields its metrics, which makes all three durable as one unit.
    """

    @property
    def attempt(self) -> int:
        """Number of this attempt at the trial, from 1."""

    @property
    def folder(self) -> Path:
        """A folder that a retry of the trial finds again."""

    @property
    def threads(self) -> int:
        """Number of CPU threads that the trial may use."""

    @property
    def gpus(self) -> float:
        """Number of GPUs assigned to it; a fraction is a share of one GPU."""

    @property
    def smoke(self) -> bool:
        """Whether this is only a short test run on a few images."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether the current epoch needs a checkpoint."""

    def probe(
        self,
        probe: str,
        layer: str,
        value: float,
        *,
        index: int,
        unit: int | None = None,
        at: float | None = None,
    ) -> None:
        """Log one measurement of the current epoch."""

    def load(self) -> bytes | None:
        """Return the last saved state, or None for a trial that starts from scratch."""

    def save(self, state: bytes) -> None:
        """Save the state from which the trial can resume after this epoch."""

    def step(self, images: int, *, of: int) -> None:
        """Report a training step on `images` of the `of` images of an epoch."""

    def record(self, **facts: str) -> None:
        """Record facts about the machine that the trial runs on."""

    def log(self, text: str) -> None:
        """Write a line to the trial's log."""


Train = Callable[[Mapping[str, Any], Trial], Iterator[Mapping[str, float]]]
Check = Callable[[Mapping[str, Any]], None]


class CheckedTrain(Protocol):
    """A trainable with a check of its params."""

    check: Check

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
        """Run one trial, yielding the metrics of each epoch."""


def checked_by(check: Check) -> Callable[[Train], CheckedTrain]:
    """Attach a check to a trainable; it raises ValueError for params that cannot run."""

    def attach(train: Train) -> CheckedTrain:
        checked = cast(CheckedTrain, train)
        checked.check = check
        return checked

    return attach
