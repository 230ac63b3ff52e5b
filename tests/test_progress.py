"""What a display shows of a running sweep."""

from __future__ import annotations

import pytest
from support.simulation import SimulatedClock
from support.storing import Lab
from support.synthetic import make_sweep

from orchestrator.running.display import Display
from orchestrator.running.execution import Epoch
from orchestrator.running.inventory import take_inventory
from orchestrator.running.progress import Progress
from orchestrator.spec import expand
from orchestrator.store import Store

SWEEP = make_sweep()
FIRST, SECOND, *_ = [trial.trial_id for trial in expand(SWEEP)]


@pytest.fixture
def progress(lab: Lab) -> Progress:
    inventory = take_inventory(SWEEP, lab.store.snapshot(), [], "digest")
    return Progress(SWEEP, inventory, Store(lab.location), SimulatedClock())


@pytest.fixture
def clock(progress: Progress) -> SimulatedClock:
    assert isinstance(progress.clock, SimulatedClock)
    return progress.clock


def test_the_selection_metric_shown_is_the_last_one_that_an_epoch_had(progress: Progress) -> None:
    progress.started(FIRST)
    shown = []
    for number, metrics in enumerate(
        [{"loss": 2.0}, {"test_accuracy": 0.5}, {"test_accuracy": None}, {}], start=1
    ):
        progress.epoch(FIRST, Epoch(number, metrics))
        running = progress.running[FIRST]
        shown.append((running.epoch, running.selected))
    assert shown == [(1, None), (2, 0.5), (3, 0.5), (4, 0.5)]


def pass_epochs(progress: Progress, clock: SimulatedClock, seconds: list[float]) -> None:
    """Let the first trial hand over an epoch after each of some stretches."""
    progress.started(FIRST)
    for number, stretch in enumerate(seconds, start=1):
        clock.advance(stretch)
        progress.epoch(FIRST, Epoch(number, {}))


def quiet_at(progress: Progress, clock: SimulatedClock, seconds: float) -> list[str]:
    """List the quiet trials once some time has passed."""
    clock.advance(seconds)
    return list(progress.heartbeat().quiet)


def test_a_trial_is_quiet_after_ten_times_the_usual_stretch(
    progress: Progress, clock: SimulatedClock
) -> None:
    pass_epochs(progress, clock, [100, 20, 20, 30, 20])
    assert quiet_at(progress, clock, 200) == []
    assert quiet_at(progress, clock, 1) == [FIRST]
    assert progress.heartbeat().quiet == {FIRST: 201}
    progress.epoch(FIRST, Epoch(6, {}))
    assert progress.heartbeat().quiet == {}


def test_first_epochs_have_a_usual_stretch_of_their_own(
    progress: Progress, clock: SimulatedClock
) -> None:
    pass_epochs(progress, clock, [100, 20])
    progress.finished(FIRST)
    progress.started(SECOND)
    assert quiet_at(progress, clock, 1000) == []
    assert quiet_at(progress, clock, 1) == [SECOND]


def test_epochs_of_milliseconds_may_come_a_minute_late(
    progress: Progress, clock: SimulatedClock
) -> None:
    pass_epochs(progress, clock, [1, 0.01, 0.01])
    assert quiet_at(progress, clock, 60) == []
    assert quiet_at(progress, clock, 1) == [FIRST]


def test_without_any_epoch_a_trial_has_half_an_hour(
    progress: Progress, clock: SimulatedClock
) -> None:
    progress.started(FIRST)
    assert quiet_at(progress, clock, 1800) == []
    assert quiet_at(progress, clock, 1) == [FIRST]


def test_lines_name_a_quiet_trial_once_and_repeat_themselves_every_ten_minutes(
    progress: Progress, clock: SimulatedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display().following(progress):
        progress.started(FIRST)
        clock.advance(2 * 3600)
    lines = capsys.readouterr().err.splitlines()
    (named,) = (line for line in lines if "is quiet" in line)
    assert named.startswith(f"trial {FIRST} (")
    assert named.endswith(
        f"is quiet: nothing in the 30 min since its start; see {progress.log_name(FIRST)}"
    )
    at_the_start, when_it_runs, at_the_end = 1, 1, 1
    assert len(lines) - 1 == at_the_start + when_it_runs + 11 + at_the_end
