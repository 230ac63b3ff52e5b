"""The two networks of Karz & Kovacs (2018), Tables 2 and 3, from the TensorFlow tutorials.

Neither has batch norm: order `nobn`.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from trainables import activations
from trainables.models.scaling import scaled
from trainables.units import Unit

# tf.nn.lrn as in the CIFAR-10 tutorial, with the paper's radius. TensorFlow multiplies the sum
# over the window by alpha, torch its mean.
_RADIUS = 5
_WINDOW = 2 * _RADIUS + 1
_ALPHA = _WINDOW * 0.001 / 9


def _conv(params: Mapping[str, Any], inputs: int, outputs: int, size: int) -> Unit:
    activation = activations.build(params, (outputs, size, size))
    return Unit(nn.Conv2d(inputs, outputs, 5, padding=2), activation, params["order"])


class ResponseNorm(nn.LocalResponseNorm):
    """torch's layer on rows of pixels, with the same bits.

    For images torch averages by `avg_pool3d`, whose gradient no GPU computes deterministically.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return super().forward(x.flatten(2)).view(x.shape)


def _response_norm() -> nn.Module:
    return ResponseNorm(_WINDOW, alpha=_ALPHA, beta=0.75, k=1.0)


def _mnist(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """Table 2: two convolutions, a hidden layer of 1,024 units and dropout of one half."""
    size = params["image_size"]
    first, second, hidden = (scaled(n, params["width"]) for n in (32, 64, 1024))
    layers = OrderedDict(
        conv1=_conv(params, in_channels, first, size),
        pool1=nn.MaxPool2d(2),
        conv2=_conv(params, first, second, size // 2),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        hidden=nn.Linear(second * (size // 4) ** 2, hidden),
        activation=activations.build(params, (hidden,)),
        dropout=nn.Dropout(0.5),
        classifier=nn.Linear(hidden, num_classes),
    )
    return nn.Sequential(layers)


def _cifar10(params: Mapping[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """Table 3: two convolutions with response normalisation, hidden layers of 384 and 192 units.

    The pools overlap as in the tutorial: 3x3 with stride 2.
    """
    size = params["image_size"]
    channels, hidden1, hidden2 = (scaled(n, params["width"]) for n in (64, 384, 192))
    layers = OrderedDict(
        conv1=_conv(params, in_channels, channels, size),
        pool1=nn.MaxPool2d(3, 2, padding=1),
        norm1=_response_norm(),
        conv2=_conv(params, channels, channels, size // 2),
        norm2=_response_norm(),
        pool2=nn.MaxPool2d(3, 2, padding=1),
        flatten=nn.Flatten(),
        hidden1=nn.Linear(channels * (size // 4) ** 2, hidden1),
        activation1=activations.build(params, (hidden1,)),
        hidden2=nn.Linear(hidden1, hidden2),
        activation2=activations.build(params, (hidden2,)),
        classifier=nn.Linear(hidden2, num_classes),
    )
    return nn.Sequential(layers)


MODELS = {"tf_mnist": _mnist, "tf_cifar10": _cifar10}
