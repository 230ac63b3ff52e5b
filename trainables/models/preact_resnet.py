"""Pre-activation ResNets (He et al., 2016, "Identity Mappings") in the form usual on CIFAR.

The stem is one 3x3 convolution; where the shape changes, the shortcut is a 1x1 convolution of the
pre-activated input; no batch norm follows the last block. This is the PyTorch code that most work
on CIFAR is based on (kuangliu/pytorch-cifar).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from trainables import activations
from trainables.models.scaling import scaled
from trainables.units import Unit

_CHANNELS = (64, 128, 256, 512)


class Block(nn.Module):
    """Two pre-activation units with a shortcut.

    Args:
        params: `order`, `activation` and its own params.
        inputs: Channels of the input.
        outputs: Channels of the output.
        size: Side of the input.
        stride: Stride of the first convolution.
    """

    def __init__(
        self, params: Mapping[str, Any], inputs: int, outputs: int, size: int, stride: int
    ) -> None:
        super().__init__()
        order = params["order"]
        after = -(-size // stride)
        self.unit1 = Unit(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1),
            activations.build(params, (inputs, size, size)),
            order,
            preact=True,
        )
        self.unit2 = Unit(
            nn.Conv2d(outputs, outputs, 3, padding=1),
            activations.build(params, (outputs, after, after)),
            order,
            preact=True,
        )
        self.shortcut = (
            nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, size, size) to (N, outputs, size / stride, size / stride)."""
        active = self.unit1.preactivated(x)
        shortcut = x if self.shortcut is None else self.shortcut(active)
        y: Tensor = self.unit2(self.unit1.get_submodule("weight")(active))
        return y + shortcut


def _build(
    depths: tuple[int, ...], params: Mapping[str, Any], in_channels: int, num_classes: int
) -> nn.Module:
    size, channels = params["image_size"], scaled(_CHANNELS[0], params["width"])
    model = nn.Sequential()
    model.add_module("conv1", nn.Conv2d(in_channels, channels, 3, padding=1, bias=False))
    for stage, (full, depth) in enumerate(zip(_CHANNELS, depths, strict=True), start=2):
        outputs = scaled(full, params["width"])
        for index in range(1, depth + 1):
            stride = 2 if stage > 2 and index == 1 else 1
            block = Block(params, channels, outputs, size, stride)
            model.add_module(f"conv{stage}_{index}", block)
            channels, size = outputs, -(-size // stride)
    model.add_module("average", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Linear(channels, num_classes))
    return model


MODELS = {
    "preact_resnet18": partial(_build, (2, 2, 2, 2)),
    "preact_resnet34": partial(_build, (3, 4, 6, 3)),
}
