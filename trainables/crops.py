"""Random-resized crops of images of different sizes, drawn for a whole epoch at once.

A crop is five integers: its top row, left column, height and width in the image, and whether it is
mirrored.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.nn import functional

# Smallest and largest part of the area, and width / height, as in torchvision's RandomResizedCrop.
_AREA = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10
_MULTIPLE = 32


def draw(kind: str, shapes: npt.NDArray[np.int32], part: float, generator: Generator) -> Tensor:
    """Draw a crop for each image.

    Args:
        kind: crop, for a random place, size and ratio, with the distribution of torchvision's
            RandomResizedCrop; crop_flip, which also mirrors it with probability 1/2; none, for the
            square in the middle.
        shapes: Height and width of each image, shape (N, 2).
        part: Side of the square of `none`, as a part of the image's shorter side.
        generator: A CPU generator, so that crops do not depend on the device.

    Returns:
        Crops, int64, shape (N, 5).
    """
    height, width = torch.from_numpy(shapes).long().unbind(1)
    mirrored = torch.zeros_like(height)
    if kind == "none":
        down = across = (torch.minimum(height, width) * part).round().long().clamp(min=1)
        top, left = (height - down) // 2, (width - across) // 2
    else:
        down, across, central = _sizes(height, width, generator)
        top, left = (
            torch.where(central, room // 2, (_rand(room, generator) * (room + 1)).long())
            for room in (height - down, width - across)
        )
        if kind == "crop_flip":
            mirrored = (_rand(height, generator) < 0.5).long()
    return torch.stack([top, left, down, across, mirrored], 1)


def _sizes(height: Tensor, width: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Heights and widths of crops; and whether each is central, since no drawn one fitted."""
    narrow, wide = _RATIO
    down = torch.minimum(height, (width / narrow).round().long())
    across = torch.minimum(width, (height * wide).round().long())
    central = torch.ones_like(height, dtype=torch.bool)
    for _ in range(_ATTEMPTS):
        rows = central.nonzero().flatten()
        share = _AREA[0] + (_AREA[1] - _AREA[0]) * _rand(rows, generator)
        area = share * height[rows] * width[rows]
        ratio = narrow * (wide / narrow) ** _rand(rows, generator)
        drawn_down = (area / ratio).sqrt().round().long()
        drawn_across = (area * ratio).sqrt().round().long()
        fits = (drawn_down <= height[rows]) & (drawn_across <= width[rows])
        fits &= (drawn_down > 0) & (drawn_across > 0)
        down[rows[fits]], across[rows[fits]] = drawn_down[fits], drawn_across[fits]
        central[rows[fits]] = False
    return down, across, central


def _rand(like: Tensor, generator: Generator) -> Tensor:
    return torch.rand(len(like), generator=generator, dtype=torch.float64)


def resized(crop: Tensor, size: int, *, mirrored: bool) -> Tensor:
    """Resize one crop on a CPU, averaging where it shrinks.

    Args:
        crop: Part of an image, uint8, shape (H, W, 3).
        size: Side of the result.
        mirrored: Whether to exchange left and right.

    Returns:
        uint8, shape (size, size, 3), contiguous.
    """
    image = (crop.flip(1) if mirrored else crop)[None].permute(0, 3, 1, 2)
    # In this layout torch's kernel for bytes takes half the time.
    image = image.contiguous(memory_format=torch.channels_last)
    result = functional.interpolate(image, size=(size, size), mode="bilinear", antialias=True)
    return result.permute(0, 2, 3, 1)[0]


def resized_at_once(padded: Tensor, crops: Tensor, size: int) -> Tensor:
    """Resize the crops of a batch by two matrix products, for a GPU: `resized` up to rounding.

    Args:
        padded: Crops of different sizes, each at the top left of its image, uint8, shape
            (N, H, W, 3).
        crops: What `draw` returns for them, shape (N, 5).
        size: Side of the results.

    Returns:
        Whole numbers from 0 to 255, float32, shape (N, 3, size, size).
    """
    _, height, width, _ = padded.shape
    down = _weights(crops[:, 2], height, size)
    across = _weights(crops[:, 3], width, size)
    across = torch.where(crops[:, 4].bool()[:, None, None], across.flip(1), across)
    images = padded.permute(0, 3, 1, 2).float()
    return (down[:, None] @ (images @ across.mT[:, None])).round()


def _weights(lengths: Tensor, longest: int, size: int) -> Tensor:
    """Weights of `lengths[n]` pixels in each of `size` pixels, shape (N, size, longest).

    They form a triangle around the pixel's place, of a width of two pixels or, where pixels
    shrink, as many of the crop's as these cover: torch's and Pillow's bilinear filter.
    """
    scale = (lengths / size)[:, None, None]
    places = (torch.arange(size, device=lengths.device)[:, None] + 0.5) * scale
    pixels = torch.arange(longest, device=lengths.device)
    weights = 1 - (pixels + 0.5 - places).abs() / scale.clamp(min=1)
    weights = weights.clamp(min=0) * (pixels < lengths[:, None, None])
    return weights / weights.sum(2, keepdim=True)


def padded(crops: Sequence[npt.NDArray[np.uint8]], *, pinned: bool) -> Tensor:
    """Copy crops of different sizes into one batch for `resized_at_once`.

    Its height and width are rounded up, so that a GPU's allocator sees few shapes.
    """
    height, width = (
        -(-max(crop.shape[axis] for crop in crops) // _MULTIPLE) * _MULTIPLE for axis in (0, 1)
    )
    batch = torch.zeros(len(crops), height, width, 3, dtype=torch.uint8, pin_memory=pinned)
    array = batch.numpy()
    for image, crop in zip(array, crops, strict=True):
        image[: crop.shape[0], : crop.shape[1]] = crop
    return batch
