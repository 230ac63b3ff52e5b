"""Networks by name; each family has a module."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from trainables.models import inception, mobilenet, preact_resnet, tensorflow, vgg
from trainables.naming import look_up

Builder = Callable[[Mapping[str, Any], int, int], nn.Module]

MODELS: Mapping[str, Builder] = {
    **vgg.MODELS,
    **mobilenet.MODELS,
    **preact_resnet.MODELS,
    **inception.MODELS,
    **tensorflow.MODELS,
}


def build(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """Build the network that `params["model"]` names.

    Args:
        params: `model`, `order` (convention), `width` (1), `image_size` (32), `activation`
            (relu) and the activation's own params; `init`, torch or xavier (by default xavier
            for the order nobn, else torch); others are ignored.
        in_channels: Channels of the images, which have shape (N, in_channels, size, size).
        num_classes: Number of logits; the output has shape (N, num_classes).

    Raises:
        ValueError: If a name is unknown or a value is invalid.
    """
    defaults = {"order": "convention", "width": 1, "image_size": 32, "activation": "relu"}
    builder = look_up("model", params.get("model"), MODELS)
    complete = {**defaults, **params}
    model = builder(complete, in_channels, num_classes)
    usual = "xavier" if complete["order"] == "nobn" else "torch"
    if complete.get("init", usual) == "xavier":
        _xavier(model)
    return model


def _xavier(model: nn.Module) -> None:
    """Initialise a network with Xavier's weights (Glorot & Bengio, 2010) and zero biases.

    Without batch norm, a deep network hardly learns from torch's default initial weights, which
    attenuate the signal in every layer; Xu et al. (2016) also use Xavier's.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
