"""Questions asked of a store from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.errors import InputError, ShowError, SpecError
from orchestrator.results.results import Results, open_store
from orchestrator.running.run import run

TRAINABLE = """
def train(params, trial):
    trial.probe("skewness", "block0", params["seed"], index=0)
    swap = params["order"] == "swap"
    yield {"test_accuracy": 0.5 + swap * (params["seed"] + 1) / 64 - params["lr"], "test_loss": 1.0}
"""

FILE = """
name: asked
trainable: toy_results:train
seeds: [0, 1, 2]
factors: {dataset: [digits, letters], order: [convention, swap]}
search: {lr: [0.25, 0.125]}
select: {metric: test_accuracy}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("results")
    (place / "toy_results.py").write_text(TRAINABLE, encoding="utf-8")
    (place / "asked.yaml").write_text(FILE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(place)
        run("asked.yaml", runner="inline", progress=False)
        yield open_store("results/asked")


def test_best_describes_the_selected_configs(results: Results):
    found = results.best()
    assert found["mean"].tolist() == [0.375, 0.375 + 2 / 64] * 2
    assert found["lr"].tolist() == [0.125] * 4
    both = results.best("test_loss", "probe:skewness")
    assert both["mean"].tolist() == [1.0] * 8
    with pytest.raises(ShowError, match="no probe `skew`; it has `skewness`"):
        results.best("probe:skew")


def test_compare_pairs_by_seed(results: Results):
    found = results.compare("order", "swap", "convention", where={"dataset": "digits"})
    assert found.contrast.effect == 2 / 64
    assert found.contrast.std == pytest.approx(1 / 64)
    assert found.contrast.n == 3
    probe = results.compare("order", "swap", "convention", "probe:skewness")
    assert probe.contrast.effect == 0
    assert probe.notes == (
        "no spread: all seeds give the same difference, which no test can judge",
    )


def test_compare_takes_values_as_pandas_and_lists_hold_them(results: Results):
    found = results.compare("order", np.str_("swap"), "convention", where={"dataset": ["digits"]})
    assert found.contrast.effect == 2 / 64


def test_measure_at_an_epoch_knows_only_what_epochs_have(results: Results):
    with pytest.raises(ShowError, match="no metric `best_test_accuracy`; it has `test_accuracy`"):
        results.measure("best_test_accuracy", epoch=1)


def test_a_report_that_names_no_file_says_so(results: Results):
    with pytest.raises(SpecError, match=r"^nope\.yaml: no such file$"):
        results.report("nope.yaml")


def test_compare_refuses_what_does_not_exist(results: Results):
    with pytest.raises(InputError, match="did you mean `swap`"):
        results.compare("order", "swop", "convention")
    with pytest.raises(InputError, match="did you mean `order`"):
        results.compare("ordr", "swap", "convention")
