"""Any values come back as they were, through edits, merges and checkpoints."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.storing import Lab, assert_shows, make_sweep

from orchestrator.columns import TABLES
from orchestrator.spec.grid import expand
from orchestrator.store import Store, settle
from orchestrator.store.checkpoint import About, Rows
from orchestrator.store.saving import Saving
from orchestrator.store.schema import PROBE_SCHEMA
from orchestrator.store.trial_folder import TrialFolder

TEXTS_ANY = st.text(max_size=8)
# Larger integers have no double of their own to be widened to.
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS_ANY
VALUES = SCALARS | st.lists(SCALARS, max_size=3).map(tuple)


def same(shown: Any, value: Any, column: pd.Series) -> bool:
    """Tell whether a cell of a frame shows a param's value."""
    if value is None:
        return bool(pd.isna(shown))
    if pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(value, bool):
        return float(shown) == float(value)
    if isinstance(shown, str) and not isinstance(value, str):
        return json.loads(shown) == (list(value) if isinstance(value, tuple) else value)
    if isinstance(value, str):
        return shown == value or json.loads(shown) == value
    return bool(shown == value)


def assert_params_survive(lab: Lab, values: Mapping[str, Any]) -> None:
    for table in TABLES:
        frame = lab.plain(table)
        assert set(frame["trial_id"]) == set(values)
        for trial_id, shown in zip(frame["trial_id"], frame["odd"], strict=True):
            assert same(shown, values[trial_id], frame["odd"]), (shown, values[trial_id])


@contextlib.contextmanager
def a_lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder:
        yield Lab(f"{folder}/toy")


@pytest.mark.no_cover
@given(st.lists(VALUES, min_size=1, max_size=4), st.lists(VALUES, max_size=3))
@settings(max_examples=12, deadline=None)
def test_any_values_come_back_as_they_were_through_edits_and_merges(
    first: list[Any], more: list[Any]
) -> None:
    """Values as in a sweep file, then the same file with more of them."""
    with a_lab() as lab:
        committed: dict[str, Any] = {}
        for values in (first, [*first, *more]):
            sweep = make_sweep(factors={"odd": distinct(values)})
            lab.prepare(sweep)
            new = [trial for trial in expand(sweep) if trial.trial_id not in committed]
            lab.commit(sweep, *new)
            committed.update({t.trial_id: t.config.factors["odd"] for t in new})
            assert_params_survive(lab, committed)
            settle.settle(lab.store, sweep)
            assert_params_survive(lab, committed)
        assert_shows(lab.store, expand(sweep))


def distinct(values: list[Any]) -> tuple[Any, ...]:
    """Leave out values that a sweep file may not hold beside each other, as they are equal."""
    kept: dict[str, Any] = {}
    for value in values:
        try:
            make_sweep(factors={"odd": (*kept.values(), value)})
        except ValueError:
            continue
        kept[repr(value)] = value
    return tuple(kept.values())


@given(
    row=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), SCALARS, max_size=3),
    state=st.binary(max_size=200),
    metrics=st.lists(st.floats(allow_nan=False), min_size=1, max_size=4),
    probes=st.lists(st.tuples(TEXTS_ANY, st.none() | st.integers(0, 9), st.floats()), max_size=3),
    started=st.datetimes(timezones=st.just(UTC)),
    facts=st.dictionaries(TEXTS_ANY, TEXTS_ANY, max_size=2),
    device=st.none() | TEXTS_ANY,
)
@settings(max_examples=40, deadline=None)
def test_a_checkpoint_comes_back_as_it_was_saved(
    row: dict[str, Any],
    state: bytes,
    metrics: list[float],
    probes: list[tuple[str, int | None, float]],
    started: datetime,
    facts: dict[str, str],
    device: str | None,
) -> None:
    rows = [
        {"epoch": 1, "probe": probe, "layer": probe, "layer_index": 0, "unit": unit, "value": value}
        for probe, unit, value in probes
    ]
    epochs = pa.Table.from_pylist([{"epoch": e, "m": m} for e, m in enumerate(metrics, 1)])
    part = Rows(epochs, pa.Table.from_pylist(rows, schema=PROBE_SCHEMA))
    about = About(row, "digest", 1.5, started, (1, 3), device, facts)
    with tempfile.TemporaryDirectory() as location:
        store = Store(location)
        Saving(store.files, "0123", 2, TrialFolder(store.files, "0123")).save(part, state, about)
        found = store.checkpoint("0123", with_state=True)
    assert found
    assert found.head.about == about
    assert (found.state, found.head.attempt, found.head.epochs) == (state, 2, len(metrics))
    assert found.rows.epochs.equals(epochs)
    assert repr(found.rows.probes.to_pylist()) == repr(part.probes.to_pylist())
