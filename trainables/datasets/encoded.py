"""Decoding of PNG, JPEG and other image files."""

from io import BytesIO

import numpy as np
from PIL import Image

from trainables.datasets.cache import Images


def decode(encoded: bytes) -> Images:
    """One image: (H, W) if it is grey, else (H, W, 3)."""
    with Image.open(BytesIO(encoded)) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def stack(images: list[Images]) -> Images:
    """Images of shape (H, W) or (H, W, 3) as (N, H, W, C), with C = 1 only if all are grey.

    Raises:
        ValueError: If their sizes differ.
    """
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise ValueError(f"images must all have one size, got {sorted(sizes)[:5]}")
    if all(image.ndim == 2 for image in images):
        return np.stack(images)[..., np.newaxis]
    shape = (*sizes.pop(), 3)
    return np.stack(
        [i if i.ndim == 3 else np.broadcast_to(i[..., np.newaxis], shape) for i in images]
    )
