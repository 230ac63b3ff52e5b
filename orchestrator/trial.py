"""The contract between a trainable and its runner.

A trainable is a generator function, which yields one mapping of metrics per epoch::

    def train(params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, Any]]:
        yield {"accuracy": 0.9}

or a function that reports them, from any thread of its process, such as a callback's::

    def train(params: Mapping[str, Any], trial: Trial) -> Mapping[str, Any] | None:
        trial.report(accuracy=0.9)

A mapping that either returns is its last epoch. A metric is a number, a boolean or None, and a
mapping inside becomes ``a/b``. An epoch may lack metrics and bring new ones; ``step`` is a counter
of the trainable's own.

``params`` holds the factors, search params, fixed params and ``seed``. Within an epoch the
order is: step, probe, save, and then yield or report. The function may have an attribute
``train.check``, a function of ``params`` that raises ValueError for params that cannot run. A
trainable imports nothing from here: the protocol only describes its argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Trial(Protocol):
    """The second argument of a trainable, beside its params."""

    @property
    def id(self) -> str:
        """The trial's id: 16 hexadecimal digits, by which tables and logs name it."""

    @property
    def attempt(self) -> int:
        """The number of this attempt at the trial, from 1."""

    @property
    def folder(self) -> Path:
        """A folder of the trial's own, which a retry finds again, also on another host.

        It is deleted when the trial is finished; what is in its ``keep`` goes to the store's
        ``artifacts`` where the sweep asks for it.
        """

    @property
    def checkpoint_due(self) -> bool:
        """Whether to save a checkpoint in the current epoch."""

    @property
    def threads(self) -> int:
        """How many CPU threads the trial may use."""

    @property
    def gpus(self) -> float:
        """How many GPUs, or what fraction of one, it may use; CUDA_VISIBLE_DEVICES is set."""

    @property
    def smoke(self) -> bool:
        """Whether one epoch of two batches of at most 8 images is enough."""

    def report(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """End an epoch with these metrics, as `yield` does in a generator.

        It returns once they are with the runner, together with the probes and the state of the
        epoch. It may be called from any thread of the trial's process, by one at a time.

        Args:
            metrics: by name; for names that are no words of Python.
            more: further metrics.
        """

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
        """Log a measurement inside the network for the current epoch.

        Args:
            probe: name of the measurement, such as ``skewness``.
            layer: name of the layer.
            value: the measurement.
            index: position of the layer, from 0.
            unit: the channel or neuron; None for the whole layer.
            at: the centre of a histogram's bin, or a step; None otherwise.
        """

    def load(self) -> bytes | None:
        """Return the last saved state, or None if the trial starts from the beginning.

        A trial that resumes must call it before its first epoch.
        """

    def save(self, state: bytes) -> None:
        """Save the state; it becomes durable together with the yield or report that follows."""

    def step(self, images: int, *, of: int) -> None:
        """Report a training step; optional, and used only by `orch plan --pilot`.

        Without it a pilot times whole epochs only, and reports no images per second.

        Args:
            images: number of images in the step.
            of: number of images in the epoch.
        """

    def record(self, **facts: str) -> None:
        """Record facts for the trial's row in ``trials``, such as ``device``.

        From ``peak_memory_bytes``, the trial's use of GPU memory without CUDA's own, and
        ``gpu_memory_bytes``, the size of that memory, a pilot computes how many trials fit on one
        GPU.
        """

    def log(self, text: str) -> None:
        """Write a line to the trial's log file."""
