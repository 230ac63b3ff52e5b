"""What a trainable is given besides its params: the part of a trial that it may use."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast


class Trial(Protocol):
    """One trial, as a trainable sees it.

    Within an epoch a trainable calls `probe` any number of times, then `save` if
    `checkpoint_due`, and then yields its metrics, which makes all three durable as one unit.
    """

    @property
    def threads(self) -> int:
        """How many CPU threads the trial may use."""

    @property
    def gpus(self) -> float:
        """How many GPUs it was given, 0 for none; fractions share one."""

    @property
    def smoke(self) -> bool:
        """Whether only a short try on a few images is wanted."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether a checkpoint is wanted for the epoch under way."""

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
        """Log one measurement of the epoch under way."""

    def load(self) -> bytes | None:
        """Return the state that was saved last, or None for a trial that starts afresh."""

    def save(self, state: bytes) -> None:
        """Hand over the state from which the next epoch could go on."""

    def step(self, images: int, *, of: int) -> None:
        """Tell of a training step on so many images, of those of the epoch."""

    def record(self, **facts: str) -> None:
        """Note facts about where the trial runs."""

    def log(self, text: str) -> None:
        """Write a line to the trial's log."""


Train = Callable[[Mapping[str, Any], Trial], Iterator[Mapping[str, float]]]
Check = Callable[[Mapping[str, Any]], None]


class CheckedTrain(Protocol):
    """A trainable that carries a check of its params."""

    check: Check

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
        """Run one trial, yielding the metrics of each epoch."""


def checked_by(check: Check) -> Callable[[Train], CheckedTrain]:
    """Let a trainable carry a check, which raises ValueError for params that cannot run."""

    def attach(train: Train) -> CheckedTrain:
        checked = cast(CheckedTrain, train)
        checked.check = check
        return checked

    return attach
