"""Programs as trainables: how the epochs of one are read, from whatever it logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Epoch = Mapping[str, Any]
"""What a program logs at once: numbers, booleans and None by name, and its counter as ``step``."""


class Source:
    """Where a program's epochs come from; by default from nowhere.

    Every method may raise `TrialError`, in words for the program's author.
    """

    def line(self, text: str, *, stdout: bool) -> Iterator[Epoch]:  # noqa: ARG002
        """Read a complete line of the program's output.

        Args:
            text: the line without its line break; of a progress bar the last state.
            stdout: whether it comes from there, and not from stderr.
        """
        return iter(())

    def poll(self) -> Iterator[Epoch]:
        """Read what has come since; called a few times a second while the program runs."""
        return iter(())

    def end(self) -> Iterator[Epoch]:
        """Read the rest, of a program that has ended well and whose lines are all read."""
        return iter(())

    def nothing(self) -> str:
        """Say, for a program that has ended without an epoch, what was expected and what seen."""
        raise NotImplementedError


def opened(metrics: Mapping[str, str], folder: Path, say: Callable[[str], object]) -> Source:
    """Make the reader of a sweep file's `metrics`; files are read from where they are now.

    Args:
        metrics: the key's value; paths without placeholders.
        folder: the program's working folder.
        say: takes a line for the trial's log.
    """
    from orchestrator.running.programs.epochs import Epochs

    epochs = Epochs(metrics.get("step"), say)
    if "regex" in metrics:
        from orchestrator.running.programs.matches import Matches

        return Matches(metrics["regex"], epochs)
    if "csv" in metrics:
        from orchestrator.running.programs.csv_file import CsvFile

        return CsvFile(folder / metrics["csv"], epochs)
    if "tensorboard" in metrics:
        from orchestrator.running.programs.tensorboard import TensorBoard

        return TensorBoard(folder / metrics["tensorboard"], epochs)
    from orchestrator.running.programs.json_lines import JsonLines

    return JsonLines(epochs)
