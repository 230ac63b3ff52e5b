"""What `orch status` prints of a store, with and without a driver."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from support.storing import make_sweep
from support.waiting import until

from orchestrator.results import Results
from orchestrator.running import heartbeat
from orchestrator.running.status import print_status
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
    with heartbeat.beating(store, dict, lambda: 90.0):
        until(lambda: heartbeat.driver_of(store))
        assert ", 0 failed, about 2 min left\n" in printed(make_sweep(), store)
    assert "left" not in printed(make_sweep(), store)
