"""The param `compile`: the same training up to rounding, in every step of an epoch."""

import os
import shutil

import pytest
from torch._dynamo.utils import counters

from trainables.classify import train

# What a CPU compiles without a cache takes most of a minute each; there are no graphs on one.
VGG = {"model": "vgg16_8"}
WSGAF = {"model": "tf_cifar10", "order": "nobn", "activation": "wsgaf"}
ON_CPU = [(True, VGG), ("graphs", WSGAF)]
ON_GPU = [(True, VGG), ("graphs", {**VGG, "precision": "bf16"}), ("graphs", WSGAF)]


@pytest.fixture(autouse=True)
def _compiler():
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
        pytest.skip("needs a C++ compiler, g++ or clang++")


@pytest.fixture
def params(digits_params):
    """Three steps an epoch, of 64, 64 and 22 images; a CUDA graph is replayed from the third on."""
    more = {"train_size": 150, "epochs": 3, "loss_every": 1, "precision": "fp32", "lr": 0.01}
    return {**digits_params, **more, "lr_drops": []}


def losses(params, trial):
    """Metrics by epoch, and the training loss of every step."""
    metrics = list(train(params, trial))
    return metrics, [row.value for row in trial.rows if row.probe == "train_loss"]


@pytest.mark.parametrize(
    ("gpus", "compile_", "changes"),
    [
        *(pytest.param(0, *case, marks=pytest.mark.slow) for case in ON_CPU),
        *(pytest.param(1, *case, marks=pytest.mark.gpu) for case in ON_GPU),
    ],
)
def test_a_compiled_network_has_the_losses_of_the_plain_one(
    gpus, compile_, changes, params, make_trial
):
    params |= changes
    plain, compiled = make_trial(gpus=gpus), make_trial(gpus=gpus)
    expected, expected_losses = losses(params, plain)
    counters.clear()
    metrics, step_losses = losses({**params, "compile": compile_}, compiled)
    assert counters["stats"]["unique_graphs"] == 2  # of both sizes, and none for evaluation
    assert len(step_losses) == 9
    near = 0.02 if params["precision"] == "bf16" else 2e-3
    assert step_losses == pytest.approx(expected_losses, rel=near)
    assert [each["test_loss"] for each in metrics] == pytest.approx(
        [each["test_loss"] for each in expected], rel=near
    )
    assert [row[:2] for row in compiled.rows] == [row[:2] for row in plain.rows]
    resumed = make_trial(saved=plain.saved, gpus=gpus)  # their checkpoints are interchangeable
    assert losses({**params, "compile": compile_}, resumed) == ([], [])


@pytest.mark.gpu
def test_a_graph_draws_new_dropout_in_every_step(params, make_trial):
    """Each epoch is one step on the same images, at a rate too small to change anything else."""
    params |= {"model": "tf_mnist", "order": "nobn", "augment": "none", "shuffle": False}
    params |= {"batch_size": 150, "lr": 1e-12, "epochs": 6, "compile": "graphs"}
    _, step_losses = losses(params, make_trial(gpus=1))
    assert len(set(step_losses)) == 6
