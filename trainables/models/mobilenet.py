"""MobileNet v1 (Howard et al., 2017) with its strides for ImageNet, or those usual on CIFAR."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from trainables import activations
from trainables.models.scaling import scaled
from trainables.units import Unit

# (output channels, stride) of each depthwise separable block: Table 1 of the paper.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
# From this image size on, the first convolution has stride 2.
_LARGE = 128


def _build(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """MobileNet; each depthwise and each pointwise convolution is a unit."""
    size = params["image_size"]
    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(name: str, inputs: int, outputs: int, *, kernel: int, stride: int, groups: int) -> None:
        nonlocal size
        size = -(-size // stride)  # same padding rounds up
        activation = activations.build(params, (outputs, size, size))
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups)
        layers[name] = Unit(conv, activation, params["order"])

    channels = scaled(32, params["width"])
    stride = 2 if size >= _LARGE else 1
    add("conv1", in_channels, channels, kernel=3, stride=stride, groups=1)
    for number, (full, stride) in enumerate(_BLOCKS, start=2):
        outputs = scaled(full, params["width"])
        add(f"conv{number}_depth", channels, channels, kernel=3, stride=stride, groups=channels)
        add(f"conv{number}_point", channels, outputs, kernel=1, stride=1, groups=1)
        channels = outputs
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)


MODELS = {"mobilenet": _build}
