"""Damaged files cost what was in them only, and are kept aside."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.storing import (
    SCHEMA,
    Lab,
    assert_shows,
    assert_tidy,
    contents,
    make_sweep,
)

from orchestrator.columns import TABLES
from orchestrator.results import Results
from orchestrator.running.heartbeat import Heartbeat, beating, driver_of
from orchestrator.running.status import print_status
from orchestrator.spec.grid import expand
from orchestrator.store import Store, settle
from orchestrator.store.checkpoint import DamagedError, Head
from orchestrator.store.intact import FILE
from orchestrator.store.store import CorruptFileWarning


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_in_a_page(data: bytes) -> bytes:
    """Change bytes of the pages, which come first in a Parquet file, but not its footer."""
    damaged = bytearray(data)
    for place in range(40, 60):
        damaged[place] ^= 0xFF
    return bytes(damaged)


def empty(_data: bytes) -> bytes:
    return b""


def be_other_text(_data: bytes) -> bytes:
    return b"<html>this is no Parquet file</html>" * 20


ANY_DAMAGE = pytest.mark.parametrize("damage", [truncate, flip_in_a_page, empty, be_other_text])
ANY_TABLE = pytest.mark.parametrize("table", TABLES)


def harm(path: Path, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage a file; return its damaged bytes."""
    path.write_bytes(damage(path.read_bytes()))
    return path.read_bytes()


def quietly(function: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Call a function; return its answer and the warnings of corrupt files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CorruptFileWarning)
        answer = function()
    return answer, [str(warning.message) for warning in caught]


@ANY_DAMAGE
@ANY_TABLE
def test_a_damaged_file_of_one_trial_costs_that_trial_only(
    lab: Lab, table: str, damage: Callable[[bytes], bytes]
) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:2])
    settle.settle(lab.store, sweep)
    lab.commit(sweep, *trials[2:])
    hit = trials[3].trial_id
    name = f"{table}/{hit}.parquet"
    damaged = harm(lab.folder / name, damage)

    frame, told = quietly(lambda: getattr(lab.store.snapshot(), table)())
    assert set(frame["trial_id"]) == {trial.trial_id for trial in trials} - {hit}
    assert len(told) == 1
    assert name in told[0]
    assert "count as missing" in told[0]

    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert any(name in text for text in told)
    assert (lab.folder / "corrupt" / name).read_bytes() == damaged
    assert_tidy(lab, [trial for trial in trials if trial.trial_id != hit])
    assert hit not in lab.store.snapshot().outcomes
    assert list(contents(lab.folder / "corrupt")) == [name]


@ANY_DAMAGE
@ANY_TABLE
def test_a_damaged_merged_file_is_kept_aside_with_its_partners(
    lab: Lab, table: str, damage: Callable[[bytes], bytes]
) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:2])
    settle.settle(lab.store, sweep)
    merged = {each: lab.merged(each) for each in TABLES}
    lab.commit(sweep, trials[2])
    lab.fail(sweep, trials[3])
    expected = {name: (lab.folder / name).read_bytes() for name in merged.values()}
    expected[merged[table]] = harm(lab.folder / merged[table], damage)

    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert len(told) == 1
    assert merged[table] in told[0]
    assert_tidy(lab, trials[2:], {trials[3].trial_id})
    assert contents(lab.folder / "corrupt") == expected


@ANY_TABLE
def test_damage_is_found_where_nothing_else_is_to_be_done(lab: Lab, table: str) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    settle.settle(lab.store, sweep)
    name = lab.merged(table)
    harm(lab.folder / name, flip_in_a_page)
    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert any(name in text for text in told)
    assert lab.store.snapshot().outcomes == {}
    assert (lab.folder / "corrupt" / name).exists()


def test_a_file_that_did_not_change_is_read_through_once(lab: Lab) -> None:
    """Damage that leaves size and time alone is told by who reads; a touch makes it looked for."""
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    settle.settle(lab.store, sweep)
    path = lab.folder / lab.merged("probes")
    before = path.stat()
    harm(path, flip_in_a_page)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert told == []
    _, told = quietly(lab.store.snapshot().probes)
    assert path.name in told[0]
    path.touch()
    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert path.name in told[0]
    assert lab.store.snapshot().outcomes == {}


def test_what_is_noted_of_whole_files_may_be_lost(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    settle.settle(lab.store, sweep)
    harm(lab.folder / FILE, truncate)
    settle.settle(lab.store, sweep)
    assert_tidy(lab, expand(sweep))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 99}', "[[1]]", "\x00\xff"])
