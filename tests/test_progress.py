"""What a display reads of a running sweep."""

from __future__ import annotations

from support.storing import Lab
from support.synthetic import make_sweep

from orchestrator.running.execution import Epoch
from orchestrator.running.inventory import take_inventory
from orchestrator.running.progress import Progress
from orchestrator.spec import expand
from orchestrator.store import Store


def test_the_selection_metric_shown_is_the_last_one_that_an_epoch_had(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    inventory = take_inventory(sweep, lab.store.snapshot(), [], "digest")
    progress = Progress(sweep, inventory, Store(lab.location))
    trial_id = trials[0].trial_id
    progress.started(trial_id)
    shown = []
    for number, metrics in enumerate(
        [{"loss": 2.0}, {"test_accuracy": 0.5}, {"test_accuracy": None}, {}], start=1
    ):
        progress.epoch(trial_id, Epoch(number, metrics))
        running = progress.running[trial_id]
        shown.append((running.epoch, running.selected))
    assert shown == [(1, None), (2, 0.5), (3, 0.5), (4, 0.5)]
