"""Streaming statistics of activations per channel, nearly as accurate as float64.

One pass over the data replaces the three of the paper's Algorithm 1: it sums powers about a fixed
origin per channel. These sums are accumulated over batches in float64, and shifted to a common
origin when two instances are merged.
"""

import math
from typing import Self

import torch
from torch import Tensor

# Elements processed at a time on a CPU, so that a chunk and its powers, 2 MiB in all, stay in the
# inner caches. A GPU processes each batch as a whole, which launches fewer kernels.
_CHUNK = 131_072
# Values per channel up to which a batch is processed in float64. With more values, the rounding
# errors of float32 average out, and float32 takes half the time.
_FLOAT64_VALUES = 1024
# Columns that a reduction over rows needs to fill the vector registers. A narrower layer is viewed
# as [rows / k, k * channels], and its k partial results are combined at the end.
_MIN_COLUMNS = 128


def _origin(rows: Tensor) -> Tensor:
    """An origin near the mean of each column, rounded to the deviation's power of two.

    With the unrounded mean, the differences of all values between two powers of two would have
    the same rounding error. The origin of a constant column is its value.
    """
    off = rows - rows[0]  # exact zeros where constant
    deviation = off.std(0, correction=0)
    step = deviation.log2().floor().exp2()
    mean = rows[0] + off.mean(0)
    return torch.where(deviation > 0, (mean / step).round() * step, rows[0])


