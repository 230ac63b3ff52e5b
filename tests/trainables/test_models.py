"""Networks by name: parameter counts, layers, sizes of images, orders."""

import pytest
import torch
from torch import nn

from trainables import models
from trainables.units import Unit, named_units


def parameters(**params):
    with torch.device("meta"):
        model = models.build(params, 3, 10)
    return sum(parameter.numel() for parameter in model.parameters())


def test_vgg16_for_cifar_has_the_published_number_of_parameters():
    # kuangliu/pytorch-cifar's VGG16, biases and batch norms counted
    assert parameters(model="vgg16") == 14_728_266
    assert parameters(model="vgg16_16") == 14_728_266


@pytest.mark.parametrize("n", range(8, 17))
def test_vgg16_n_keeps_the_first_n_minus_3_convolutions(n):
    with torch.device("meta"):
        model = models.build({"model": f"vgg16_{n}"}, 3, 10)
        logits = model(torch.empty(2, 3, 32, 32))
    assert len(list(named_units(model))) == n - 3
    pools = sum(isinstance(layer, nn.MaxPool2d) for layer in model)
    assert pools == {5: 2, 6: 2, 7: 3, 8: 3, 9: 3, 10: 4, 11: 4, 12: 4, 13: 5}[n - 3]
    assert logits.shape == (2, 10)


def test_a_width_scales_every_layer():
    with torch.device("meta"):
        model = models.build({"model": "vgg16_11", "width": 0.125}, 3, 10)
    assert [unit.channels for _, unit in named_units(model)] == [8, 8, 16, 16, 32, 32, 32, 64]


@pytest.mark.parametrize("size", [1, 2, 8, 28, 32])
def test_small_images_pass_with_the_pools_that_they_have_room_for(size):
    model = models.build({"model": "vgg16", "width": 0.05, "image_size": size}, 1, 7)
    assert model(torch.randn(3, 1, size, size)).shape == (3, 7)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("convention", ["weight", "norm", "activation"]),
        ("swap", ["weight", "activation", "norm"]),
        ("nobn", ["weight", "activation"]),
    ],
)
def test_a_unit_has_its_parts_in_order(order, names):
    unit = Unit(nn.Conv2d(3, 5, 3), nn.Tanh(), order)
    assert [name for name, _ in unit.named_children()] == names
    assert unit.output is unit[-1]
    assert unit.channels == 5


@pytest.mark.parametrize(
    ("order", "names", "output"),
    [
        ("convention", ["norm", "activation", "weight"], "activation"),
        ("swap", ["activation", "norm", "weight"], "norm"),
        ("nobn", ["activation", "weight"], "activation"),
    ],
)
def test_a_preactivation_unit_ends_with_its_weight(order, names, output):
    unit = Unit(nn.Conv2d(3, 5, 3), nn.Tanh(), order, preact=True)
    assert [name for name, _ in unit.named_children()] == names
    assert unit.output is unit.get_submodule(output)
    assert unit.channels == 3
    assert unit(torch.randn(2, 3, 4, 4)).shape == (2, 5, 2, 2)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"model": "vgg17"}, r"unknown model 'vgg17'; did you mean 'vgg16_?.*there are: .*vgg16_8"),
        ({"model": "vgg16_7"}, "unknown model 'vgg16_7'"),
        ({}, "unknown model None"),
        ({"model": "vgg16", "order": "swop"}, "unknown order 'swop'; did you mean 'swap'"),
        ({"model": "vgg16", "activation": "tan"}, "unknown activation 'tan'; did you mean 'tanh'"),
        ({"model": "vgg16", "width": 0}, "width must be greater than 0"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(params, words):
    with pytest.raises(ValueError, match=words):
        models.build(params, 3, 10)
