"""Batch norm over folded rows against torch's, in float32 and in float64."""

import pytest
import torch
from torch import nn

from trainables.batch_norm import BatchNorm2d

LAST = torch.channels_last


def trained(kind, x, grad, dtype):
    """Output, gradients and state after two training steps of a batch norm."""
    torch.manual_seed(1)
    norm = kind(x.shape[1])
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    norm = norm.to(dtype)
    inputs = x.to(dtype, copy=True).requires_grad_()
    for _ in range(2):
        y = norm(inputs)
        y.backward(grad.to(dtype))
    assert y.is_contiguous(memory_format=LAST)
    assert inputs.grad.is_contiguous(memory_format=LAST)
    gradients = inputs.grad, norm.weight.grad, norm.bias.grad
    return y.detach(), *gradients, norm.running_mean, norm.running_var, norm.num_batches_tracked


@pytest.mark.parametrize("shift", [0, 30])
@pytest.mark.parametrize(
    "shape",
    [
        (128, 8, 32, 32),
        (64, 16, 32, 32),
        (64, 24, 19, 19),
        (63, 8, 35, 35),  # an odd number of pixels
        (128, 64, 8, 9),
        (128, 100, 8, 8),
    ],
)
def test_training_is_as_accurate_as_torchs(shape, shift):
    torch.manual_seed(0)
    x = (torch.randn(shape) * torch.rand(shape[1], 1, 1) + shift).to(memory_format=LAST)
    x[:, 0] = shift  # a constant channel
    grad = torch.randn(shape).to(memory_format=LAST)
    ours = trained(BatchNorm2d, x, grad, torch.float32)
    theirs = trained(nn.BatchNorm2d, x, grad, torch.float32)
    exact = trained(nn.BatchNorm2d, x, grad, torch.float64)
    for one, other, truth in zip(ours, theirs, exact, strict=True):
        assert one.dtype == other.dtype
        error = (one - truth).abs().max().item()
        rounding = 1e-6 * truth.abs().max().item()
        assert error <= 2 * (other - truth).abs().max().item() + rounding


def test_a_step_is_reproducible():
    x = torch.randn(64, 8, 32, 32).to(memory_format=LAST)
    results = [trained(BatchNorm2d, x, x, torch.float32) for _ in range(2)]
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(
    ("shape", "memory_format"), [((2, 8, 32, 32), LAST), ((64, 8, 32, 32), torch.contiguous_format)]
)
def test_other_batches_use_torchs_implementation(shape, memory_format):
    x = torch.randn(shape).to(memory_format=memory_format)
    assert torch.equal(BatchNorm2d(8)(x), nn.BatchNorm2d(8)(x))


def test_evaluation_uses_torchs_implementation():
    x = torch.randn(64, 8, 32, 32).to(memory_format=LAST)
    ours, theirs = BatchNorm2d(8), nn.BatchNorm2d(8)
    ours(x)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
