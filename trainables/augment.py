"""Random crops and flips of a whole batch, as one gather on the batch's device."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

AUGMENTS = ("none", "crop", "crop_flip")


def augment(images: Tensor, kind: str, generator: Generator) -> Tensor:
    """Randomly crop, and optionally flip, every image of a batch.

    Each image is padded with black by an eighth of its side (4 pixels of 32, as usual on
    CIFAR) and cropped back to its size; `crop_flip` also mirrors it with probability 1/2.

    Args:
        images: Batch of shape (N, H, W, C).
        kind: none, crop or crop_flip.
        generator: A CPU generator, so that crops do not depend on the device.

    Returns:
        A batch of the same shape, type and device.
    """
    if kind == "none":
        return images
    count, height, width, channels = images.shape
    pad = max(1, height // 8)
    top = torch.randint(0, 2 * pad + 1, (count, 1), generator=generator)
    left = torch.randint(0, 2 * pad + 1, (count, 1), generator=generator)
    rows = top + torch.arange(height)
    columns = torch.arange(width).expand(count, width)
    if kind == "crop_flip":
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = left + columns
    padded = functional.pad(images, (0, 0, pad, pad, pad, pad))
    rows = rows + torch.arange(count)[:, None] * padded.shape[1]
    pixels = rows[:, :, None] * padded.shape[2] + columns[:, None, :]
    flat = padded.view(-1, channels)  # whole pixels are copied several times faster than bytes
    return flat.index_select(0, pixels.flatten().to(images.device)).view(images.shape)
