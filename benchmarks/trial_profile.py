"""Where the time of a trial goes, and what limits its training.

cProfile splits a whole trial into its parts. torch's profiler compares a training step with a step
of the hand-written loop (see Training), and shows what the probes (see Probes) spend on a batch of
test images. Profiling itself takes time, the more the smaller the operators are.
"""

import cProfile
import multiprocessing as mp
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from inspect import unwrap
from time import process_time
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks._loops import Epochs, Params, Trial, available, by_hand, ours
from benchmarks._measure import Record, absolute, cost, main, ratio
from benchmarks.probes import vgg16
from benchmarks.training import fixed
from trainables import data, devices, models, passes

Kinds = Mapping[str, tuple[str, ...]]

PARTS: Mapping[str, Callable[..., object]] = {
    "load the data set, cached": data.load,
    "build the network": models.build,
    "train": passes.train_epoch,
    "evaluate, with probes in the last epoch": passes.evaluate,
}
"""The parts of a trial, with the function that runs each."""

OPERATORS: Kinds = {
    "convolution, backward": ("convolution_backward", "ConvolutionBackward"),
    "convolution, forward": ("convolution",),
    "batch norm, both ways": ("batch_norm", "BatchNorm", "Folded", "aten::addcmul", "aten::repeat"),
    "activation, both ways": ("tanh", "Tanh", "mkldnn", "dense"),
    "pooling, both ways": ("max_pool", "MaxPool", "aten::fill_", "aten::zero_"),
    "optimiser": ("Optimizer", "fused_sgd", "foreach", "aten::add_", "aten::mul_"),
    "images: read, cropped, standardised, batched": (
        *("DataLoader", "index", "pad", "gather", "where", "stack", "aten::cat", "rand"),
        *("aten::copy_", "aten::sub", "aten::div", "aten::flip"),
    ),
}
"""Parts of the names of torch's operators, by kind; the first match counts."""
PROBING: Kinds = {
    "magnitudes": ("aten::abs",),
    "powers about the origin": ("aten::sub", "aten::mul"),
    "sums": ("aten::sum",),
    "maxima": ("aten::amax", "aten::max"),
}
"""The same for the operators that probes add to a batch of test images."""
REST = "the rest"


def trial(params: Params) -> tuple[float, dict[str, float]]:
    """Return the CPU-seconds of a trial and of its parts, in this process."""
    profiler = cProfile.Profile(process_time)
    whole = cost(lambda: profiler.runcall(lambda: list(ours(params)))).cpu
    seconds = {entry.code: entry.totaltime for entry in profiler.getstats()}
    return whole, {part: seconds[unwrap(work).__code__] for part, work in PARTS.items()}


def step(loop: Callable[[Params], Epochs], params: Params) -> dict[str, float]:
    """Return milliseconds per training step of the second epoch, by kind of operator."""
    epochs = loop({**params, "epochs": 2})
    next(epochs)
    steps = -(-params["train_size"] // params["batch_size"])
    return {kind: ms / steps for kind, ms in by_kind(lambda: next(epochs), OPERATORS).items()}


def batch(dataset: str, width_name: str, order: str) -> tuple[float, dict[str, float]]:
    """Return milliseconds per batch without probes, and what probes add by kind of operator."""
    devices.choose(Trial(), "fp32")  # one thread, and memory allocated as in a trial
    network = vgg16(dataset, width_name, order)
    network.with_probes()
    without, with_probes = (
        by_kind(work, PROBING) for work in (network.without_probes, network.with_probes)
    )
    added = {kind: (with_probes[kind] - without[kind]) / network.batches for kind in with_probes}
    return sum(without.values()) / network.batches, added


def by_kind(work: Callable[[], object], kinds: Kinds) -> dict[str, float]:
    """Return the milliseconds that a call spends in torch's operators, by kind."""
    spent = dict.fromkeys([*kinds, REST], 0.0)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    for event in profiler.key_averages():
        matches = (
            kind for kind, names in kinds.items() if any(name in event.key for name in names)
        )
        spent[next(matches, REST)] += event.self_cpu_time_total / 1e3
    return spent


def alone(work: Callable[..., Any], *arguments: object) -> Any:
    """Call a function in its own process: a trial changes how its process allocates memory."""
    with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def whole(params: Mapping[str, Any]) -> Iterator[Record]:
    """Record the parts of a trial."""
    seconds, parts = alone(trial, params)
    parts["the rest: first import of torch's optimisers, set-up, rows of probes"] = seconds - sum(
        parts.values()
    )
    network = f"{params['epochs']} epochs of {params['train_size']:,} images"
    yield absolute(f"VGG16_11 at width 1/8, swap, batch 128, {network}", [seconds], "CPU-s")
    for part, part_seconds in parts.items():
        yield absolute(f"of it: {part}", [part_seconds], "CPU-s")


def benchmark() -> Iterator[Record]:
    """Profile a trial, and steps of narrow and wide networks."""
    vgg = {"model": "vgg16_11", "batch_size": 128}
    cifar10 = fixed(available("cifar10", "parquet:cifar10"), **vgg)
    trained = {**cifar10, "width": 0.125, "epochs": 5, "train_size": 10_000, "test_size": 2000}
    yield from whole({**trained, "probes": ["units"]})
    for width_name, width, images in (("1/8", 0.125, 4000), ("1", 1, 500)):
        params = {**cifar10, "width": width, "train_size": images}
        figures, baseline = (alone(step, loop, params) for loop in (ours, by_hand))
        for kind in [*OPERATORS, REST]:
            claim = f"a step at width {width_name}: {kind}"
            yield ratio(claim, [figures[kind]], [baseline[kind]], "ms")
    for order in ("convention", "swap"):
        without, added = alone(batch, cifar10["dataset"], "1/8", order)
        for kind, ms in added.items():
            claim = f"the probes of a batch at width 1/8, {order}, beside measuring it: {kind}"
            yield ratio(claim, [ms], [without], "ms")


if __name__ == "__main__":
    main(benchmark)
