"""VGG (Simonyan & Zisserman, 2014) and shorter versions of it, built from units."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from trainables import activations
from trainables.models.scaling import scaled
from trainables.units import Unit

# Channels of each convolution; "pool" is a 2x2 max pool, which ends a stage.
Layout = tuple[int | str, ...]

# fmt: off
_VGG11: Layout = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
_VGG16: Layout = (
    64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool",
    512, 512, 512, "pool", 512, 512, 512, "pool",
)
# fmt: on

# From this image size on, there are three fully connected layers; below, there is one.
_LARGE = 64


def _shortened(layers: int) -> Layout:
    """The first `layers` - 3 convolutions of VGG16, each with the pool that follows it (A.6)."""
    kept: list[int | str] = []
    for layer in _VGG16:
        if layer != "pool" and sum(each != "pool" for each in kept) == layers - 3:
            break
        kept.append(layer)
    return tuple(kept)


def _build(
    layout: Layout, params: Mapping[str, Any], in_channels: int, num_classes: int
) -> nn.Module:
    """A VGG network without pools on single pixels, so that it also accepts 8x8 images."""
    size, stage, index = params["image_size"], 1, 1
    channels = in_channels
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in layout:
        if isinstance(layer, int):
            outputs = scaled(layer, params["width"])
            activation = activations.build(params, (outputs, size, size))
            conv = nn.Conv2d(channels, outputs, 3, padding=1)
            layers[f"conv{stage}_{index}"] = Unit(conv, activation, params["order"])
            channels, index = outputs, index + 1
        else:
            if size > 1:
                layers[f"pool{stage}"] = nn.MaxPool2d(2)
                size //= 2
            stage, index = stage + 1, 1
    if params["image_size"] < _LARGE:
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        size = 1
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = _classifier(params, channels * size * size, num_classes)
    return nn.Sequential(layers)


def _classifier(params: Mapping[str, Any], features: int, num_classes: int) -> nn.Module:
    """One linear layer for small images; three with dropout and no batch norm for large ones."""
    if params["image_size"] < _LARGE:
        return nn.Linear(features, num_classes)
    hidden = scaled(4096, params["width"])
    return nn.Sequential(
        OrderedDict(
            hidden1=nn.Linear(features, hidden),
            activation1=activations.build(params, (hidden,)),
            dropout1=nn.Dropout(),
            hidden2=nn.Linear(hidden, hidden),
            activation2=activations.build(params, (hidden,)),
            dropout2=nn.Dropout(),
            logits=nn.Linear(hidden, num_classes),
        )
    )


MODELS = {
    "vgg11": partial(_build, _VGG11),
    "vgg16": partial(_build, _VGG16),
    **{f"vgg16_{n}": partial(_build, _shortened(n)) for n in range(8, 17)},
}
