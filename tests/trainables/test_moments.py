"""Streaming statistics against scipy's in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainables.probes import ChannelMagnitudes, ChannelMoments


def reference(x):
    """Statistics by numpy and scipy in float64, for x of shape (N, C, ...)."""
    rows = np.moveaxis(x.astype(np.float64), 1, -1).reshape(-1, x.shape[1])
    return {
        "mean": rows.mean(0),
        "variance": rows.var(0),
        "skewness": stats.skew(rows, axis=0, bias=False),
        "abs_mean": np.abs(rows).mean(0),
        "abs_max": np.abs(rows).max(0),
    }


def assert_close(moments, x, names=("mean", "variance", "skewness", "abs_mean", "abs_max")):
    expected = reference(x)
    for name in names:
        measured = getattr(moments, name).numpy()
        # A mean near zero is a sum of float32 values as large as the deviation.
        floor = 3e-3 * np.sqrt(expected["variance"]) if name == "mean" else 1e-3
        error = np.abs(measured - expected[name]) / np.maximum(np.abs(expected[name]), floor)
        assert (error < 1e-6).all(), (name, measured, expected[name])


def skewed(seed, shape, mean=0.0, deviation=1.0):
    rng = np.random.default_rng(seed)
    return (mean + deviation * rng.gamma(2.0, size=shape)).astype(np.float32)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    channels=st.integers(1, 700),
    count=st.integers(8, 40),
    mean=st.sampled_from([0, -3, 1e4, -1e4]),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_any_split_into_batches_agrees_with_scipy(seed, channels, count, mean, cuts):
    x = skewed(seed, (count, channels), mean)
    moments = ChannelMoments(channels)
    for batch in np.split(x, sorted(min(cut, count) for cut in cuts)):
        moments.update(torch.from_numpy(batch))
    assert moments.count == count
    assert_close(moments, x)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 30), far=st.sampled_from([0, 100, 1e4]))
def test_merging_halves_agrees_with_scipy(seed, cut, far):
    x = skewed(seed, (30, 3, 2, 2))
    x[cut:] += np.float32(far)
    halves = []
    for part in (x[:cut], x[cut:]):
        halves.append(ChannelMoments(3))
        halves[-1].update(torch.from_numpy(part))
    halves[0].merge(halves[1])
    assert halves[0].count == 120
    assert_close(halves[0], x)


def test_a_mean_of_10_000_deviations_in_batches_of_one():
    x = skewed(0, (300, 4, 3, 3), mean=100.0, deviation=0.01)
    moments = ChannelMoments(4)
    for image in torch.from_numpy(x):
        moments.update(image[None])
    assert_close(moments, x)


@pytest.mark.parametrize(("mean", "deviation"), [(-2, 1), (0, 1e-6), (100, 0.01), (-1e4, 30)])
def test_many_rows_are_processed_in_chunks_in_either_memory_format(mean, deviation):
    x = skewed(1, (40, 24, 33, 31), mean, deviation)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        moments = ChannelMoments(24)
        moments.update(torch.from_numpy(x).contiguous(memory_format=memory_format))
        assert_close(moments, x)


def test_a_symmetric_channel_is_accurate_to_the_floor():
    half = np.random.default_rng(2).normal(size=(500, 2)).astype(np.float32)
    x = np.concatenate([half, -half])
    moments = ChannelMoments(2)
    moments.update(torch.from_numpy(x))
    assert_close(moments, x)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 3e-38])
def test_a_constant_channel_has_no_skewness(value):
    first, second = ChannelMoments(2), ChannelMoments(2)
    x = torch.full((5000, 2), value)
    x[:, 1] = torch.arange(5000.0)
    first.update(x)
    second.update(x)
    first.merge(second)
    assert first.skewness.isnan().tolist() == [True, False]
    assert first.variance[0] == 0


def test_too_few_values_leave_statistics_undefined():
    moments = ChannelMoments(1)
    assert moments.mean.isnan().all()
    assert moments.abs_mean.isnan().all()
    moments.update(torch.empty(0, 1, 4, 4))
    moments.update(torch.tensor([[1.0], [2.0]]))
    assert moments.count == 2
    assert moments.mean.item() == 1.5
    assert moments.skewness.isnan().all()


def test_magnitudes_agree_with_moments_and_merge():
    x = torch.from_numpy(skewed(3, (64, 5, 7, 7), mean=-1))
    whole, parts, other = ChannelMoments(5), ChannelMagnitudes(5), ChannelMagnitudes(5)
    whole.update(x)
    parts.update(x[:10])
    other.update(x[10:])
    parts.merge(other)
    torch.testing.assert_close(parts.abs_mean, whole.abs_mean, rtol=1e-6, atol=0)
    assert torch.equal(parts.abs_max, whole.abs_max)


def test_without_the_maximum_everything_else_is_the_same():
    x = skewed(3, (64, 5, 7, 7), mean=-1)
    without, other = ChannelMoments(5, maximum=False), ChannelMoments(5)
    without.update(torch.from_numpy(x[:10]))
    other.update(torch.from_numpy(x[10:]))
    other.merge(without)
    assert_close(other, x, ("mean", "variance", "skewness", "abs_mean"))
    for moments in (without, other):
        with pytest.raises(ValueError, match="abs_max: not computed"):
            _ = moments.abs_max


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_input_is_unchanged(dtype):
    x = torch.from_numpy(skewed(4, (50, 3), mean=-2)).to(dtype)
    before = x.clone()
    moments = ChannelMoments(3)
    moments.update(x)
    assert torch.equal(x, before)
    assert_close(moments, before.double().numpy())


def test_wrong_shapes_are_rejected():
    moments = ChannelMoments(3)
    with pytest.raises(ValueError, match=r"expected shape \(N, 3, ...\), got \(2, 4\)"):
        moments.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="cannot merge 4 channels into 3"):
        moments.merge(ChannelMoments(4))
    with pytest.raises(ValueError, match="at least 1"):
        ChannelMoments(0)