class ChannelMagnitudes:
    """Mean and maximum of |x| per channel, over any number of batches.

    Args:
        channels: The size of dimension 1 of every batch.
        maximum: Whether to compute the maximum, which takes a separate pass.
    """

    _powers = 0

    def __init__(self, channels: int, *, maximum: bool = True) -> None:
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        self.channels = channels
        self._maximum = maximum
        self.count = 0  # values so far per channel
        self._origin = torch.zeros(channels, dtype=torch.float64)
        self._sums = torch.zeros(1 + self._powers, channels, dtype=torch.float64)
        self._abs_max = torch.zeros(channels, dtype=torch.float64)

    def update(self, x: Tensor) -> None:
        """Add a batch of shape (N, channels, ...); channels_last memory saves a copy.

        Raises:
            ValueError: If dimension 1 of x is not `channels`.
        """
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ValueError(f"expected shape (N, {self.channels}, ...), got {tuple(x.shape)}")
        rows = x.detach().movedim(1, -1).reshape(-1, self.channels)
        if not len(rows):
            return
        exact = torch.float64 if len(rows) <= _FLOAT64_VALUES else torch.float32
        rows = rows.to(torch.promote_types(x.dtype, exact))
        if not self.count:
            self._origin = _origin(rows[:_FLOAT64_VALUES].double()).to(rows.dtype).double()
            self._sums = self._sums.to(x.device)
            self._abs_max = self._abs_max.to(x.device)
        fold = max(1, _MIN_COLUMNS // self.channels)
        whole = len(rows) - len(rows) % fold
        for piece in (rows[:whole].reshape(-1, fold * self.channels), rows[whole:]):
            if len(piece):
                self._add(piece)
        self.count += len(rows)

    def _add(self, wide: Tensor) -> None:
        """Add rows viewed as [m, k * channels]."""
        columns = wide.shape[1]
        height = max(1, _CHUNK // columns) if wide.device.type == "cpu" else len(wide)
        chunks = torch.split(wide, height)
        work = wide.new_empty(1 + self._powers, min(height, len(wide)), columns)
        sums = wide.new_empty(len(chunks), 1 + self._powers, columns)
        largest = wide.new_zeros(len(chunks), columns)
        origin = self._origin.to(wide.dtype).repeat(columns // self.channels)
        for chunk, chunk_sums, chunk_largest in zip(chunks, sums, largest, strict=True):
            terms = work[:, : len(chunk)]
            self._terms(chunk, origin, terms)
            torch.sum(terms, 1, out=chunk_sums)
            if self._maximum:
                torch.amax(terms[0], 0, out=chunk_largest)
        total = sums.double().sum(0).view(1 + self._powers, -1, self.channels)
        self._sums += total.sum(1)
        self._abs_max = torch.maximum(self._abs_max, largest.view(-1, self.channels).amax(0))

    def _terms(self, chunk: Tensor, origin: Tensor, out: Tensor) -> None:
        """Write |x|, and the powers of x - origin, to out [1 + powers, m, columns]."""
        del origin
        torch.abs(chunk, out=out[0])

    def merge(self, other: Self) -> None:
        """Add all values of another instance with the same number of channels.

        Raises:
            ValueError: If the numbers of channels differ.
        """
        if other.channels != self.channels:
            raise ValueError(f"cannot merge {other.channels} channels into {self.channels}")
        if not self.count:
            self._origin = other._origin
        self._sums = self._sums.to(other._sums.device) + other._sums_about(self._origin)
        self._abs_max = torch.maximum(self._abs_max.to(other._abs_max.device), other._abs_max)
        self._maximum &= other._maximum
        self.count += other.count

    def _sums_about(self, origin: Tensor) -> Tensor:
        """The sums, shifted to another origin; the sum of |x| has none."""
        del origin
        return self._sums

    @property
    def abs_mean(self) -> Tensor:
        """Mean of |x|, shape [channels], float64; NaN before the first value."""
        return self._sums[0] / (self.count or torch.nan)

    @property
    def abs_max(self) -> Tensor:
        """Maximum of |x|, shape [channels], float64; 0 before the first value.

        Raises:
            ValueError: If `maximum` is False.
        """
        if not self._maximum:
            raise ValueError("abs_max: not computed, because maximum=False")
        return self._abs_max


class ChannelMoments(ChannelMagnitudes):
    """Mean, variance, skewness, mean |x| and max |x| per channel, over any number of batches.

    The origin of the powers is near the first values of each channel, which avoids cancellation
    however large the mean is relative to the deviation. The sums of a constant channel are exact
    zeros, so it is recognised as constant.

    Args:
        channels: The size of dimension 1 of every batch.
        maximum: Whether to compute the maximum, which takes a separate pass.
    """

    _powers = 3

    def _terms(self, chunk: Tensor, origin: Tensor, out: Tensor) -> None:
        magnitude, off, square, cube = out.unbind()
        torch.abs(chunk, out=magnitude)
        torch.sub(chunk, origin, out=off)
        torch.mul(off, off, out=square)
        torch.mul(square, off, out=cube)

    def _sums_about(self, origin: Tensor) -> Tensor:
        magnitude, first, second, third = self._sums
        step = self._origin - origin
        return torch.stack(
            [
                magnitude,
                first + self.count * step,
                second + step * (2 * first + self.count * step),
                third + step * (3 * second + step * (3 * first + self.count * step)),
            ]
        )

    def _raw_moments(self) -> Tensor:
        """Mean of (x - origin) to the power 1, 2, 3: shape [3, channels]."""
        return self._sums[1:] / (self.count or torch.nan)

    @property
    def mean(self) -> Tensor:
        """Mean, shape [channels], float64; NaN before the first value."""
        return self._origin + self._raw_moments()[0]

    @property
    def variance(self) -> Tensor:
        """Population variance (the denominator of Eq. 3), shape [channels], float64."""
        first, second, _ = self._raw_moments()
        return torch.clamp(second - first * first, min=0)

    @property
    def skewness(self) -> Tensor:
        """Bias-corrected sample skewness (Eq. 3), shape [channels], float64.

        NaN for a constant channel, and for fewer than three values, where the correction
        sqrt(M (M - 1)) / (M - 2) is undefined.
        """
        count = self.count
        if count < 3:
            return torch.full_like(self._origin, torch.nan)
        first, second, third = self._raw_moments()
        central = third - first * (3 * second - 2 * first * first)
        correction = math.sqrt(count * (count - 1)) / (count - 2)
        return torch.where(self.variance > 0, correction * central / self.variance**1.5, torch.nan)
