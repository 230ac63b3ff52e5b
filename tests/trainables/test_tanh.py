"""The hyperbolic tangent by oneDNN, in the memory format of trials, against float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.tanh import tanh

SPECIAL = [0.0, -0.0, 1e-45, -1e-40, 1.2e-38, 88.8, -1e9, float("inf"), float("-inf"), float("nan")]


def batch(values):
    """A batch of one image in channels_last memory."""
    return torch.tensor(values)[None, :, None, None].to(memory_format=torch.channels_last)


def assert_is_tanh(values):
    x = batch(values)
    y = tanh(x)
    assert y.shape == x.shape
    assert y.is_contiguous(memory_format=torch.channels_last)
    exact = np.tanh(np.array(values, np.float32).astype(np.float64))
    np.testing.assert_allclose(y.flatten(), exact, rtol=2.5e-7, atol=1e-44)


@given(st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=200))
def test_every_value_is_as_accurate_as_float32_allows(values):
    assert_is_tanh(values)


def test_special_values_and_the_approach_to_one_are_accurate():
    assert_is_tanh(SPECIAL)
    assert_is_tanh(np.linspace(-10, 10, 100_001, dtype=np.float32).tolist())
    assert_is_tanh(np.geomspace(1e-38, 10, 100_001, dtype=np.float32).tolist())


def test_a_value_does_not_depend_on_its_neighbours():
    x = torch.randn(3, 7, 5, 5).to(memory_format=torch.channels_last)
    assert torch.equal(tanh(x)[1:2], tanh(x[1:2]))


def test_the_gradient_is_torchs():
    x = torch.randn(4, 6, 5, 5).to(memory_format=torch.channels_last)
    weights, gradients = torch.randn(4, 6, 5, 5), []
    for function in (tanh, torch.tanh):
        inputs = x.clone().requires_grad_()
        (function(inputs) * weights).sum().backward()
        gradients.append(inputs.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "x", [torch.randn(3, 4, 5, 5), torch.randn(7), torch.randn(2, 3, 4, 4).double()]
)
def test_other_tensors_use_torchs_implementation(x):
    assert torch.equal(tanh(x), torch.tanh(x))


def test_it_runs_in_inference_mode_and_on_empty_batches():
    with torch.inference_mode():
        assert_is_tanh([1.0, 2.0])
    assert tanh(batch([1.0])[:0]).shape == (0, 1, 1, 1)
