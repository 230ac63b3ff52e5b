"""A 33-layer Inception for small images: the network of Xu et al. (2016), section 3.

The paper gives only its depth and its source, Ioffe & Szegedy (2015). Their stem of three
convolutions and ten modules, each three convolutions deep, add up to 33. For 32x32 pixels, our
stem keeps the resolution: it has a 3x3 instead of the 7x7 convolution and no pools. The paper's
network has no batch norm: order `nobn`.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables import activations
from trainables.models.scaling import scaled
from trainables.units import Unit


class Branches(NamedTuple):
    """Channels of a module's branches: Figure 5 of Ioffe & Szegedy (2015).

    A module without the first and last branch halves the image and has a max pool without a
    convolution.
    """

    single: int
    reduce3: int
    conv3: int
    reduce_double: int
    double: int
    project: int


_MODULES = {
    "mixed3a": Branches(64, 64, 64, 64, 96, 32),
    "mixed3b": Branches(64, 64, 96, 64, 96, 64),
    "mixed3c": Branches(0, 128, 160, 64, 96, 0),
    "mixed4a": Branches(224, 64, 96, 96, 128, 128),
    "mixed4b": Branches(192, 96, 128, 96, 128, 128),
    "mixed4c": Branches(160, 128, 160, 128, 160, 128),
    "mixed4d": Branches(96, 128, 192, 160, 192, 128),
    "mixed4e": Branches(0, 128, 192, 192, 256, 0),
    "mixed5a": Branches(352, 192, 320, 160, 224, 128),
    "mixed5b": Branches(352, 192, 320, 192, 224, 128),
}


def _unit(
    params: Mapping[str, Any], inputs: int, outputs: int, size: int, kernel: int, stride: int = 1
) -> Unit:
    """A convolution unit whose outputs have the given size."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    return Unit(conv, activations.build(params, (outputs, size, size)), params["order"])


class Mixed(nn.Module):
    """An Inception module: parallel branches, concatenated along the channels.

    Args:
        params: `order`, `width`, `activation` and its own params.
        inputs: Channels of the input.
        branches: Channels of the branches at width 1.
        size: Side of the input.
    """

    def __init__(
        self, params: Mapping[str, Any], inputs: int, branches: Branches, size: int
    ) -> None:
        super().__init__()
        widths = {name: scaled(n, params["width"]) for name, n in branches._asdict().items() if n}
        stride = 1 if branches.single else 2
        self.size = -(-size // stride)
        self.channels = widths["conv3"] + widths["double"]
        self.branches = nn.ModuleDict()
        if branches.single:
            self.branches["conv1"] = _unit(params, inputs, widths["single"], size, 1)
        self.branches["conv3"] = nn.Sequential(
            _unit(params, inputs, widths["reduce3"], size, 1),
            _unit(params, widths["reduce3"], widths["conv3"], self.size, 3, stride),
        )
        self.branches["double3"] = nn.Sequential(
            _unit(params, inputs, widths["reduce_double"], size, 1),
            _unit(params, widths["reduce_double"], widths["double"], size, 3),
            _unit(params, widths["double"], widths["double"], self.size, 3, stride),
        )
        if branches.project:
            project = _unit(params, inputs, widths["project"], size, 1)
            self.branches["pool"] = nn.Sequential(nn.AvgPool2d(3, 1, padding=1), project)
            self.channels += widths["single"] + widths["project"]
        else:
            self.branches["pool"] = nn.MaxPool2d(3, 2, padding=1)
            self.channels += inputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, size, size) to (N, channels, self.size, self.size)."""
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


def _build(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    size = params["image_size"]
    stem, outputs = scaled(64, params["width"]), scaled(192, params["width"])
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_unit(params, in_channels, stem, size, 3),
        conv2_reduce=_unit(params, stem, stem, size, 1),
        conv2=_unit(params, stem, outputs, size, 3),
    )
    channels = outputs
    for name, branches in _MODULES.items():
        mixed = Mixed(params, channels, branches, size)
        layers[name] = mixed
        channels, size = mixed.channels, mixed.size
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)


MODELS = {"inception33": _build}
