"""Streaming per-channel statistics of activations, exact enough to be compared with float64.

One pass over the data instead of the three of the paper's Algorithm 1: powers are summed about
a fixed point per channel, in float64. Such sums add over batches, and are shifted to another
point when two instances are merged.
"""

import math
from typing import Self

import torch
from torch import Tensor

# Elements worked on at a time on a CPU, so that a chunk and its float64 powers stay in the L2
# cache. A GPU takes each batch whole, which launches fewer kernels.
_CHUNK = 32_768
# Columns that a reduction over rows needs for full vector width. A narrower layer is viewed
# as [rows / k, k * channels], and its k partial results are joined at the end.
_WIDE = 512


class ChannelMagnitudes:
    """Mean and maximum of |x| per channel, over any number of batches.

    Args:
        channels: The size of dimension 1 of every batch.
    """

    _powers = 0

    def __init__(self, channels: int) -> None:
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        self.channels = channels
        self.count = 0  # values seen per channel
        self._origin = torch.zeros(channels, dtype=torch.float64)
        self._sums = torch.zeros(1 + self._powers, channels, dtype=torch.float64)
        self._abs_max = torch.zeros(channels, dtype=torch.float64)

    def update(self, x: Tensor) -> None:
        """Take in a batch of shape (N, channels, ...); channels_last memory saves a copy.

        Raises:
            ValueError: If dimension 1 of x is not `channels`.
        """
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ValueError(f"expected shape (N, {self.channels}, ...), got {tuple(x.shape)}")
        exact = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        rows = exact.movedim(1, -1).reshape(-1, self.channels)
        if not len(rows):
            return
        if not self.count:
            self._origin = rows[0].double()
            self._sums = self._sums.to(x.device)
            self._abs_max = self._abs_max.to(x.device)
        fold = max(1, _WIDE // self.channels)
        whole = len(rows) - len(rows) % fold
        for piece in (rows[:whole].reshape(-1, fold * self.channels), rows[whole:]):
            if len(piece):
                self._add(piece)
        self.count += len(rows)

    def _add(self, wide: Tensor) -> None:
        """Take in rows viewed as [m, k * channels]."""
        columns = wide.shape[1]
        height = max(1, _CHUNK // columns) if wide.device.type == "cpu" else len(wide)
        work = self._workspace(min(height, len(wide)), columns, wide)
        sums = torch.zeros(1 + self._powers, columns, dtype=torch.float64, device=wide.device)
        largest = torch.zeros(columns, dtype=work.dtype, device=wide.device)
        origin = self._origin.repeat(columns // self.channels)
        for chunk in torch.split(wide, height):
            terms = work[:, : len(chunk)]
            self._terms(chunk, origin, terms)
            sums += terms.sum(1)
            torch.maximum(largest, terms[0].amax(0), out=largest)
        self._sums += sums.view(1 + self._powers, -1, self.channels).sum(1)
        largest = largest.double().view(-1, self.channels).amax(0)
        self._abs_max = torch.maximum(self._abs_max, largest)

    def _workspace(self, height: int, columns: int, like: Tensor) -> Tensor:
        """Memory for the terms of a chunk; to sum so few magnitudes, float32 is enough."""
        return torch.empty(1, height, columns, dtype=like.dtype, device=like.device)

    def _terms(self, chunk: Tensor, origin: Tensor, out: Tensor) -> None:
        """Write |x|, and the powers of x - origin, to out [1 + powers, m, columns]."""
        del origin
        torch.abs(chunk, out=out[0])

    def merge(self, other: Self) -> None:
        """Take in everything that another instance, of as many channels, has seen.

        Raises:
            ValueError: If the numbers of channels differ.
        """
        if other.channels != self.channels:
            raise ValueError(f"cannot merge {other.channels} channels into {self.channels}")
        if not self.count:
            self._origin = other._origin
        self._sums = self._sums.to(other._sums.device) + other._sums_about(self._origin)
        self._abs_max = torch.maximum(self._abs_max.to(other._abs_max.device), other._abs_max)
        self.count += other.count

    def _sums_about(self, origin: Tensor) -> Tensor:
        """The sums as they would be about another origin; |x| knows none."""
        del origin
        return self._sums

    @property
    def abs_mean(self) -> Tensor:
        """Mean of |x|, shape [channels], float64; NaN before the first value."""
        return self._sums[0] / (self.count or torch.nan)

    @property
    def abs_max(self) -> Tensor:
        """Maximum of |x|, shape [channels], float64; 0 before the first value."""
        return self._abs_max


class ChannelMoments(ChannelMagnitudes):
    """Mean, variance, skewness, mean |x| and max |x| per channel, over any number of batches.

    The origin of the powers is the first value that each channel saw. It lies within the
    data, which keeps float64 away from cancellation however large the mean is beside the
    deviation; and a constant channel sums exact zeros, so that it is known for one.

    Args:
        channels: The size of dimension 1 of every batch.
    """

    _powers = 3

    def _workspace(self, height: int, columns: int, like: Tensor) -> Tensor:
        return torch.empty(4, height, columns, dtype=torch.float64, device=like.device)

    def _terms(self, chunk: Tensor, origin: Tensor, out: Tensor) -> None:
        magnitude, off, square, cube = out.unbind()
        magnitude.copy_(chunk)
        torch.sub(magnitude, origin, out=off)
        torch.mul(off, off, out=square)
        torch.mul(square, off, out=cube)
        magnitude.abs_()

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
        sqrt(M (M - 1)) / (M - 2) does not exist.
        """
        count = self.count
        if count < 3:
            return torch.full_like(self._origin, torch.nan)
        first, second, third = self._raw_moments()
        central = third - first * (3 * second - 2 * first * first)
        correction = math.sqrt(count * (count - 1)) / (count - 2)
        return torch.where(self.variance > 0, correction * central / self.variance**1.5, torch.nan)
