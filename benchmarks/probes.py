"""What the probes of saturation, skewness and sparsity add to the evaluation of accuracy.

They are compared with an evaluation without probes, and with the passes of the paper's algorithms
taken literally: mean, variance, third moment; saturation; channel-wise maximum, sparsity; accuracy.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._loops import Trial, available, ours
from benchmarks._measure import Record, at_least, at_most, cost, interleaved, main, ratio
from trainables import data, devices, models, passes, probes
from trainables.params import validated
from trainables.settings import Settings
from trainables.units import named_units

WIDTHS = {"1": (1.0, 2), "1/4": (0.25, 8), "1/8": (0.125, 16)}
"""Width (a factor on the channels) and number of batches of 128 test images, by name."""


class Literal:
    """The paper's algorithms taken literally, with one pass over the images for each sum."""

    def __init__(self, model: nn.Module, images: data.Part, batches: int) -> None:
        self.model, self.images, self.batches = model, images, batches
        units = [unit for _, unit in named_units(model)]
        self.activations = [unit.get_submodule("activation") for unit in units]
        self.outputs = [unit.output for unit in units]

    def evaluate(self) -> None:
        """Compute accuracy, then skewness in three passes, saturation in one, sparsity in two."""
        passes.evaluate(self.model, self.images, _first(self.batches))
        mean = self._sums(self.activations, lambda _, x: x.mean(1))
        variance = self._sums(
            self.activations, lambda layer, x: (x - mean[layer][:, None]).square().mean(1)
        )
        self._sums(
            self.activations,
            lambda layer, x: (
                (x - mean[layer][:, None]) ** 3 / (variance[layer] ** 3).sqrt()[:, None]
            ).mean(1),
        )
        self._sums(self.activations, lambda _, x: x.abs().mean())
        largest = [torch.zeros(()) for _ in self.outputs]

        def keep_largest(layer: int, x: Tensor) -> Tensor:
            largest[layer] = torch.maximum(largest[layer], x.abs().amax(1))
            return largest[layer]

        self._sums(self.outputs, keep_largest)
        self._sums(self.outputs, lambda layer, x: (x.abs() / largest[layer][:, None]).mean())

    def _sums(
        self, modules: list[nn.Module], term: Callable[[int, Tensor], Tensor]
    ) -> list[Tensor]:
        """Average a term of each layer's output, flattened by channel, over the batches."""
        sums = [torch.zeros(()) for _ in modules]

        def hook(layer: int) -> Callable[..., None]:
            def add_term(_module: nn.Module, _inputs: object, output: Tensor) -> None:
                flat = output.transpose(0, 1).flatten(1)
                sums[layer] = sums[layer] + term(layer, flat) / self.batches

            return add_term

        handles = [each.register_forward_hook(hook(layer)) for layer, each in enumerate(modules)]
        passes.evaluate(self.model, self.images, _first(self.batches))
        for handle in handles:
            handle.remove()
        return sums


def _first(batches: int) -> Tensor:
    """Positions of the images in the first batches of 128."""
    return torch.arange(128 * batches)


@dataclass(frozen=True)
class Evaluated:
    """A network and the test images to evaluate it on."""

    model: nn.Module
    images: data.Part
    batches: int
    settings: Settings

    def without_probes(self) -> None:
        """Compute accuracy."""
        passes.evaluate(self.model, self.images, _first(self.batches))

    def with_probes(self) -> None:
        """Compute accuracy and all three probes."""
        with ExitStack() as stack:
            for watcher in probes.watchers(self.model, self.settings):
                stack.enter_context(watcher)
            self.without_probes()


def vgg16(dataset: str, width_name: str, order: str) -> Evaluated:
    """Build VGG16_11 at a width of `WIDTHS`."""
    width, batches = WIDTHS[width_name]
    settings = validated(
        Settings, {**_params(dataset), "width": width, "order": order, "probes": ["units"]}
    )
    images = data.load(data.Choice(dataset), torch.device("cpu")).test
    model = models.build({**settings.for_model(), "image_size": 32}, 3, 10)
    return Evaluated(model.to(memory_format=torch.channels_last), images, batches, settings)


def evaluation(dataset: str, width_name: str, order: str) -> Iterator[Record]:
    """Compare evaluation with the probes with evaluation without, and with the literal passes."""
    network = vgg16(dataset, width_name, order)
    literal = Literal(network.model, network.images, network.batches)
    network.with_probes()  # warm up
    figures = interleaved(
        {
            "probes": lambda: cost(network.with_probes).cpu,
            "none": lambda: cost(network.without_probes).cpu,
            "literal": lambda: cost(literal.evaluate).cpu,
        }
    )
    which = f"VGG16_11 at width {width_name}, {order}"
    yield ratio(
        f"Evaluation with all three probes against without: {which}",
        figures["probes"],
        figures["none"],
        "CPU-s",
        at_most(1.5),
        note="Trial profile breaks down what the probes add.",
    )
    yield ratio(
        f"The paper's passes, taken literally, against ours: {which}",
        figures["literal"],
        figures["probes"],
        "CPU-s",
        at_least(2.5),
        note="The first figure is that of the literal passes.",
    )


def whole_trial(dataset: str) -> Record:
    """Compare ten epochs with probes at the last one with ten without."""
    params = {**_params(dataset), "width": 0.125, "order": "swap", "epochs": 10}

    def seconds(groups: list[str]) -> float:
        return cost(lambda: list(ours({**params, "probes": groups}))).cpu

    figures = interleaved({"probes": lambda: seconds(["units"]), "none": lambda: seconds([])})
    return ratio(
        "A trial of 10 epochs with probes at the last against without, VGG16_11 at width 1/8",
        figures["probes"],
        figures["none"],
        "CPU-s",
        at_most(1.02),
    )


def _params(dataset: str) -> dict[str, Any]:
    """Return params with five training images per test image, as in CIFAR-10."""
    return {
        "dataset": dataset,
        "model": "vgg16_11",
        "activation": "tanh",
        "augment": "crop_flip",
        "lr": 0.01,
        "weight_decay": 5e-4,
        "epochs": 1,
        "train_size": 2000,
        "test_size": 400,
        "seed": 0,
    }


def benchmark() -> Iterator[Record]:
    """Compare all widths in both orders, and a whole trial."""
    devices.choose(Trial(), "fp32")  # one thread, and memory allocated as in a trial
    dataset = available("cifar10", "parquet:cifar10")
    for width_name in WIDTHS:
        for order in ("convention", "swap"):
            yield from evaluation(dataset, width_name, order)
    yield whole_trial(dataset)


if __name__ == "__main__":
    main(benchmark)
