"""Whether the trainable yields what the sweep file asks for, told at the first epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.errors import MetricError
from orchestrator.spec.grid import carried
from orchestrator.spec.model import STORE_COLUMNS, Sweep
from orchestrator.spec.problems import dotted, unknown
from orchestrator.spec.source import Key, Source


def require_metrics(source: Source, sweep: Sweep, metrics: Sequence[str]) -> None:
    """Compare the first metrics that come with those that the sweep file names.

    Raises:
        MetricError: with file, line and key of each metric that does not come, or a metric
            that cannot be a column of the store.
    """
    problems = [
        f"{source.place(key)}: `{dotted(key)}`: "
        f"{unknown('metric', name, metrics)}; these are what {sweep.trainable} yields"
        for key, name in _asked(sweep)
        if key in source.places and name not in metrics
    ]
    taken = STORE_COLUMNS | set(carried(sweep)) | sweep.fixed.keys()
    problems += [
        f"{sweep.trainable} yields a metric `{name}`, "
        "which is the name of a param or of a column of the store; yield it under another name"
        for name in metrics
        if name in taken or name.startswith("best_")
    ]
    if problems:
        raise MetricError("\n".join(problems))


def _asked(sweep: Sweep) -> Iterator[tuple[Key, str]]:
    yield ("select", "metric"), sweep.select.metric
    for index, table in enumerate(sweep.tables):
        for position, value in enumerate(table.values):
            if not value.startswith("probe:"):
                yield ("tables", index, "values", position), value
    for index, claim in enumerate(sweep.claims):
        if claim.metric is not None:
            yield ("claims", index, "metric"), claim.metric
