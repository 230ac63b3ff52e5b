"""The sweep files of the papers: their numbers of trials, and that every cell can be built."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load
from trainables import datasets, distributions, models, probes
from trainables.params import validated
from trainables.settings import Settings

SWEEPS = Path(__file__).parents[2] / "sweeps"
FILES = sorted(path for path in SWEEPS.glob("*.yaml") if path.stem != "quickstart")
# From the papers where they give it; the files explain the others.
TRIALS = {
    "figure10": 48,
    "figure13_14": 21,
    "figure15_17": 6,
    "figure18": 15,
    "figure3_4": 9,
    "figure5": 33,
    "figure6_11_12": 105,
    "figure7": 21,
    "figure9": 10,
    "neurips_table": 912,
    "shifted_tanh": 60,
    "table1": 624,
    "table2": 144,
    "table7": 27,
    "wsgaf_cifar10": 165,
    "wsgaf_fashion_mnist": 165,
    "wsgaf_mnist": 165,
    "xu2016_table1": 36,
}


@cache
def read(path):
    sweep = load(path)
    return sweep, expand(sweep)


def test_every_paper_sweep_exists():
    assert TRIALS.keys() == {path.stem for path in FILES if not path.stem.endswith("-mini")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_as_many_trials_as_its_first_lines_say(path):
    count = len(read(path)[1])
    head = path.read_text().split("name:")[0]
    [stated] = re.findall(r"^# ([\d,]+) trials", head, re.MULTILINE)
    assert count == int(stated.replace(",", ""))
    assert count == TRIALS.get(path.stem, count)


@pytest.mark.no_cover
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_cell_of_a_file_can_be_built(path):
    sweep, trials = read(path)
    check = distributions.check if "distributions" in sweep.trainable else build
    for params in {trial.config.cell_id: trial.params for trial in trials}.values():
        check(params)


def build(params):
    settings = validated(Settings, params)
    _, size, _, channels = shape_of(settings.dataset, settings.image_size)
    with torch.device("meta"):
        model = models.build({**settings.for_model(), "image_size": size}, channels, 10)
    assert probes.watchers(model, settings)


@cache
def shape_of(dataset, image_size):
    images, _ = datasets.generated(dataset, image_size)
    return images.shape
