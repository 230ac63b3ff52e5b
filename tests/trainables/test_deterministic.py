"""With `deterministic: true`, no network or probe needs what a GPU cannot do so."""

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from trainables import models
from trainables.classify import train

FAMILIES = ["vgg16_8", "mobilenet", "preact_resnet18", "inception33", "tf_mnist", "tf_cifar10"]
# As far as they concern images, those that torch.use_deterministic_algorithms lists as errors.
WITHOUT = {
    "avg_pool3d_backward",
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "fractional_max_pool2d_backward",
    "max_unpool2d",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "reflection_pad2d_backward",
    "nll_loss2d_forward",
    "grid_sampler_2d_backward",
    "put_",
    "histc",
    "median",
    "kthvalue",
}
ALL_PROBES = {
    "probes": ["units", "inputs", "histograms", "gradients", "gates"],
    "histogram_layers": ["conv1_1"],
    "histogram_channels": [0],
}


class Operations(TorchDispatchMode):
    """Collects the names of torch's operations, those of backward passes included."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_trains_with_deterministic_operations(name, side):
    """On torch's device without memory, which takes none of the ways that a CPU has to itself."""
    params = {"model": name, "activation": "wsgaf", "width": 0.125, "image_size": side}
    with torch.device("meta"), Operations() as used:
        logits = models.build(params, 3, 10)(torch.empty(2, 3, side, side))
        functional.cross_entropy(logits, torch.empty(2, dtype=torch.int64)).backward()
    assert {"convolution_backward", "nll_loss_backward"} <= used.names
    assert not used.names & WITHOUT


def test_every_probe_measures_with_deterministic_operations(digits_params, make_trial):
    trial = make_trial()
    with Operations() as used:
        list(train({**digits_params, **ALL_PROBES, "epochs": 1}, trial))
    assert {"activation_histogram", "weight_gradient"} <= {row.probe for row in trial.rows}
    assert not used.names & WITHOUT


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("model", FAMILIES)
def test_a_gpu_computes_the_same_bits_every_time(model, precision, digits_params, make_trial):
    params = {**digits_params, **ALL_PROBES, "model": model, "precision": precision}
    if not model.startswith("vgg"):
        params |= {"probes": ["units", "inputs", "gradients", "gates"], "histogram_layers": []}
    params |= {"deterministic": True, "activation": "wsgaf", "epochs": 2}
    one, other = make_trial(gpus=1), make_trial(gpus=1)
    assert list(train(params, one)) == list(train(params, other))
    assert one.rows == other.rows
