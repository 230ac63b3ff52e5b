"""The images that a trial uses, their batches and their standardisation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from trainables import data
from trainables.in_memory import eval_batch, standardisation
from trainables.subset import split

CPU = torch.device("cpu")


@given(
    classes=st.integers(1, 5),
    each=st.integers(1, 12),
    val_fraction=st.sampled_from([0, 0.1, 0.25, 0.5]),
    seed=st.integers(0, 99),
)
def test_a_subset_has_equally_many_of_each_class(classes, each, val_fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), 12))
    held_out = round(each * val_fraction)
    if held_out == each or (val_fraction and not held_out):
        with pytest.raises(ValueError, match="leaves a part empty"):
            split(labels, classes * each, val_fraction)
        return
    train, val = split(labels, classes * each, val_fraction)
    assert np.bincount(labels[train]).tolist() == [each - held_out] * classes
    assert np.bincount(labels[val], minlength=classes).tolist() == [held_out] * classes
    assert not set(train) & set(val)
    assert (np.diff(train) > 0).all()


def test_all_images_are_used_by_default():
    train, val = split(np.array([0, 1, 1, 0, 2]), None, 0)
    assert train.tolist() == [0, 1, 2, 3, 4]
    assert val.tolist() == []


@pytest.mark.parametrize(
    ("size", "message"),
    [(7, "7 images cannot be divided equally among 3 classes"), (30, "class 0 has 4 images")],
)
def test_an_impossible_subset_is_rejected(size, message):
    with pytest.raises(ValueError, match=message):
        split(np.repeat([0, 1, 2], 4), size, 0)


def test_standardisation_is_that_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, (600, 5, 5, 3), dtype=np.uint8)
    images[..., 2] = 7
    index = np.arange(0, 600, 2)
    mean, deviation = standardisation(images, index)
    np.testing.assert_allclose(mean, images[index].mean((0, 1, 2)), rtol=1e-6)
    expected = images[index].std((0, 1, 2))
    np.testing.assert_allclose(deviation[:2], expected[:2], rtol=1e-6)
    assert deviation[2] == 1  # a constant channel is centred, not divided by zero


def test_digits_come_in_standardised_channels_last_batches():
    digits = data.load(data.Choice("digits"), CPU)
    assert (digits.channels, digits.size, digits.classes) == (1, 8, 10)
    assert digits.val is None
    x, labels = map(torch.cat, zip(*digits.train.batches(), strict=True))
    assert x.shape == (1200, 1, 8, 8)
    assert labels.dtype == torch.int64
    assert abs(x.mean()) < 1e-5
    assert abs(x.std() - 1) < 1e-3
    assert sum(len(batch) for _, batch in digits.test.batches()) == 597
    assert [len(batch) for _, batch in digits.test.batches(torch.arange(150))] == [128, 22]


def test_an_epoch_has_every_image_once_in_an_order_of_the_generator():
    part = data.load(data.Choice("digits", train_size=100), CPU).train
    plain = torch.cat([x for x, _ in part.batches()])
    epochs = [
        torch.cat([x for x, _ in part.training_batches(33, "none", Generator().manual_seed(seed))])
        for seed in (1, 1, 2)
    ]
    assert len(epochs[0]) == 99  # 33 + 33 + 33, and the last image alone
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])
    assert {tuple(row.tolist()) for row in epochs[0].flatten(1)} <= {
        tuple(row.tolist()) for row in plain.flatten(1)
    }


def test_unshuffled_batches_come_in_the_order_of_the_data():
    part = data.load(data.Choice("digits", train_size=100), CPU).train
    plain = torch.cat([x for x, _ in part.batches()])
    for seed in (1, 2):
        batches = part.training_batches(50, "none", Generator().manual_seed(seed), shuffle=False)
        assert torch.equal(torch.cat([x for x, _ in batches]), plain)


def test_validation_images_are_held_out_of_training():
    held = data.load(data.Choice("digits", train_size=1000, val_fraction=0.1), CPU)
    assert held.val is not None
    assert (len(held.train.index), len(held.val.index)) == (900, 100)


def test_a_smoke_run_makes_images_up_only_if_they_are_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path))
    made_up = data.load(data.Choice("parquet:nowhere", image_size=12), CPU, smoke=True)
    assert (made_up.channels, made_up.size, made_up.classes) == (3, 12, 10)
    assert len(made_up.train) == 4
    real = data.load(data.Choice("digits"), CPU, smoke=True)
    assert real.channels == 1
    with pytest.raises(ValueError, match=r"no .*nowhere/train.parquet in"):
        data.load(data.Choice("parquet:nowhere"), CPU)


@pytest.mark.parametrize(
    ("device", "side", "images"),
    [
        ("cpu", 32, 128),
        ("cpu", 224, 128),
        ("cuda", 28, 5349),
        ("cuda", 32, 4096),
        ("cuda", 224, 128),
    ],
)
def test_a_gpu_evaluates_as_many_small_images_at_once_as_keep_it_busy(device, side, images):
    assert eval_batch(torch.device(device), side) == images
