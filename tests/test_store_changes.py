"""Files that are merged, rewritten and retired: nothing is lost or doubled at any instant."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.storing import (
    SCHEMA,
    CrashError,
    Lab,
    assert_plain_trials_are_whole,
    assert_shows,
    assert_tidy,
    contents,
    crash_at,
    make_sweep,
    score,
)

from orchestrator.columns import TABLES
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, settle
from orchestrator.store.schema import Layout, encode


def test_a_trial_shows_in_all_tables_or_in_none(lab: Lab) -> None:
    sweep = make_sweep()
    done, under_way = expand(sweep)[:3], expand(sweep)[3]
    lab.prepare(sweep)
    lab.commit(sweep, *done, under_way)
    for table in TABLES:
        path = lab.folder / table / f"{under_way.trial_id}.parquet"
        data = path.read_bytes()
        path.unlink()
        assert_shows(lab.store, done)
        path.write_bytes(data)
    assert_shows(lab.store, [*done, under_way])


def test_what_a_killed_worker_left_half_written_does_not_show_and_goes(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[:2])
    half = [lab.folder / table / ".0123.parquet.7-abc" for table in (*TABLES, "checkpoints")]
    for path in half:
        path.write_bytes(b"PAR1 half a fi")
    assert_shows(lab.store, expand(sweep)[:2])
    assert len(lab.plain("trials")) == 2
    settle.settle(lab.store, sweep)
    assert not any(path.exists() for path in half)


def test_settling_leaves_one_merged_file_and_the_failed_trials(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    failed = {trials[0].trial_id, trials[2].trial_id}
    lab.prepare(sweep)
    lab.commit(sweep, *(trial for trial in trials if trial.trial_id not in failed))
    lab.fail(sweep, trials[0], trials[2])
    settle.settle(lab.store, sweep)
    assert_tidy(lab, trials, failed)
    for table in TABLES:
        assert failed.isdisjoint(pd.read_parquet(lab.folder / lab.merged(table))["trial_id"])
    assert lab.store.snapshot().outcomes[trials[0].trial_id].error == "no luck"


def test_settling_what_is_settled_changes_no_file(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[1:])
    lab.fail(sweep, expand(sweep)[0])
    settle.settle(lab.store, sweep)
    before = contents(lab.folder)
    settle.settle(lab.store, sweep)
    assert contents(lab.folder) == before


def test_a_trial_that_is_to_run_again_is_gone_before_it_starts(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[1:])
    lab.fail(sweep, trials[0])
    settle.settle(lab.store, sweep)
    again = {trials[0].trial_id, trials[3].trial_id}
    lab.prepare(sweep, drop=again)
    left = [trial for trial in trials if trial.trial_id not in again]
    assert_tidy(lab, left)
    lab.commit(sweep, trials[3])
    assert_shows(lab.store, [*left, trials[3]])


def test_a_reader_is_not_disturbed_by_a_driver_that_merges_files_under_it(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))

    class Overtaken(Store):
        """Looks what files there are; then a driver replaces them before they are read."""

        def ask(self, question: Callable[[Any], Any]) -> Any:
            def later(index: Any) -> Any:
                if len(lab.files("trials")) > 2:
                    settle.settle(lab.store, sweep)
                return question(index)

            return super().ask(later)

    assert_shows(Overtaken(str(lab.folder)), expand(sweep))


NUMBERED = make_sweep(factors={"x": (1, 2)}, search={"odd": (1, 2)}, fixed={"text": "a"})
WIDER = make_sweep(
    factors={"x": (1, 2, 3)},
    search={"odd": (1, 2, "auto")},
    fixed={"text": "a"},
    variants=({"when": {"x": 3}, "fixed": {"text": (1, 2)}},),
    select={"metric": "loss", "mode": "min"},
)
NAMED = make_sweep(search={"odd": ("a",)}, fixed={"text": None})
MIXED = make_sweep(
    search={"odd": ("a", 1)},
    fixed={"text": None},
    variants=({"when": {"x": 2}, "search": {"odd": ("a", 2)}},),
)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("old", "new"),
    [(NUMBERED, NUMBERED), (NUMBERED, WIDER), (NAMED, MIXED)],
    ids=["same file", "wider columns and another metric", "text becomes JSON"],
)
def test_a_crash_at_any_instant_of_settling_loses_and_doubles_nothing(
    tmp_path: Path, old: Sweep, new: Sweep
) -> None:
    """Two trials are in merged files, of which one is to run again; one not yet; one failed."""
    trials = merged, single, failed, again = expand(old)
    origin = Lab(str(tmp_path / "origin"))
    origin.prepare(old)
    origin.commit(old, merged, again)
    origin.prepare(old)
    origin.commit(old, single)
    origin.fail(old, failed)
    for instant in itertools.count():
        lab = Lab(str(tmp_path / str(instant)))
        shutil.copytree(origin.folder, lab.folder)
        try:
            with crash_at(instant):
                settle.settle(lab.store, new, drop={again.trial_id})
            break
        except CrashError:
            here = lab.store.snapshot().outcomes
            kept = [trial for trial in trials if trial is not again or trial.trial_id in here]
            assert_shows(lab.store, kept, {failed.trial_id})
            assert_plain_trials_are_whole(lab, {failed.trial_id})
            kind = pq.read_schema(lab.folder / "trials" / SCHEMA).field("odd").type
            odd = lab.store.snapshot().trials().set_index("trial_id")["odd"]
            assert odd[single.trial_id] == encode(single.params["odd"], kind)
            settle.settle(lab.store, new, drop={again.trial_id})
            assert_settled(lab, [merged, single, failed], failed, new)
    assert_settled(lab, [merged, single, failed], failed, new)
    assert instant >= 9, "settling was expected to change more files than that"


def assert_settled(
    lab: Lab, trials: list[PlannedTrial], failed: PlannedTrial, sweep: Sweep
) -> None:
    """Check that every file has the columns that the sweep is to have."""
    assert_tidy(lab, trials, {failed.trial_id})
    for table in TABLES:
        schema, *others = (pq.read_schema(lab.folder / table / name) for name in lab.files(table))
        assert set(Layout.of(sweep).schema(table).names) <= set(schema.names)
        assert all(other.equals(schema) for other in others)
    best = lab.plain("trials").set_index("trial_id")[f"best_{sweep.select.metric}"]
    expected = {t.trial_id: score(t.trial_id, 2) for t in trials}
    if sweep.select.metric == "loss":
        expected = dict.fromkeys(expected, 1 / 3)
    assert best.dropna().to_dict() == {i: v for i, v in expected.items() if i != failed.trial_id}


def test_a_crash_at_any_instant_of_finishing_leaves_all_of_a_trial_or_none(lab: Lab) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    done, under_way = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, done)
    for instant in range(3):
        with pytest.raises(CrashError), crash_at(instant):
            lab.commit(sweep, under_way)
        assert_shows(lab.store, [done])
        assert_plain_trials_are_whole(lab)
    lab.commit(sweep, under_way)
    assert_shows(lab.store, [done, under_way])


def test_a_crash_at_any_instant_of_retiring_loses_nothing(tmp_path: Path) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    trials = expand(sweep)
    wanted = [trial for trial in trials if trial.params["x"] == 1]
    going = [trial for trial in trials if trial.params["x"] == 2]
    origin = Lab(str(tmp_path / "origin"))
    origin.prepare(sweep)
    origin.commit(sweep, *trials)
    settle.settle(origin.store, sweep)
    for instant in itertools.count():
        lab = Lab(str(tmp_path / str(instant)))
        shutil.copytree(origin.folder, lab.folder)
        retired = Store(str(lab.folder / "retired"))
        try:
            with crash_at(instant):
                settle.retire(lab.store, sweep, {trial.trial_id for trial in wanted})
            break
        except CrashError:
            here = set(lab.store.snapshot().trials()["trial_id"])
            there = (
                set(retired.snapshot().trials()["trial_id"]) if retired.snapshot().layout else set()
            )
            assert here >= {trial.trial_id for trial in wanted}
            assert here | there == {trial.trial_id for trial in trials}
            settle.retire(lab.store, sweep, {trial.trial_id for trial in wanted})
            assert_tidy(lab, wanted)
            assert_shows(retired, going)
    assert instant > 5


def test_retiring_moves_rows_logs_and_checkpoints_and_leaves_the_others_alone(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    wanted = {trial.trial_id for trial in trials if trial.params["x"] == 1}
    done, begun = trials[::2], trials[1::2]
    lab.prepare(sweep)
    lab.commit(sweep, *done)
    for trial in begun:
        lab.save(sweep, trial)
    for trial in trials:
        lab.writer.log(trial.trial_id, f"log of {trial.trial_id}")
    before = {table: lab.plain(table) for table in TABLES}
    gone = settle.retire(lab.store, sweep, wanted)
    assert set(gone) == {trial.trial_id for trial in trials} - wanted
    for table, frame in before.items():
        for folder, stays in {"": True, "retired/": False}.items():
            expected = frame[frame["trial_id"].isin(wanted) == stays]
            keys = ["trial_id", *(k for k in ("epoch", "probe") if k in frame)]
            pd.testing.assert_frame_equal(
                *(
                    f.astype({k: str for k in f if f[k].dtype == "category"})
                    .sort_values(keys)
                    .reset_index(drop=True)
                    for f in (lab.plain(f"{folder}{table}"), expected)
                )
            )
    for trial in trials:
        place = lab.folder if trial.trial_id in wanted else lab.folder / "retired"
        log = place / f"logs/{trial.trial_id}.log"
        assert log.read_text() == f"log of {trial.trial_id}\n"
        if trial in begun:
            assert (place / f"checkpoints/{trial.trial_id}").exists()
    assert len(list((lab.folder / "logs").iterdir())) == len(wanted)


def test_a_trial_can_be_retired_twice(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    wanted = {trial.trial_id for trial in trials[1:]}
    for digest in ("old", "new"):
        lab.prepare(sweep)
        done = lab.store.snapshot().outcomes
        lab.commit(sweep, *(t for t in trials if t.trial_id not in done), digest=digest)
        assert settle.retire(lab.store, sweep, wanted) == [trials[0].trial_id]
    assert sorted(lab.plain("retired/trials")["code_digest"]) == ["new", "old"]
    assert settle.retire(lab.store, sweep, wanted) == []
    assert_tidy(lab, trials[1:])
