"""Marks of numbers whose trials diverged, or differ in epochs, code or packages.

Pure functions of how trials ended. Every output that shows a number shows its marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.labels import counted
from orchestrator.results.origins import Origin, Origins
from orchestrator.results.selection import CellSelection

if TYPE_CHECKING:
    import pandas as pd

DIVERGED = "†"
UNEVEN = "‡"
OTHER_CODE = "§"
OTHER_PACKAGES = "¶"


@dataclass(frozen=True)
class End:
    """How one trial ended."""

    status: str
    epochs: int
    origin: Origin | None = None
    """What it ran, if that is compared."""


Ends = Mapping[str, End]
"""How trials ended, by trial id."""


@dataclass(frozen=True)
class Marks:
    """What the reader of a config's numbers has to know about its trials.

    Attributes:
        ends: of the config's trials in seed order; those that have not ended are left out.
        origins: compares what they ran; None to compare nothing.
    """

    ends: tuple[End, ...]
    origins: Origins | None = None

    @property
    def status(self) -> str | None:
        """``diverged`` if one of the trials did, else ``completed``; None without trials."""
        if not self.ends:
            return None
        return str(Status.DIVERGED if self._diverged_at else Status.COMPLETED)

    @property
    def epochs(self) -> list[int]:
        """The epochs that each trial ran, in seed order."""
        return [end.epochs for end in self.ends]

    @property
    def signs(self) -> str:
        """The signs to print beside each number; empty for most configs."""
        return "".join(sign for sign, _ in self.remarks())

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Say what each sign means."""
        if self._diverged_at:
            epochs = _listed(self._diverged_at)
            yield DIVERGED, f"{self._of_all(len(self._diverged_at))} diverged, at {epochs}"
        completed = [end.epochs for end in self.ends if end.status != Status.DIVERGED]
        if len(set(completed)) > 1:
            ran = " and ".join(map(str, sorted(set(completed))))
            yield UNEVEN, f"its {counted(len(completed), 'trial')} ran {ran} epochs"
        ran_what = [end.origin for end in self.ends if end.origin]
        if self.origins and (files := self.origins.other_code(ran_what)):
            yield OTHER_CODE, f"its trials ran different code ({', '.join(files)})"
        if self.origins and (packages := self.origins.other_packages(ran_what)):
            yield OTHER_PACKAGES, f"its trials ran with other versions of {', '.join(packages)}"

    @property
    def _diverged_at(self) -> list[int]:
        return [end.epochs for end in self.ends if end.status == Status.DIVERGED]

    def _of_all(self, some: int) -> str:
        return f"{some:,} of its {counted(len(self.ends), 'trial')}"


def _listed(epochs: Iterable[int]) -> str:
    distinct = sorted(set(epochs))
    noun = "epoch" if len(distinct) == 1 else "epochs"
    return f"{noun} {' and '.join(map(str, distinct))}"


def ends_of(trials: pd.DataFrame) -> dict[str, End]:
    """Read how trials ended from the store's ``trials``; failed ones have no numbers to mark."""
    finished = trials[trials["status"].isin(FINISHED)]
    names = ("trial_id", "status", "epochs_run", "code_digest", "environment_digest")
    return {
        str(trial_id): End(
            str(status),
            int(epochs),
            Origin(str(code), environment if isinstance(environment, str) else None),
        )
        for trial_id, status, epochs, code, environment in zip(
            *(finished[name] for name in names), strict=True
        )
    }


def marks_of(trial_ids: Iterable[str], ends: Ends, origins: Origins | None = None) -> Marks:
    """Compute the marks of one config's trials.

    Args:
        trial_ids: the trials whose numbers are shown, in seed order.
        ends: how they ended.
        origins: compares what they ran; None to compare nothing.
    """
    return Marks(tuple(ends[trial_id] for trial_id in trial_ids if trial_id in ends), origins)


def cell_marks(selection: CellSelection, ends: Ends, origins: Origins | None) -> Marks:
    """Compute the marks of the config that is selected in a cell."""
    return marks_of(selection.reported_ids, ends, origins)


def summary(
    reported: Sequence[Sequence[str]], ends: Ends, origins: Origins | None
) -> Iterator[str]:
    """Count the cells with marks, for outputs that have no room for a sign beside each number.

    Args:
        reported: ids of the trials whose numbers are shown, by cell.
        ends: how trials ended.
        origins: compares what they ran.
    """
    signs = [marks_of(trial_ids, ends, origins).signs for trial_ids in reported]
    for sign, text in (
        (DIVERGED, "with a trial that diverged"),
        (UNEVEN, "with trials of different numbers of epochs"),
        (OTHER_CODE, "with trials of different code"),
        (OTHER_PACKAGES, "with trials of different versions of packages"),
    ):
        marked = sum(sign in of_cell for of_cell in signs)
        if marked:
            yield f"{marked} of {counted(len(signs), 'cell')} {text}"
