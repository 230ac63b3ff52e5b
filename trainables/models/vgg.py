"""VGG (Simonyan & Zisserman, 2014) and its shortened forms, with batch norm as a unit's part."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from trainables import activations
from trainables.models.scaling import narrow
from trainables.units import Unit

# Channels of the convolutions of each stage; a 2x2 maximum pool ends every stage.
_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def _shortened(layers: int) -> tuple[tuple[int, ...], ...]:
    """The first `layers` - 3 convolutions of VGG16, in stages (appendix A.6).

    The last stage may be incomplete; the pool after it goes with the removed convolutions.
    """
    left = layers - 3
    stages = []
    for stage in _VGG16:
        if left > 0:
            stages.append(stage[:left])
        left -= len(stage)
    return tuple(stages)


def _features(
    stages: tuple[tuple[int, ...], ...], params: Mapping[str, Any], in_channels: int
) -> tuple[OrderedDict[str, nn.Module], int]:
    """The convolutional layers, and the number of channels that they end with."""
    size = params["image_size"]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, stage in enumerate(stages, start=1):
        for place, full in enumerate(stage, start=1):
            channels = narrow(full, params["width"])
            activation = activations.build(params, (channels, size, size))
            conv = nn.Conv2d(in_channels, channels, 3, padding=1)
            layers[f"conv{number}_{place}"] = Unit(conv, activation, params["order"])
            in_channels = channels
        complete = len(stage) == len(_VGG16[number - 1])
        if complete and size > 1:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            size //= 2
    return layers, in_channels


def _build(
    stages: tuple[tuple[int, ...], ...],
    params: Mapping[str, Any],
    in_channels: int,
    num_classes: int,
) -> nn.Module:
    """VGG for small images: global average pooling and one linear layer after the convolutions.

    A pool that would find a single pixel is left out, so that images of 8x8 pixels pass too.
    """
    layers, channels = _features(stages, params, in_channels)
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)


MODELS = {
    "vgg16": partial(_build, _VGG16),
    **{f"vgg16_{n}": partial(_build, _shortened(n)) for n in range(8, 17)},
}