@pytest.mark.parametrize("name", [".whole.json", ".driver.json", "cost.json", "code/digest.json"])
def test_advice_that_says_nothing_is_made_anew(lab: Lab, name: str, content: str) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    settle.settle(lab.store, sweep)
    path = lab.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode("latin-1"))
    results = Results(sweep, Store(lab.location))
    print_status(results, Console(file=io.StringIO()))
    assert len(results.trials) == len(expand(sweep))
    with beating(lab.store, lambda: Heartbeat({})):
        assert driver_of(lab.store)
    settle.settle(lab.store, sweep)
    assert_tidy(lab, expand(sweep))


@pytest.mark.parametrize("damage", [truncate, empty])
@ANY_TABLE
@pytest.mark.parametrize("settled", [False, True], ids=["while it runs", "at rest"])
def test_a_damaged_schema_file_is_made_anew(
    lab: Lab, table: str, damage: Callable[[bytes], bytes], settled: bool
) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials)
    if settled:
        settle.settle(lab.store, sweep)
    before = pq.read_schema(lab.folder / table / SCHEMA)
    damaged = harm(lab.folder / table / SCHEMA, damage)
    quietly(lambda: assert_shows(lab.store, trials))
    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert len(told) == 1
    assert f"{table}/{SCHEMA}" in told[0]
    assert_tidy(lab, trials)
    assert pq.read_schema(lab.folder / table / SCHEMA).equals(before)
    assert (lab.folder / "corrupt" / table / SCHEMA).read_bytes() == damaged


@ANY_DAMAGE
@pytest.mark.parametrize("kind", ["head", "epochs", "probes"])
def test_a_damaged_checkpoint_is_kept_aside_and_its_trial_starts_anew(
    lab: Lab, damage: Callable[[bytes], bytes], kind: str
) -> None:
    sweep = make_sweep()
    done, begun, hit = expand(sweep)[:3]
    lab.prepare(sweep)
    lab.commit(sweep, done)
    for trial in (begun, hit):
        lab.save(sweep, trial)
    (path,) = lab.checkpoint_files(hit, kind)
    damaged = harm(path, damage)
    frame, told = quietly(lab.store.snapshot().trials)
    assert set(frame["trial_id"]) == {done.trial_id, begun.trial_id}
    assert len(told) == 1
    assert f"checkpoints/{hit.trial_id}/{path.name}" in told[0]
    quietly(lambda: settle.settle(lab.store, sweep))
    assert lab.store.snapshot().checkpoint_ids == [begun.trial_id]
    assert (lab.folder / "corrupt" / path.relative_to(lab.folder)).read_bytes() == damaged


def test_several_damaged_files_at_once_are_all_kept(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials)
    hit = {
        f"trials/{trials[0].trial_id}.parquet": truncate,
        f"epochs/{trials[1].trial_id}.parquet": flip_in_a_page,
        f"probes/{trials[2].trial_id}.parquet": empty,
        f"trials/{SCHEMA}": empty,
    }
    damaged = {name: harm(lab.folder / name, damage) for name, damage in hit.items()}
    _, told = quietly(lambda: settle.settle(lab.store, sweep))
    assert len(told) == len(hit)
    assert_tidy(lab, trials[3:])
    assert contents(lab.folder / "corrupt") == damaged


def test_a_file_that_breaks_twice_is_kept_twice(lab: Lab) -> None:
    sweep = make_sweep(factors={"x": (1,)})
    (trial,) = expand(sweep)
    for damage in (empty, truncate):
        lab.prepare(sweep)
        lab.commit(sweep, trial)
        harm(lab.folder / f"trials/{trial.trial_id}.parquet", damage)
        quietly(lambda: settle.settle(lab.store, sweep))
    assert len(contents(lab.folder / "corrupt/trials")) == 2


def test_damage_anywhere_in_a_head_is_noticed(lab: Lab) -> None:
    sweep = make_sweep(factors={"x": (1,)})
    (trial,) = expand(sweep)
    lab.prepare(sweep)
    lab.save(sweep, trial)
    data = lab.checkpoint_files(trial, "head")[0].read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(DamagedError):
            Head.from_bytes(bytes(damaged))


@pytest.mark.parametrize("name", ["schema", "single", "merged"])
def test_damage_in_a_footer_never_ends_a_reader(lab: Lab, name: str) -> None:
    """Footers have no checksums: some damage shows as wrong text, none as another error."""
    sweep = make_sweep(factors={"x": (1, 2)})
    first, second = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, first)
    settle.settle(lab.store, sweep)
    lab.commit(sweep, second)
    path = (
        lab.folder
        / {
            "schema": f"trials/{SCHEMA}",
            "single": f"trials/{second.trial_id}.parquet",
            "merged": lab.merged("trials"),
        }[name]
    )
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    told = 0
    for place in range(footer, len(data), 41):
        damaged = bytearray(data)
        damaged[place] ^= 0x80
        path.write_bytes(damaged)
        told += bool(quietly(lambda: lab.store.snapshot().outcomes)[1])
    assert told
