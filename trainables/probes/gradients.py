"""Magnitudes of inputs and gradients, for Figure 15."""

from collections import defaultdict
from itertools import islice

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from trainables.contract import Trial
from trainables.data import Part
from trainables.units import Unit, named_units

# Number of batches to average over, and their images; the paper does not give them.
_BATCHES, _BATCH_SIZE = 8, 128


def log_gradients(model: nn.Module, images: Part, trial: Trial, seed: int) -> None:
    """Log three rows per unit: means over 1,024 images, in batches of 128 and in eval mode.

    The images are drawn at random by the seed, since some data sets are sorted by class.

    `convolution_input` is the mean |input of the convolution|, `weight_gradient` the mean
    |gradient of its weight| and `activation_gradient` the mean |gradient at the activation's
    input|; the gradients are those of the mean cross entropy of a batch.
    """
    model.eval()
    units = list(named_units(model))
    totals: dict[tuple[str, str], float] = defaultdict(float)
    handles = [
        handle
        for name, unit in units
        for handle in (_watch_input(name, unit, totals), _watch_gradient(name, unit, totals))
    ]
    count = 0
    generator = Generator().manual_seed(seed)
    for x, labels in islice(images.training_batches(_BATCH_SIZE, "none", generator), _BATCHES):
        model.zero_grad()
        torch.autograd.backward(functional.cross_entropy(model(x), labels))
        for name, unit in units:
            gradient = unit.get_parameter("weight.weight").grad
            totals["weight_gradient", name] += _mean_magnitude(gradient)
        count += 1
    model.zero_grad()
    for handle in handles:
        handle.remove()
    for index, (name, _) in enumerate(units):
        for probe in ("convolution_input", "weight_gradient", "activation_gradient"):
            trial.probe(probe, name, totals[probe, name] / count, index=index)


Totals = dict[tuple[str, str], float]


def _watch_input(name: str, unit: Unit, totals: Totals) -> torch.utils.hooks.RemovableHandle:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        totals["convolution_input", name] += _mean_magnitude(inputs[0])

    return unit.get_submodule("weight").register_forward_pre_hook(hook)


def _watch_gradient(name: str, unit: Unit, totals: Totals) -> torch.utils.hooks.RemovableHandle:
    def hook(_module: nn.Module, gradients: tuple[Tensor | None, ...], _outputs: object) -> None:
        totals["activation_gradient", name] += _mean_magnitude(gradients[0])

    return unit.get_submodule("activation").register_full_backward_hook(hook)


def _mean_magnitude(x: Tensor | None) -> float:
    # In float32, since torch rounds a mean to the type of the values: with bf16 to 8 bits.
    return 0.0 if x is None else float(x.detach().abs().mean(dtype=torch.float32))
