"""Activation functions against their formulas, and the bounds of the saturation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from trainables import activations
from trainables.wsgaf import Wsgaf

X = np.linspace(-6, 6, 241)
FORMULAS = {
    "tanh": np.tanh(X),
    "lecun_tanh": 1.7159 * np.tanh(2 * X / 3),
    "softsign": X / (1 + np.abs(X)),
    "sigmoid": expit(X),
    "scaled_sigmoid": 4 * expit(X) - 2,
    "relu": np.maximum(X, 0),
    "leaky_relu": np.where(X < 0, 0.1 * X, X),
    "leaky_tanh": np.where(X < 0, 0.1 * np.tanh(X), np.tanh(X)),
    "penalized_tanh": np.where(X < 0, np.tanh(0.1 * X), np.tanh(X)),
    "shifted_tanh": np.tanh(X + 0.7) + np.tanh(-0.7),
}
PARAMS = {"leak": 0.1, "shift": -0.7}


def test_every_activation_has_a_formula_here_or_a_test_of_its_own():
    assert FORMULAS.keys() | {"wsgaf"} == activations.ACTIVATIONS.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula(name):
    module = activations.build({"activation": name, **PARAMS})
    np.testing.assert_allclose(module(torch.from_numpy(X)), FORMULAS[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_bound_is_the_least_upper_bound(name):
    params = {"activation": name, **PARAMS}
    bound = activations.bound(params)
    far = activations.build(params)(torch.tensor([-1e9, 1e9], dtype=torch.float64)).abs().max()
    if bound is None:
        assert far > 1e8
    else:
        assert far.item() == pytest.approx(bound, rel=1e-8)


@given(shift=st.floats(-3, 3))
def test_a_shifted_tanh_passes_through_the_origin(shift):
    module = activations.build({"activation": "shifted_tanh", "shift": shift})
    assert abs(module(torch.zeros(1, dtype=torch.float64)).item()) < 1e-15


@pytest.mark.parametrize("leak", [-0.01, 0.51, float("nan")])
@pytest.mark.parametrize("name", ["leaky_relu", "leaky_tanh", "penalized_tanh"])
def test_a_leak_outside_the_papers_range_is_rejected(name, leak):
    with pytest.raises(ValueError, match=r"leak must lie in \[0, 0.5\]"):
        activations.build({"activation": name, "leak": leak})


def wsgaf(shape=(3, 4, 5), **params):
    return activations.build({"activation": "wsgaf", **params}, shape)


@pytest.mark.parametrize(("per", "count"), [("neuron", 3 * 60), ("channel", 3 * 3), ("layer", 3)])
@pytest.mark.parametrize("gate", ["linear", "sigmoid"])
def test_wsgaf_is_the_gated_sum(per, count, gate):
    module = wsgaf(wsgaf_per=per, wsgaf_gate=gate)
    assert sum(p.numel() for p in module.parameters()) == count
    x = np.random.default_rng(0).normal(size=(7, 3, 4, 5)).astype(np.float32)
    weights = module.weights.detach().numpy()
    relu, tanh, sigmoid = weights if gate == "linear" else expit(weights)
    expected = relu * np.maximum(x, 0) + tanh * np.tanh(x) + sigmoid * expit(x)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("gate", "std", "deviation"),
    [
        ("linear", "small", 0.05),
        ("linear", "large", 0.5),
        ("sigmoid", "small", 0.1),
        ("sigmoid", "large", 1),
    ],
)
@pytest.mark.parametrize(
    ("init", "means"),
    [("relu", (1, 0, 0)), ("tanh", (0, 1, 0)), ("sigmoid", (0, 0, 1)), ("all", (1, 1, 1))],
)
def test_wsgaf_starts_as_in_table_1(gate, std, deviation, init, means):
    torch.manual_seed(0)
    module = wsgaf((40, 50, 50), wsgaf_gate=gate, wsgaf_std=std, wsgaf_init=init)
    flat = module.weights.detach().flatten(1)
    np.testing.assert_allclose(flat.mean(1), means, atol=0.02)
    np.testing.assert_allclose(flat.std(1), deviation, rtol=0.02)
    assert list(module.changes().values()) == [0, 0, 0]


def test_wsgaf_measures_its_change_across_a_checkpoint():
    module, other = wsgaf((2,)), wsgaf((2,))
    with torch.no_grad():
        module.weights[1] += 0.25
    other.load_state_dict(module.state_dict())
    assert isinstance(other, Wsgaf)
    assert other.changes() == pytest.approx({"relu": 0, "tanh": 0.25, "sigmoid": 0}, abs=1e-6)


@pytest.mark.parametrize("param", ["wsgaf_per", "wsgaf_gate", "wsgaf_init", "wsgaf_std"])
def test_unknown_wsgaf_settings_are_rejected(param):
    with pytest.raises(ValueError, match=f"unknown {param} 'huge'.*choose from"):
        wsgaf(**{param: "huge"})


def test_wsgaf_needs_a_shape():
    with pytest.raises(ValueError, match="needs the shape"):
        activations.build({"activation": "wsgaf"})


@pytest.mark.parametrize("per", ["neuron", "channel", "layer"])
def test_wsgaf_is_the_same_in_either_memory_format(per):
    torch.manual_seed(0)
    module = wsgaf((6, 4, 5), wsgaf_per=per)
    x = torch.randn(3, 6, 4, 5)
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        module.to(memory_format=memory_format).zero_grad()
        inputs = x.clone(memory_format=memory_format).requires_grad_()
        out = module(inputs)
        out.square().sum().backward()
        assert out.is_contiguous(memory_format=memory_format)
        results.append((out, inputs.grad, module.weights.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)
