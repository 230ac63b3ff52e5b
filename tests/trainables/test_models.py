"""Networks by name: parameter counts, layers, sizes of images, orders."""

import pytest
import torch
from torch import nn

from trainables import models
from trainables.units import Unit, named_units


def meta(name, size=32, channels=3, classes=10, **params):
    with torch.device("meta"):
        model = models.build({"model": name, "image_size": size, **params}, channels, classes)
        logits = model(torch.empty(2, channels, size, size))
    assert logits.shape == (2, classes)
    return model


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def unit_biases(model):
    """Biases of units' convolutions, which published networks with batch norm leave out."""
    return sum(unit.get_parameter("weight.bias").numel() for _, unit in named_units(model))


@pytest.mark.parametrize(
    ("model", "published"),
    [
        # torchvision: vgg11_bn, vgg16 and vgg16_bn
        (meta("vgg11", 224, classes=1000), 132_868_840),
        (meta("vgg16", 224, classes=1000, order="nobn"), 138_357_544),
        (meta("vgg16", 224, classes=1000, order="swap"), 138_365_992),
        # kuangliu/pytorch-cifar
        (meta("vgg11"), 9_231_114),
        (meta("vgg16"), 14_728_266),
        (meta("vgg16_16"), 14_728_266),
        # Karz & Kovacs (2018), Tables 2 and 3; also those of the TensorFlow tutorials
        (meta("tf_mnist", 28, channels=1, order="nobn"), 3_274_634),
        (meta("tf_cifar10", 24, order="nobn"), 1_068_298),
    ],
)
def test_numbers_of_parameters_are_the_published_ones(model, published):
    assert parameters(model) == published


@pytest.mark.parametrize(
    ("model", "published"),
    [
        # Howard et al. (2017): 4.2 million
        (meta("mobilenet", 224, classes=1000), 4_231_976),
        # kuangliu/pytorch-cifar
        (meta("mobilenet"), 3_217_226),
        (meta("preact_resnet18"), 11_171_146),
        (meta("preact_resnet34", order="swap"), 21_279_306),
    ],
)
def test_without_the_biases_that_swap_needs_they_are_also_the_published_ones(model, published):
    assert parameters(model) - unit_biases(model) == published


def test_inception_is_bn_inception_with_a_3x3_stem():
    # Ports of BN-Inception with biases have 11,295,240 parameters and a 7x7 stem.
    model = meta("inception33", classes=1000, order="convention")
    assert parameters(model) == 11_295_240 - 3 * 64 * (7 * 7 - 3 * 3)


def test_inception_is_33_layers_deep():
    # three in the stem, and three in each module: a 1x1 convolution before two 3x3 ones
    names = [name for name, _ in named_units(meta("inception33", order="nobn"))]
    assert len([name for name in names if "." not in name or ".double3." in name]) == 33


@pytest.mark.parametrize("n", range(8, 17))
def test_vgg16_n_keeps_the_first_n_minus_3_convolutions(n):
    model = meta(f"vgg16_{n}")
    assert len(list(named_units(model))) == n - 3
    pools = sum(isinstance(layer, nn.MaxPool2d) for layer in model)
    assert pools == {5: 2, 6: 2, 7: 3, 8: 3, 9: 3, 10: 4, 11: 4, 12: 4, 13: 5}[n - 3]


def test_a_width_scales_every_layer():
    model = meta("vgg16_11", width=0.125)
    assert [unit.channels for _, unit in named_units(model)] == [8, 8, 16, 16, 32, 32, 32, 64]


@pytest.mark.parametrize("size", [1, 2, 8, 28, 32])
def test_small_images_skip_the_pools_that_they_are_too_small_for(size):
    model = models.build({"model": "vgg16", "width": 0.05, "image_size": size}, 1, 7)
    assert model(torch.randn(3, 1, size, size)).shape == (3, 7)


@pytest.mark.parametrize("order", ["convention", "swap", "nobn"])
@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_model_runs_and_learns_in_every_order(name, order):
    params = {"model": name, "order": order, "width": 0.05, "activation": "wsgaf", "image_size": 16}
    model = models.build(params, 1, 3)
    model(torch.randn(2, 1, 16, 16)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == (0 if order == "nobn" else len(list(named_units(model))))


@pytest.mark.parametrize("name", ["mobilenet", "preact_resnet18", "inception33", "vgg16_8"])
def test_units_are_named_in_forward_order(name):
    model = models.build({"model": name, "width": 0.05, "image_size": 8}, 1, 3)
    order = []
    for unit_name, unit in named_units(model):
        unit.get_submodule("activation").register_forward_hook(
            lambda _module, _inputs, _output, name=unit_name: order.append(name)
        )
    model(torch.randn(2, 1, 8, 8))
    assert order == [unit_name for unit_name, _ in named_units(model)]


@pytest.mark.parametrize(
    ("name", "size", "last"),
    [
        ("mobilenet", 32, 2),
        ("mobilenet", 64, 4),
        ("mobilenet", 224, 7),
        ("vgg16", 64, 2),
        ("vgg16", 224, 7),
    ],
)
def test_strides_follow_the_size_of_the_images(name, size, last):
    with torch.device("meta"):
        model = models.build({"model": name, "image_size": size}, 3, 10)
        layers = [layer for layer in model if isinstance(layer, Unit | nn.MaxPool2d)]
        assert nn.Sequential(*layers)(torch.empty(1, 3, size, size)).shape[2:] == (last, last)


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
    ("params", "message"),
    [
        (
            {"model": "vgg17"},
            r"unknown model 'vgg17'; did you mean 'vgg16_?.*choose from: .*vgg16_8",
        ),
        ({"model": "vgg16_7"}, "unknown model 'vgg16_7'"),
        ({}, "unknown model None"),
        ({"model": "vgg16", "order": "swop"}, "unknown order 'swop'; did you mean 'swap'"),
        ({"model": "vgg16", "activation": "tan"}, "unknown activation 'tan'; did you mean 'tanh'"),
        ({"model": "vgg16", "width": 0}, "width must be greater than 0"),
    ],
)
def test_unknown_names_are_rejected_with_the_known_ones(params, message):
    with pytest.raises(ValueError, match=message):
        models.build(params, 3, 10)


@pytest.mark.parametrize(("order", "usual"), [("convention", "torch"), ("nobn", "xavier")])
def test_networks_of_every_order_may_start_alike(order, usual):
    def weights(**params):
        torch.manual_seed(0)
        model = models.build({"model": "vgg16_8", "order": order, "width": 0.125, **params}, 3, 10)
        return [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]

    starts = {init: weights(init=init) for init in ("torch", "xavier")}
    assert all(map(torch.equal, weights(), starts[usual]))
    for weight in starts["xavier"]:
        fan = 9 * (weight.shape[0] + weight.shape[1])
        assert float(weight.detach().abs().max()) == pytest.approx((6 / fan) ** 0.5, rel=0.1)
    assert not torch.equal(starts["torch"][0], starts["xavier"][0])
