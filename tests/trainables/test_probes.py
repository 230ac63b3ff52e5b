"""Probes beyond the paper's three measures, against values computed independently."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional

from trainables import data, devices, models, probes
from trainables.params import validated
from trainables.probes.histograms import Histogram
from trainables.settings import Settings
from trainables.units import named_units

PARAMS = {
    "model": "vgg16_8",
    "dataset": "digits",
    "activation": "tanh",
    "order": "swap",
    "width": 0.1,
    "lr": 0.1,
    "epochs": 1,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return models.build({**PARAMS, "image_size": 8}, 1, 10).eval()


def bf16_model():
    torch.manual_seed(0)
    network = models.build({**PARAMS, "image_size": 8}, 1, 10).eval()
    devices.place(network, torch.device("cpu"), "bf16")
    return network


def outputs_of(model, x, part):
    """Output of a part of every unit, by unit."""
    outputs = {}
    for name, unit in named_units(model):
        unit.get_submodule(part).register_forward_hook(
            lambda _m, _i, y, name=name: outputs.update({name: y.detach().numpy()})
        )
    model(x)
    return outputs


def watched(model, x, trial, **params):
    for watcher in probes.watchers(model, validated(Settings, {**PARAMS, **params})):
        with watcher, torch.inference_mode():
            model(x[:3])
            model(x[3:])
        watcher.log(trial)
    return trial.rows


def test_inputs_are_means_over_channels(model, make_trial):
    x = torch.randn(9, 1, 8, 8)
    rows = watched(model, x, make_trial(), probes=["inputs"])
    assert len(rows) == 2 * 5
    for index, (name, y) in enumerate(outputs_of(model, x, "weight").items()):
        mean, deviation = (row.value for row in rows if row.layer == name)
        assert mean == pytest.approx(np.abs(y.mean((0, 2, 3))).mean(), rel=1e-4)
        assert deviation == pytest.approx(y.std((0, 2, 3)).mean(), rel=1e-4)
        assert {row.index for row in rows if row.layer == name} == {index}


def test_histograms_of_a_layer_and_its_channels(model, make_trial):
    x = torch.randn(9, 1, 8, 8)
    rows = watched(
        model,
        x,
        make_trial(),
        probes=["histograms"],
        histogram_layers=["conv2_1"],
        histogram_channels=[0, 5],
    )
    for probe, part in (("activation_histogram", "activation"), ("output_histogram", "norm")):
        y = outputs_of(model, x, part)["conv2_1"]
        for unit, values in ((None, y), (0, y[:, 0]), (5, y[:, 5])):
            bins = [row for row in rows if row.probe == probe and row.unit == unit]
            edge = bins[-1].at + (bins[1].at - bins[0].at) / 2
            expected, edges = np.histogram(values, bins=64, range=(-edge, edge))
            np.testing.assert_allclose([row.value for row in bins], expected / values.size)
            np.testing.assert_allclose([row.at for row in bins], (edges[1:] + edges[:-1]) / 2)
            assert {row.index for row in bins} == {2}


# A power of two may be the limit at first, which counts in the last bin.
VALUES = st.floats(-1e3, 1e3, width=32).filter(lambda value: value <= 0 or math.log2(value) % 1)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=8), min_size=1, max_size=6))
def test_a_histogram_that_grew_equals_one_of_the_final_range(batches):
    grown = Histogram()
    for batch in batches:
        grown.update(torch.tensor(batch))
    fixed = Histogram()
    fixed.limit = grown.limit
    fixed.update(torch.tensor([value for batch in batches for value in batch]))
    assert grown.counts.sum() == sum(map(len, batches))
    assert torch.equal(grown.counts, fixed.counts)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_shares_are_nan_after_a_value_that_is_not_finite(value):
    for batches in ([value], [0.5, value, 0.25], [0.5, value, 3.0]):
        histogram = Histogram()
        for batch in batches:
            histogram.update(torch.tensor([0.1, batch]))
        assert np.isnan(histogram.shares()).all()
        assert len(set(histogram.centres())) == len(histogram.shares())


def test_bf16_networks_have_statistics_of_their_own_outputs_in_full_precision(make_trial):
    """As if the bfloat16 outputs were measured in float64."""
    network = bf16_model()
    x = torch.randn(300, 1, 8, 8)
    rows = watched(network, x, make_trial(), probes=["units", "inputs"])
    found = {(row.probe, row.layer): row.value for row in rows}
    outputs = {}
    for name, unit in named_units(network):
        for part in ("weight", "activation"):
            unit.get_submodule(part).register_forward_hook(
                lambda _m, _i, y, key=(name, part): outputs.setdefault(key, []).append(y)
            )
    with torch.inference_mode():
        network(x[:3])
        network(x[3:])
    assert {y.dtype for ys in outputs.values() for y in ys} == {torch.bfloat16}
    for (name, part), ys in outputs.items():
        values = torch.cat(ys).double().numpy()
        if part == "activation":
            assert found["saturation", name] == pytest.approx(np.abs(values).mean(), rel=1e-6)
            rows = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
            expected = np.abs(stats.skew(rows, bias=False)).mean()
            assert found["skewness", name] == pytest.approx(expected, rel=1e-5)
        else:
            deviation = values.std((0, 2, 3)).mean()
            assert found["input_deviation", name] == pytest.approx(deviation, rel=1e-6)


def test_bf16_moves_no_measure_by_more_than_its_rounding(model, make_trial):
    """Of the same weights; bfloat16 has 8 bits."""
    part = data.load(data.Choice("digits", train_size=1000), torch.device("cpu")).train
    [(x, _)] = part.training_batches(1000, "none", torch.Generator().manual_seed(0))
    measured = []
    for network in (model, bf16_model()):
        trial = make_trial()
        watched(network, x, trial, probes=["units", "inputs"])
        probes.log_gradients(network, part, trial, seed=0)
        measured.append(trial.rows)
    for exact, rounded in zip(*measured, strict=True):
        assert rounded[:2] == exact[:2]
        assert rounded.value == pytest.approx(exact.value, rel=2**-5, abs=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"histogram_layers": ["conv9"]}, "unknown unit in histogram_layers 'conv9'.*conv1_1"),
        (
            {"histogram_layers": ["conv1_1"], "histogram_channels": [6]},
            "conv1_1 has 6 channels, got 6",
        ),
    ],
)
def test_histograms_of_unknown_units_and_channels_are_rejected(model, params, message):
    with pytest.raises(ValueError, match=message):
        probes.watchers(model, validated(Settings, {**PARAMS, "probes": ["histograms"], **params}))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_are_those_of_the_mean_loss(precision, model, make_trial):
    if precision == "bf16":  # the means are over rounded values, but are not rounded themselves
        model = bf16_model()
    trial = make_trial()
    part = data.load(data.Choice("digits", train_size=200), torch.device("cpu")).train
    probes.log_gradients(model, part, trial, seed=3)
    logged = {(row.probe, row.layer): row.value for row in trial.rows}
    assert len(logged) == 3 * 5
    expected = {"weight": [], "input": [], "activation": []}
    unit = dict(named_units(model))["conv2_2"]
    kept = {}
    unit.get_submodule("weight").register_forward_hook(
        lambda _m, inputs, y: kept.update(x=inputs[0], y=y) or y.retain_grad()
    )
    for x, labels in part.training_batches(128, "none", torch.Generator().manual_seed(3)):
        model.zero_grad()
        functional.cross_entropy(model(x), labels).backward()
        expected["weight"].append(unit.get_parameter("weight.weight").grad.double().abs().mean())
        expected["input"].append(kept["x"].double().abs().mean())
        expected["activation"].append(kept["y"].grad.double().abs().mean())
    for probe, name in (
        ("weight_gradient", "weight"),
        ("convolution_input", "input"),
        ("activation_gradient", "activation"),
    ):
        mean = float(torch.stack(expected[name]).detach().mean())
        assert logged[probe, "conv2_2"] == pytest.approx(mean, rel=1e-5)


def test_gradients_leave_nothing_behind(model, make_trial):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    part = data.load(data.Choice("digits", train_size=50), torch.device("cpu")).train
    probes.log_gradients(model, part, make_trial(), seed=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_pre_hooks or m._backward_hooks for m in model.modules())


def test_gates_of_every_wsgaf_layer(make_trial):
    params = {"model": "tf_mnist", "activation": "wsgaf", "width": 0.1, "order": "nobn"}
    network = models.build({**params, "image_size": 8}, 1, 10)
    with torch.no_grad():
        network.get_parameter("conv2.activation.weights")[0] += 1.5
    trial = make_trial()
    probes.log_gates(network, trial)
    rows = {(row.probe, row.layer): row for row in trial.rows}
    assert len(rows) == 6 * 3
    assert {(row.layer, row.index) for row in trial.rows} == {
        ("conv1", 0),
        ("conv2", 1),
        ("activation", 2),
    }
    assert rows["gate_change_relu", "conv2"].value == pytest.approx(1.5, rel=1e-5)
    assert rows["gate_change_tanh", "conv2"].value == 0
    assert rows["gate_tanh", "conv1"].value == pytest.approx(1, abs=0.1)
