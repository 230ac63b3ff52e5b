"""Check, at the first epoch, that the trainable yields the metrics that the sweep file names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator import columns
from orchestrator.errors import MetricError, unknown
from orchestrator.labels import PROBE
from orchestrator.spec.grid import carried
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed


def require_metrics(sweep: Sweep, metrics: Sequence[str]) -> None:
    """Check the metrics of a first epoch against those that the sweep file names.

    Raises:
        MetricError: with file, line and key of each metric that is missing; or a metric
            that cannot be a column of the store.
    """
    problems = [
        str(placed(MetricError(_missing(name, sweep, metrics)), sweep.source, *key))
        for key, name in _named(sweep)
        if name not in metrics
    ]
    reserved = columns.STORE_COLUMNS | set(carried(sweep)) | sweep.fixed.keys()
    problems += [
        f"{sweep.trainable} yields a metric `{name}`, "
        "which is the name of a param or of a column of the store; yield it under another name"
        for name in metrics
        if name in reserved or name.startswith(columns.BEST)
    ]
    if problems:
        raise MetricError("\n".join(problems))


def _missing(name: str, sweep: Sweep, metrics: Sequence[str]) -> str:
    return f"{unknown('metric', name, metrics)}; these are what {sweep.trainable} yields"


def _named(sweep: Sweep) -> Iterator[tuple[Key, str]]:
    """List the metrics that the file names, by key; the default table is in no file."""
    yield ("select", "metric"), sweep.select.metric
    in_file = sweep.source is None or ("tables",) in sweep.source.places
    for index, table in enumerate(sweep.tables if in_file else ()):
        for position, value in enumerate(table.values):
            if not value.startswith(PROBE):
                yield ("tables", index, "values", position), value
    for index, claim in enumerate(sweep.claims):
        if claim.metric is not None:
            yield ("claims", index, "metric"), claim.metric
