"""The sweep files of the papers: their numbers of trials, and that every cell can be built."""

import re
from functools import cache
from pathlib import Path
from shutil import copy

import pytest
import torch
from support.scripts import imported
from support.synthetic import make_trials, results_of

from orchestrator.results.observed import Observed
from orchestrator.results.wanted import wanted
from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load
from trainables import datasets, distributions, models, optim, probes
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
    "figure1_8": 9,
    "figure3_4": 9,
    "figure5": 33,
    "figure6_11_12": 105,
    "figure7": 21,
    "figure9": 10,
    "neurips_table": 912,
    "shifted_tanh": 60,
    "table1": 624,
    "table1_imagenet_short": 48,
    "table1_selected": 80,
    "table2": 144,
    "table7": 27,
    "vgg11": 96,
    "wsgaf_cifar10": 165,
    "wsgaf_fashion_mnist": 165,
    "wsgaf_fashion_mnist_adam": 165,
    "wsgaf_mnist": 165,
    "wsgaf_mnist_adam": 165,
    "xu2016_table1": 36,
}


@cache
def read(path):
    sweep = load(path)
    return sweep, expand(sweep)


def test_every_paper_sweep_exists():
    of_a_laptop = ("-mini", "-small")
    assert TRIALS.keys() == {path.stem for path in FILES if not path.stem.endswith(of_a_laptop)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_as_many_trials_as_its_first_lines_say(path):
    count = wanted(read(path)[0], Observed()).in_all
    head = path.read_text().split("name:")[0]
    [stated] = re.findall(r"^# ([\d,]+) trials", head, re.MULTILINE)
    assert count == int(stated.replace(",", ""))
    assert count == TRIALS.get(path.stem, count)


def test_the_papers_winners_are_trials_of_its_grid_one_config_a_cell():
    _, trials = read(SWEEPS / "table1_selected.yaml")
    grid, of_grid = read(SWEEPS / "table1.yaml")
    assert {t.trial_id for t in trials} < {t.trial_id for t in of_grid}
    published = grid.tables[0].published
    won = {tuple(row[:4]): tuple(row[5:]) for row in published.rows}
    names = ("dataset", "model", "activation", "order")
    ours = {
        tuple(t.params[n] for n in names): (t.params["lr"], t.params["weight_decay"])
        for t in trials
    }
    assert ours == won
    assert len(won) == 32


def test_imagenets_two_best_configs_of_each_cell_are_trials_of_table_1(tmp_path):
    short, trials = read(SWEEPS / "table1_imagenet_short.yaml")
    accuracy = {trial.config.config_id: rank for rank, trial in enumerate(trials)}
    results = results_of(short, make_trials(short, lambda t: accuracy[t.config.config_id] / 100))
    for name in ("table1", "table1_imagenet_short"):
        copy(SWEEPS / f"{name}.yaml", tmp_path)
    path = tmp_path / "table1_imagenet_best2.yaml"
    path.write_text(imported(SWEEPS.parent / "docs/best_two.py").best_two(results))
    assert costs().head(path) in path.read_text()
    best = expand(load(path))
    by_cell = [trials[start : start + 6] for start in range(0, 48, 6)]
    assert sorted((t.params["lr"], t.params["weight_decay"]) for t in best) == sorted(
        (t.params["lr"], t.params["weight_decay"]) for cell in by_cell for t in cell[-2:]
    )
    assert {t.trial_id for t in best} < {t.trial_id for t in read(SWEEPS / "table1.yaml")[1]}


def test_vgg16_11_beside_vgg11_is_that_of_table_2():
    shared = {t.trial_id for t in read(SWEEPS / "vgg11.yaml")[1] if t.params["model"] != "vgg11"}
    of_table = [t for t in read(SWEEPS / "table2.yaml")[1] if t.params["activation"] == "tanh"]
    assert shared == {t.trial_id for t in of_table}


def test_scaled_decays_shrink_parameters_as_in_the_long_schedule():
    """By exp of decay times the sum of the rates of all steps, over 1 less momentum."""

    def exponents(name, images):
        of_seed_0 = [t.params for t in read(SWEEPS / f"{name}.yaml")[1] if t.seed == 0]
        return [
            params["bn_beta_weight_decay"]
            * -(-images // params["batch_size"])
            * sum(
                optim.rate(params["lr"], params["lr_drops"], e + 1) for e in range(params["epochs"])
            )
            for params in of_seed_0
        ]

    scaled = exponents("figure5_scaled-mini", 9_999)
    assert scaled == pytest.approx(exponents("figure5", 50_000), rel=0.02)


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


@cache
def costs():
    return imported(SWEEPS.parent / "docs/costs.py")


@pytest.mark.parametrize(
    "path", [p for p in FILES if "EFLOP" in p.read_text()], ids=lambda p: p.stem
)
def test_a_head_states_the_cost_that_the_formula_gives(path):
    assert costs().head(path) in path.read_text(), "run `python docs/costs.py`"


@pytest.mark.parametrize(
    ("model", "dataset", "multiplications"),
    [
        ("vgg16", "cifar10", 313.2e6),
        ("vgg16", "imagenet", 15.47e9),
        ("mobilenet", "imagenet", 569e6),
    ],
)
def test_a_forward_pass_costs_what_is_published(model, dataset, multiplications):
    """Two operations per multiplication, as the papers of the networks count those."""
    flop = costs().forward_flop(model, "relu", dataset, 1.0)
    assert flop / 2 == pytest.approx(multiplications, rel=0.05)


def test_a_trial_costs_three_passes_an_image_at_the_rate_of_its_precision():
    params = {"model": "vgg16", "dataset": "cifar10", "lr": 0.1, "epochs": 10}
    exact, rounded = (
        costs().of_trial(validated(Settings, {**params, "precision": name}))
        for name in ("tf32", "bf16")
    )
    flop = 10 * (3 * 50_000 + 10_000) * costs().forward_flop("vgg16", "relu", "cifar10", 1.0)
    assert exact.flop == rounded.flop == pytest.approx(flop)
    assert exact.hours == pytest.approx(flop / (0.15 * 156e12) / 3600)
    assert rounded.hours == pytest.approx(exact.hours / 2)


def test_steps_of_small_networks_cost_their_start():
    params = {"model": "tf_mnist", "dataset": "mnist", "order": "nobn", "lr": 0.1, "epochs": 2}
    cost = costs().of_trial(validated(Settings, {**params, "batch_size": 10, "loss_every": 60}))
    assert cost.hours == pytest.approx(2 * (6000 + 100) / 2000 / 3600)
