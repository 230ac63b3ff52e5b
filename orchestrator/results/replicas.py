"""Names trials that are equal to the bit although a seed or a param differs: is it used?

Pure functions of a sweep and the rows of its trials.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import BEST, Status
from orchestrator.labels import assignments, label
from orchestrator.results.selection import metric_columns
from orchestrator.spec import PlannedTrial, Sweep, cells, expand
from orchestrator.spec.grid import varied

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 3
"""How many equalities are named, and how many values of one."""
SEED = "seed"


@dataclass(frozen=True)
class _Digest:
    """The digest of a completed trial's metrics, and whether it is of a single number."""

    text: str
    single: bool


@dataclass
class _Equality:
    """Values of one param, or seeds, whose trials are equal to the bit."""

    values: tuple[Any, ...]
    found: list[str] = field(default_factory=list)
    """What else the trials have in common, for each set of equal trials."""
    compared: int = 0
    """How many sets of trials with these values could have been equal."""


def lost_trials(rows: pa.Table, metrics: Iterable[str]) -> set[str]:
    """Find the trials with a metric that ends as NaN or infinite, and not so in all trials.

    A network that is lost yields the same whatever its seed.

    Args:
        rows: the committed rows of ``trials``, which tell NaN from null.
        metrics: the metrics of the store.
    """
    lost: set[str] = set()
    for name in metrics:
        is_finite = pc.fill_null(pc.is_finite(rows[name]), True)
        if pc.any(pc.and_(is_finite, pc.is_valid(rows[name]))).as_py():
            lost.update(rows["trial_id"].filter(pc.invert(is_finite)).to_pylist())
    return lost


def equal_to_the_bit(sweep: Sweep, trials: pd.DataFrame, lost: Collection[str] = ()) -> list[str]:
    """Name seeds, and values of a param, that make no difference in any epoch.

    Trials are compared that differ in their seed alone, or in one factor or search param alone.
    Where a trial has one number only, which may coincide, they are named only if all seeds of
    the config, or all values of the param, agree.

    Args:
        sweep: the sweep.
        trials: the store's ``trials``; those that are not completed, or have no digest, are
            ignored.
        lost: the ids of further trials that are ignored; see `lost_trials`.

    Returns:
        At most four sentences, the last of which counts those left out.
    """
    digests = _digests(sweep, trials[~trials["trial_id"].isin(lost)])
    if len({digest.text for digest in digests.values()}) == len(digests):
        return []
    planned = expand(sweep)
    factors = varied(cells(sweep))
    shown = [*factors, *(name for name in sweep.search if name not in factors), SEED]
    remarks = [
        _remark(name, equality)
        for name in (SEED, *factors, *sweep.search)
        for equality in _equalities(name, planned, digests, shown)
    ]
    more = len(remarks) - LIMIT
    return [*remarks[:LIMIT], *([f"and {more:,} more such equalities"] if more > 0 else [])]


def _digests(sweep: Sweep, trials: pd.DataFrame) -> dict[str, _Digest]:
    """Read the digests of completed trials of a store, by trial id."""
    known = trials[(trials["status"] == Status.COMPLETED) & trials["metrics_digest"].notna()]
    best = f"{BEST}{sweep.select.metric}"
    metrics = [name for name in metric_columns(sweep, trials) if name != best]
    single = (known["epochs_run"] == 1) & (known[metrics].notna().sum(axis=1) == 1)
    columns = (known["trial_id"], known["metrics_digest"], single)
    return {str(i): _Digest(str(text), bool(one)) for i, text, one in zip(*columns, strict=True)}


def _equalities(
    name: str, planned: Sequence[PlannedTrial], digests: Mapping[str, _Digest], shown: list[str]
) -> Iterable[_Equality]:
    """Find the values of one param whose trials are equal, all else held."""
    others: dict[Hashable, list[PlannedTrial]] = defaultdict(list)
    for trial in planned:
        params = trial.values
        held = {key: value for key, value in params.items() if key != name}
        others[json.dumps(held, sort_keys=True)].append(trial)
    found: dict[str, _Equality] = {}
    for group in others.values():
        for equal in _equal(group, digests):
            values = tuple(trial.values[name] for trial in equal)
            equality = found.setdefault(json.dumps(values), _Equality(values))
            params = equal[0].values
            common = {key: params[key] for key in shown if key != name and key in params}
            equality.found.append(assignments(common))
    for equality in found.values():
        wanted = {json.dumps(value) for value in equality.values}
        equality.compared = sum(
            wanted <= {json.dumps(t.values[name]) for t in group if t.trial_id in digests}
            for group in others.values()
        )
    return found.values()


def _equal(
    group: Sequence[PlannedTrial], digests: Mapping[str, _Digest]
) -> Iterator[list[PlannedTrial]]:
    """Split off the sets of equal trials from trials that differ in one param."""
    by_digest: dict[_Digest, list[PlannedTrial]] = defaultdict(list)
    for trial in group:
        if trial.trial_id in digests:
            by_digest[digests[trial.trial_id]].append(trial)
    for digest, equal in by_digest.items():
        if len(equal) > 1 and (not digest.single or len(equal) == len(group)):
            yield equal


def _remark(name: str, equality: _Equality) -> str:
    named = _listed([label(value) for value in equality.values])
    subject = f"seeds {named}" if name == SEED else f"{name} {named}"
    first, sets = equality.found[0], len(equality.found)
    if sets == equality.compared and sets > 1:
        where = ""
    elif sets == 1:
        where = f" of {first}" if first else ""
    else:
        where = f" of {first}, and in {sets - 1:,} other of {equality.compared:,} comparisons,"
    return f"{subject}{where} are equal to the bit in every epoch: is `{name}` used?"


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - LIMIT
    if more > 1:
        return f"{', '.join(labels[:LIMIT])} and {more} more"
    return f"{', '.join(labels[:-1])} and {labels[-1]}"
