"""What `orch status` prints of a store, with and without a driver."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from support.storing import Lab, make_sweep
from support.waiting import until

from orchestrator.results import Results
from orchestrator.running import heartbeat
from orchestrator.running.heartbeat import Heartbeat
from orchestrator.running.status import SweepStatus, print_status
from orchestrator.spec import expand
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, settle


def printed(sweep: Sweep, store: Store) -> str:
    out = io.StringIO()
    print_status(Results(sweep, store), Console(file=out, width=80))
    return out.getvalue()


def empty_store(path: Path) -> Store:
    store = Store(str(path / "toy"))
    settle.create(store)
    return store


def test_cells_are_named_by_what_they_differ_in(tmp_path: Path) -> None:
    sweep = make_sweep(factors={"x": (1,), "kind": ("a",), "decay": (None, 0.5)})
    head, _, *cells = printed(sweep, empty_store(tmp_path)).splitlines()
    assert head == "toy  0 of 2 trials done, 0 running, 0 failed"
    assert [line.split() for line in cells] == [
        ["decay", "seeds", "trials"],
        ["null", "0", "of", "1", "0", "of", "1"],
        ["0.5", "0", "of", "1", "0", "of", "1"],
    ]


def test_the_time_left_is_the_drivers(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    with heartbeat.beating(store, lambda: Heartbeat({}, 90.0)):
        until(lambda: heartbeat.driver_of(store))
        assert ", 0 failed, about 2 min left\n" in printed(make_sweep(), store)
    assert "left" not in printed(make_sweep(), store)


def test_a_trial_that_may_hang_is_named_with_its_log(tmp_path: Path) -> None:
    store, sweep = empty_store(tmp_path), make_sweep()
    first, second, *_ = [trial.trial_id for trial in expand(sweep)]
    running = {first: 3, second: 0}
    with heartbeat.beating(store, lambda: Heartbeat(running, quiet={second: 1860.0})):
        until(lambda: heartbeat.driver_of(store))
        lines = printed(sweep, store).splitlines()
        state = SweepStatus.of(Results(sweep, store)).as_dict()
    assert f"running {first}, epoch 3 done, log {store.log_name(first)}" in lines
    assert (
        f"running {second}, epoch 0 done, log {store.log_name(second)}, "
        "quiet for 31 min: does it hang?"
    ) in lines
    assert [each["quiet_seconds"] for each in state["running"]] == [None, 1860.0]


def test_equal_failures_are_one_line_that_names_the_first_log(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    trials = sorted(expand(sweep), key=lambda trial: trial.trial_id)
    errors = ["[no] luck\nat 1", "alone", "[no] luck\nat 2", None]
    for trial, error in zip(trials, errors, strict=True):
        lab.fail(sweep, trial, error=error)
    lines = printed(sweep, lab.store).splitlines()
    first, alone, _, silent = (trial.trial_id for trial in trials)
    assert lines[-3:] == [
        f"2 trials failed: [no] luck; see {lab.store.log_name(first)}",
        f"failed {alone}: alone; see {lab.store.log_name(alone)}",
        f"failed {silent}: no message; see {lab.store.log_name(silent)}",
    ]
