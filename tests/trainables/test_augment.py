"""Crops and flips against every crop that there can be."""

import pytest
import torch
from torch import Generator

from trainables.augment import AUGMENTS, augment


def batch(count=200, size=8):
    images = torch.arange(count * size * size * 3, dtype=torch.int64) % 255 + 1
    return images.to(torch.uint8).view(count, size, size, 3)


def shifted(image, top, left, mirror):
    """What a crop of the padded image, with the corner at (top, left), must look like."""
    padded = torch.zeros(10, 10, 3, dtype=torch.uint8)
    padded[1:9, 1:9] = image
    window = padded[top : top + 8, left : left + 8]
    return window.flip(1) if mirror else window


@pytest.mark.parametrize(("kind", "mirrors"), [("crop", [False]), ("crop_flip", [False, True])])
def test_every_image_is_one_of_the_possible_crops(kind, mirrors):
    images = batch()
    seen = set()
    for before, after in zip(
        images, augment(images, kind, Generator().manual_seed(0)), strict=True
    ):
        found = [
            (top, left, mirror)
            for top in range(3)
            for left in range(3)
            for mirror in mirrors
            if torch.equal(after, shifted(before, top, left, mirror))
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 9 * len(mirrors)


def test_none_leaves_the_batch_alone():
    images = batch(3)
    assert augment(images, "none", Generator()) is images


def test_the_generator_alone_decides():
    images = batch(20)
    for kind in AUGMENTS:
        one = augment(images, kind, Generator().manual_seed(5))
        torch.rand(3)
        assert torch.equal(one, augment(images, kind, Generator().manual_seed(5)))
