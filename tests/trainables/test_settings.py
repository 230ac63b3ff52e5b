"""Rejected params of a trial, and the messages."""

import pytest

from trainables.params import validated
from trainables.settings import Settings

GOOD = {"model": "vgg16", "dataset": "digits", "lr": 0.1, "epochs": 10}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"larning_rate": 0.1}, "unknown param 'larning_rate'.*choose from: activation, augment"),
        ({"weight_decya": 0.1}, "did you mean 'weight_decay'"),
        ({"lr": 0}, "lr: .*greater than 0, got 0"),
        ({"lr": "0.1"}, "lr: .*valid number, got '0.1'"),
        ({"lr": float("nan")}, "lr: .*finite"),
        ({"lr": True}, "lr: "),
        ({"epochs": 1.5}, "epochs: .*valid integer, got 1.5"),
        ({"epochs": 0}, "epochs: .*greater than 0"),
        ({"batch_size": 1}, "batch_size: .*greater than or equal to 2"),
        ({"weight_decay": -1e-4}, "weight_decay: .*greater than or equal to 0"),
        ({"bn_weight_decay": -1}, "bn_weight_decay"),
        ({"augment": "flip"}, "augment: .*'none', 'crop' or 'crop_flip', got 'flip'"),
        ({"val_fraction": 1}, "val_fraction: .*less than 1"),
        ({"lr_drops": [0]}, "lr_drops: .*greater than 0"),
        ({"lr_drops": 5}, "lr_drops: .*valid list"),
        ({"probe_epochs": "some"}, "probe_epochs: .*valid list or 'all', got 'some'"),
        ({"seed": -1}, "seed"),
        ({"optimizer": "adamw"}, "optimizer: .*'sgd' or 'adam', got 'adamw'"),
        ({"loss_images": 0}, "loss_images: .*greater than 0"),
        ({"compile": "graph"}, "compile: .*valid boolean or 'graphs', got 'graph'"),
        ({"probes": ["unit", "input"]}, "probes: [^I]*Input should be [^I]* or 'gates', got"),
    ],
)
def test_the_message_names_the_param_and_what_is_expected(params, message):
    with pytest.raises(ValueError, match=message):
        validated(Settings, {**GOOD, **params})


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_param_is_named(name):
    with pytest.raises(ValueError, match=f"{name}: Field required$"):
        validated(Settings, {key: value for key, value in GOOD.items() if key != name})


def test_null_stands_for_the_default_of_batch_norm_decays():
    settings = validated(Settings, {**GOOD, "bn_weight_decay": None, "weight_decay": 0})
    assert settings.bn_weight_decay is None


@pytest.mark.parametrize(
    ("given", "expected"), [(None, [10]), ("all", list(range(1, 11))), ([1, 5], [1, 5])]
)
def test_probes_are_measured_in_the_given_epochs(given, expected):
    settings = validated(Settings, {**GOOD, "probe_epochs": given})
    assert [epoch for epoch in range(1, 11) if settings.probes_at(epoch)] == expected
    assert settings.for_smoke().probes_at(1)
