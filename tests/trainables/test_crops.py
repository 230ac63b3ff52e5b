"""Random-resized crops: drawn as torchvision draws them, and resized alike on every device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torch import Generator
from torchvision.transforms import RandomResizedCrop

from trainables import crops


def images(shapes: np.ndarray) -> list[np.ndarray]:
    """Images whose pixels change slowly, as those of photographs do."""
    fields = np.random.default_rng(0).integers(0, 256, (len(shapes), 3, 6, 6)).astype(np.float32)
    return [
        torch.nn.functional.interpolate(torch.from_numpy(field)[None], size=tuple(shape))[0]
        .permute(1, 2, 0)
        .byte()
        .numpy()
        for field, shape in zip(fields, shapes.tolist(), strict=True)
    ]


def cut(image: np.ndarray, crop: list[int]) -> np.ndarray:
    top, left, height, width, _ = crop
    return image[top : top + height, left : left + width]


@given(
    shapes=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=20),
    kind=st.sampled_from(["none", "crop", "crop_flip"]),
    seed=st.integers(0, 99),
)
def test_every_crop_lies_in_its_image(shapes, kind, seed):
    sizes = np.array(shapes, np.int32)
    drawn = crops.draw(kind, sizes, 0.875, Generator().manual_seed(seed))
    top, left, height, width, mirrored = drawn.numpy().T
    assert (np.minimum(top, left) >= 0).all()
    assert (np.minimum(height, width) > 0).all()
    assert (top + height <= sizes[:, 0]).all()
    assert (left + width <= sizes[:, 1]).all()
    assert set(mirrored) <= ({0, 1} if kind == "crop_flip" else {0})


@pytest.mark.parametrize("shape", [(375, 500), (64, 64), (100, 900)])
def test_crops_are_distributed_as_torchvisions(shape):
    count = 2000
    drawn = crops.draw(
        "crop_flip", np.array([shape] * count, np.int32), 0.875, Generator().manual_seed(0)
    ).numpy()
    image = torch.empty(3, *shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = np.array(
            [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]
        )
    for column in range(4):
        assert ks_2samp(drawn[:, column], theirs[:, column]).pvalue > 0.01
    assert abs(drawn[:, 4].mean() - 0.5) < 0.05


def test_the_middle_is_a_square_of_the_shorter_side():
    drawn = crops.draw("none", np.array([[256, 341], [64, 50]], np.int32), 0.875, Generator())
    assert drawn.tolist() == [[16, 58, 224, 224, 0], [10, 3, 44, 44, 0]]


def test_the_middle_of_a_decoded_image_is_taken_pixel_by_pixel():
    [image] = images(np.array([[224, 224]]))
    assert np.array_equal(crops.resized(torch.from_numpy(image), 224, mirrored=False), image)
    mirrored = crops.resized(torch.from_numpy(image), 224, mirrored=True)
    assert np.array_equal(mirrored, image[:, ::-1])


@given(seed=st.integers(0, 99), size=st.sampled_from([8, 32, 100]))
def test_a_batch_is_resized_at_once_as_one_by_one(seed, size):
    shapes = np.array([[70, 90], [33, 20], [64, 64], [120, 40], [1, 1]], np.int32)
    drawn = crops.draw("crop_flip", shapes, 0.875, Generator().manual_seed(seed))
    parts = [cut(*pair) for pair in zip(images(shapes), drawn.tolist(), strict=True)]
    at_once = crops.resized_at_once(crops.padded(parts, pinned=False), drawn, size)
    for crop, part, result in zip(drawn.tolist(), parts, at_once, strict=True):
        one = crops.resized(torch.from_numpy(part), size, mirrored=bool(crop[4]))
        assert (result - one.permute(2, 0, 1)).abs().max() <= 1  # of 255: both round
