"""Random crops and flips: drawn for a whole epoch at once, then gathered on the batch's device."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

AUGMENTS = ("none", "crop", "crop_flip")


def draw(
    kind: str, counts: Sequence[int], side: int, generator: Generator, device: torch.device
) -> Sequence[Tensor | None]:
    """Draw the crops of an epoch's batches, and copy them to the device once.

    Each image is padded with black by an eighth of its side (4 pixels of 32, as usual on
    CIFAR) and cropped back to its size; `crop_flip` also mirrors it with probability 1/2.

    Args:
        kind: none, crop or crop_flip.
        counts: Images per batch.
        side: Height of the images in pixels.
        generator: A CPU generator, so that crops do not depend on the device.
        device: Where the batches are.

    Returns:
        For each batch of N images an int64 tensor of shape (N, 3): first row and first column of
        the crop in the padded image, and whether it is mirrored; None if nothing is drawn.
    """
    if kind == "none" or not counts:
        return [None] * len(counts)
    pad = _padding(side)
    drawn = []
    for count in counts:
        corners = [torch.randint(0, 2 * pad + 1, (count, 1), generator=generator) for _ in "yx"]
        mirrored = torch.zeros(count, 1, dtype=torch.int64)
        if kind == "crop_flip":
            mirrored = (torch.rand(count, 1, generator=generator) < 0.5).long()
        drawn.append(torch.cat([*corners, mirrored], 1))
    return torch.split(torch.cat(drawn).to(device), list(counts))


def augment(images: Tensor, crops: Tensor | None) -> Tensor:
    """Crop and mirror every image of a batch.

    Args:
        images: Batch of shape (N, H, W, C).
        crops: What `draw` returns for the batch, on its device.

    Returns:
        A batch of the same shape, type and device.
    """
    if crops is None:
        return images
    count, height, width, channels = images.shape
    pad = _padding(height)
    top, left, mirrored = torch.split(crops, 1, 1)
    across, down, batch = (
        torch.arange(length, device=images.device) for length in (width, height, count)
    )
    columns = left + torch.where(mirrored.bool(), width - 1 - across, across)
    padded = functional.pad(images, (0, 0, pad, pad, pad, pad))
    rows = top + down + batch[:, None] * padded.shape[1]
    pixels = rows[:, :, None] * padded.shape[2] + columns[:, None, :]
    flat = padded.view(-1, channels)  # whole pixels are copied several times faster than bytes
    return flat.index_select(0, pixels.flatten()).view(images.shape)


def _padding(side: int) -> int:
    return max(1, side // 8)
