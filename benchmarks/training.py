"""How many images per CPU-second training processes, compared with a hand-written loop.

The baseline is torchvision's data set with RandomCrop, flip, ToTensor and Normalize, a
DataLoader in the same process, NCHW, float32, `torch.optim.SGD`. Both use one thread, the same
network, batch size and augmentation; in the baseline's memory format, batch norm and tanh are
torch's own. They alternate, one epoch each.
"""

from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from scipy.stats import ttest_ind

from benchmarks._loops import available, by_hand, ours, processes
from benchmarks._measure import Record, Target, at_least, interleaved, main, ratio

SEEDS = range(5)
SAME = 0.05  # level of the test that both accuracies have the same mean
NARROW = (
    "At width 1/8 six tenths of a step are convolutions, at the rate of oneDNN's kernels (Trial "
    "profile); the gradients of their biases alone take 5 % of it. Another 2.5 ms, whatever the "
    "batch size, are the calls themselves: a seventh of a step at batch 64."
)


def fixed(dataset: str, **changes: Any) -> dict[str, Any]:
    """Return the params that all networks share; few test images, since only training is timed."""
    return {
        "activation": "tanh",
        "order": "swap",
        "lr": 0.01,
        "lr_drops": [],
        "weight_decay": 5e-4,
        "augment": "crop_flip",
        "probes": [],
        "dataset": dataset,
        "test_size": 10,
        "seed": 0,
        **changes,
    }


def speed(
    claim: str, params: dict[str, Any], target: Target | None = None, note: str = ""
) -> Record:
    """Compare the speed of ours and the baseline."""
    with processes(params) as loops:
        figures = interleaved(loops)
    return ratio(claim, figures["ours"], figures["baseline"], "images/CPU-s", target, note=note)


def accuracy(params: dict[str, Any]) -> Record:
    """Compare the test accuracies of both loops over five seeds by Welch's test."""
    results: dict[str, list[float]] = {"ours": [], "baseline": []}
    for seed in SEEDS:
        for name, loop in (("ours", ours), ("baseline", by_hand)):
            *_, last = loop({**params, "seed": seed})
            results[name].append(last["test_accuracy"])
    own, baseline = results["ours"], results["baseline"]
    p = float(ttest_ind(own, baseline, equal_var=False).pvalue)
    figures = [f"{mean(each):.4f} (sd {stdev(each):.4f})" for each in (own, baseline)]
    return ratio(
        "Test accuracy of VGG16_11 at width 1/8 after a short schedule, mean over five seeds",
        [mean(own)],
        [mean(baseline)],
        "",
        Target(f"no difference at the level {SAME} (Welch)", lambda _: p > SAME),
        note=f"{figures[0]} against {figures[1]}, p = {p:.2f}",
    )


def benchmark() -> Iterator[Record]:
    """Compare narrow to wide networks, two other networks, and the accuracy of both loops."""
    cifar10 = available("cifar10", "parquet:cifar10")
    for width_name, width, batch, images, target in (
        ("1/8", 0.125, 64, 4000, 2.2),
        ("1/8", 0.125, 128, 4000, 2.2),
        ("1/4", 0.25, 128, 2000, 1.5),
        ("1", 1, 128, 500, 1.1),
    ):
        params = fixed(cifar10, model="vgg16_11", width=width, batch_size=batch, train_size=images)
        claim = f"VGG16_11 at width {width_name}, CIFAR-10, batch {batch}"
        yield speed(claim, params, at_least(target), NARROW if width_name == "1/8" else "")
    mobilenet = fixed(cifar10, model="mobilenet", width=0.25, batch_size=128, train_size=1000)
    yield speed("MobileNet at width 1/4, CIFAR-10, batch 128", mobilenet)
    if mnist := available("mnist"):
        karz = {"model": "tf_mnist", "order": "nobn", "augment": "none", "activation": "wsgaf"}
        params = fixed(mnist, **karz, batch_size=50, train_size=1000)
        yield speed("004's network with WSGAF, MNIST, batch 50", params)
    short = {"model": "vgg16_11", "width": 0.125, "batch_size": 64, "train_size": 5000}
    yield accuracy(fixed(cifar10, **short, test_size=5000, epochs=3, lr_drops=[2]))


if __name__ == "__main__":
    main(benchmark)
