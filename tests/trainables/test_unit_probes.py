"""The unit probes against Algorithms 1 and 2 of appendix A.11 in three separate passes."""

from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from trainables import activations, data, models
from trainables.classify import train
from trainables.probes.moments import ChannelMagnitudes
from trainables.probes.units import UnitProbes, sparsity
from trainables.units import named_units


def outputs(model, x, part):
    """The outputs of a part of every unit, as float64 arrays (N, C, H, W)."""
    arrays, handles = [], []
    for _, unit in named_units(model):
        module = unit.output if part == "output" else unit.get_submodule(part)
        handles.append(module.register_forward_hook(lambda _m, _i, y: arrays.append(y.numpy())))
    with torch.inference_mode():
        model(x)
    for handle in handles:
        handle.remove()
    return [array.astype(np.float64) for array in arrays]


def algorithm_1(layers, batch=7):
    """Skewness over the layers, in one pass each for mean, variance and skewness."""
    result = []
    for layer in layers:
        total = layer[:, 0].size
        batches = [
            np.moveaxis(layer[i : i + batch], 1, 0).reshape(layer.shape[1], -1)
            for i in range(0, len(layer), batch)
        ]
        mean = sum(block.sum(1) / total for block in batches)
        variance = sum(((block - mean[:, None]) ** 2).sum(1) / total for block in batches)
        correction = np.sqrt(total * (total - 1)) / (total - 2)
        skewness = sum(
            ((block - mean[:, None]) ** 3 / np.sqrt(variance[:, None] ** 3)).sum(1)
            / total
            * correction
            for block in batches
        )
        result.append(np.abs(skewness).mean())
    return result


def algorithm_2(layers, upper):
    """Saturation over the layers: mean of |x| / upper, which is a number or one per channel."""
    return [
        float(
            (
                np.abs(layer)
                / (np.abs(layer).max((0, 2, 3), keepdims=True) if upper is None else upper)
            ).mean()
        )
        for layer in layers
    ]


@pytest.fixture(params=["convention", "swap", "nobn"])
def trained(request, digits_params, make_trial):
    """A finished trial and its network."""
    params = {**digits_params, "order": request.param}
    trial = make_trial()
    list(train(params, trial))
    state = torch.load(BytesIO(trial.saved), weights_only=True)
    network = models.build({**params, "image_size": 8}, 1, 10)
    network.load_state_dict(state["model"])
    return trial, network.eval().to(memory_format=torch.channels_last)


def test_a_trial_logs_the_results_of_the_papers_algorithms(trained):
    trial, model = trained
    test = data.load(data.Choice("digits"), torch.device("cpu")).test
    x = torch.cat([images for images, _ in test.batches()])
    activation, block = outputs(model, x, "activation"), outputs(model, x, "output")
    expected = {
        "skewness": algorithm_1(activation),
        "saturation": algorithm_2(activation, 1.0),
        "sparsity": [1 - value for value in algorithm_2(block, None)],
        "dead_channels": [0.0] * len(activation),
    }
    for probe, values in expected.items():
        rows = [row for row in trial.rows if row.probe == probe]
        assert [row.index for row in rows] == list(range(5))
        assert [row.layer for row in rows] == [name for name, _ in named_units(model)]
        np.testing.assert_allclose([row.value for row in rows], values, rtol=1e-5)


def test_hooks_are_removed_with_the_context():
    model = models.build({"model": "vgg16_8", "width": 0.1}, 1, 10)
    with UnitProbes(model, 1.0):
        pass
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unbounded_activation_has_no_saturation_and_dead_channels_no_skewness(make_trial):
    params = {"model": "vgg16_8", "activation": "relu", "width": 0.1, "image_size": 8}
    network = models.build(params, 1, 10).eval()
    norm = network.get_submodule("conv1_1.norm")
    with torch.no_grad():
        norm.bias[:2] = -100  # all values are negative before the rectifier
    trial = make_trial()
    with torch.inference_mode(), UnitProbes(network, activations.bound(params)) as probes:
        network(torch.randn(9, 1, 8, 8))
    probes.log(trial)
    first = {row.probe: row.value for row in trial.rows if row.index == 0}
    assert first["dead_channels"] == 2
    assert first["sparsity"] > 2 / 6
    assert 0 < first["skewness"] < 10
    assert "saturation" not in {row.probe for row in trial.rows}


def test_a_layer_of_dead_channels_only_has_no_skewness(make_trial):
    params = {"model": "vgg16_8", "activation": "relu", "width": 0.1, "image_size": 8}
    network = models.build(params, 1, 10).eval()
    with torch.no_grad():
        network.get_submodule("conv1_1.norm").bias.fill_(-100)
    trial = make_trial()
    with torch.inference_mode(), UnitProbes(network, None) as probes:
        network(torch.randn(9, 1, 8, 8))
    probes.log(trial)
    first = {row.probe: row.value for row in trial.rows if row.index == 0}
    assert first == {"dead_channels": 6, "sparsity": 1}


def test_sparsity_of_exact_numbers():
    magnitudes = ChannelMagnitudes(3)
    magnitudes.update(torch.tensor([[4.0, 0.0, -2.0], [0.0, 0.0, 2.0]]))
    assert sparsity(magnitudes) == pytest.approx(1 - (0.5 + 0 + 1) / 3, abs=1e-15)


def of(values):
    """The sparsity of one channel."""
    magnitudes = ChannelMagnitudes(1)
    magnitudes.update(torch.tensor(values, dtype=torch.float64)[:, None])
    return sparsity(magnitudes)


# The criteria of Hurley & Rickard (2009) for sparsity, of which appendix A.10 proves five.
unequal = st.lists(st.integers(0, 1000), min_size=2, max_size=20).filter(lambda g: len(set(g)) > 1)
amounts = st.integers(1, 1000)


@given(g=unequal, factor=amounts)
def test_scaling_does_not_change_sparsity(g, factor):
    assert of([factor * each for each in g]) == pytest.approx(of(g), abs=1e-12)


@given(g=unequal, more=amounts)
def test_a_rising_tide_decreases_sparsity(g, more):
    assert of([each + more for each in g]) < of(g)


@given(g=unequal, times=st.integers(2, 5))
def test_cloning_does_not_change_sparsity(g, times):
    assert of(times * g) == pytest.approx(of(g), abs=1e-12)


@given(g=unequal, more=amounts)
def test_one_value_that_grows_large_increases_sparsity(g, more):
    """Bill Gates; if all other values are 0, the ratio to the largest is 0 whatever it is."""
    *others, last = g
    assume(any(others))
    rich = max(g) - last + 1
    assert of([*others, last + rich + more]) > of([*others, last + rich])


@given(g=unequal)
def test_babies_increase_sparsity(g):
    assert of([*g, 0]) > of(g)


def test_robin_hood_need_not_decrease_sparsity():
    """The sixth criterion fails: neither mean nor maximum knows who of the others has what."""
    assert of([8.0, 4.0, 0.0]) == of([8.0, 2.0, 2.0])
