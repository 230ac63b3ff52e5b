"""Networks by name. `build` is the door; what a name means is in the module of its family."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from trainables.models import vgg
from trainables.naming import look_up

Builder = Callable[[Mapping[str, Any], int, int], nn.Module]

MODELS: Mapping[str, Builder] = {**vgg.MODELS}


def build(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """Make the network that `params["model"]` names.

    Args:
        params: `model`, `order` (convention), `width` (1), `image_size` (32), `activation`
            (relu) and the activation's own params; others are ignored.
        in_channels: Channels of the images, which have shape (N, in_channels, size, size).
        num_classes: Number of logits; the output has shape (N, num_classes).

    Raises:
        ValueError: If a name is unknown or a value impossible.
    """
    defaults = {"order": "convention", "width": 1, "image_size": 32, "activation": "relu"}
    builder = look_up("model", params.get("model"), MODELS)
    return builder({**defaults, **params}, in_channels, num_classes)
