"""The contract between a trainable and whatever runs it.

A trainable is a generator function::

    def train(params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
        '''Run one trial; yield one mapping of metrics per epoch.'''

``params`` holds the factors, search params, fixed params and ``seed``. Within an epoch the
order is: step, probe, save, yield. It may carry ``train.check(params)``, which raises ValueError
for params that cannot run. A trainable imports nothing from here: the protocol only says
what it is given.
"""

from __future__ import annotations

from typing import Protocol


class Trial(Protocol):
    """What a trainable is given beside its params."""

    @property
    def checkpoint_due(self) -> bool:
        """Whether a checkpoint is wanted in the epoch under way."""

    @property
    def threads(self) -> int:
        """How many CPU threads the trial may use."""

    @property
    def gpus(self) -> float:
        """How much of a GPU, or how many, it may use; CUDA_VISIBLE_DEVICES is set."""

    @property
    def smoke(self) -> bool:
        """Whether one epoch of two batches of at most 8 images is enough."""

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
        """Log a measurement inside the network for the epoch under way.

        Args:
            probe: what is measured, such as ``skewness``.
            layer: where, by name.
            value: the measurement.
            index: where, as a number from 0 that orders the layers.
            unit: the channel or neuron, if it is one's.
            at: the centre of a histogram's bin, or a step, if it belongs to one.
        """

    def load(self) -> bytes | None:
        """Return the state last saved, or None if the trial starts anew."""

    def save(self, state: bytes) -> None:
        """Hand over the state; it becomes durable together with the yield that follows."""

    def step(self, images: int, *, of: int) -> None:
        """Tell of a training step, if you like: only `orch plan --pilot` listens.

        Without it a pilot measures whole epochs only, and no images per second.

        Args:
            images: how many the step trained on.
            of: how many the epoch's steps train on altogether.
        """

    def record(self, **facts: str) -> None:
        """Note facts for the trial's row in ``trials``, such as ``device``.

        From ``peak_memory_bytes`` and ``gpu_memory_bytes``, what the trial held of its GPU
        and what that has, a pilot finds how many trials fit one.
        """

    def log(self, text: str) -> None:
        """Write a line to the trial's log file."""
