"""Crops and flips against all possible ones."""

import pytest
import torch
from torch import Generator

from trainables.augment import AUGMENTS, augment, draw

CPU = torch.device("cpu")


def batch(count=200, size=8):
    images = torch.arange(count * size * size * 3, dtype=torch.int64) % 255 + 1
    return images.to(torch.uint8).view(count, size, size, 3)


def augmented(images, kind, seed):
    (crops,) = draw(kind, [len(images)], 8, Generator().manual_seed(seed), CPU)
    return augment(images, crops)


def shifted(image, top, left, mirror):
    """The crop of the padded image with its corner at (top, left), optionally mirrored."""
    padded = torch.zeros(10, 10, 3, dtype=torch.uint8)
    padded[1:9, 1:9] = image
    window = padded[top : top + 8, left : left + 8]
    return window.flip(1) if mirror else window


@pytest.mark.parametrize(("kind", "mirrors"), [("crop", [False]), ("crop_flip", [False, True])])
def test_every_image_is_one_of_the_possible_crops(kind, mirrors):
    images = batch()
    crops = set()
    for before, after in zip(images, augmented(images, kind, seed=0), strict=True):
        matches = [
            (top, left, mirror)
            for top in range(3)
            for left in range(3)
            for mirror in mirrors
            if torch.equal(after, shifted(before, top, left, mirror))
        ]
        assert len(matches) == 1
        crops.add(matches[0])
    assert len(crops) == 9 * len(mirrors)


def test_none_returns_the_batch_unchanged():
    images = batch(3)
    assert augmented(images, "none", seed=0) is images


def test_crops_depend_on_the_generator_alone():
    images = batch(20)
    for kind in AUGMENTS:
        one = augmented(images, kind, seed=5)
        torch.rand(3)
        assert torch.equal(one, augmented(images, kind, seed=5))
