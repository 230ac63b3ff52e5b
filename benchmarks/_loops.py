"""Two ways to train the same network: `trainables.classify` and a hand-written loop.

Each runs in its own process, because the first changes how its process allocates memory.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks import left_out
from benchmarks._measure import cost
from benchmarks._processes import served
from trainables import datasets, models
from trainables.classify import train
from trainables.datasets.cache import Images, Labels
from trainables.in_memory import standardisation
from trainables.subset import split

Params = Mapping[str, Any]
Epochs = Iterator[Mapping[str, float]]


class Trial:
    """Implements `trainables.contract.Trial`, but keeps only the rows of probes."""

    threads, gpus, smoke, checkpoint_due = 1, 0.0, False, False
    attempt = 1

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="orch-folder-")
        self.folder = Path(self._temporary.name)
        self.rows: list[tuple[str, str, float]] = []

    def probe(self, probe: str, layer: str, value: float, **_where: object) -> None:
        """Keep a row."""
        self.rows.append((probe, layer, value))

    def load(self) -> bytes | None:
        """Return None: there is no checkpoint to continue from."""
        return None

    def save(self, state: bytes) -> None:
        """Ignore a checkpoint."""

    def step(self, images: int, *, of: int) -> None:
        """Ignore progress within an epoch."""

    def record(self, **facts: str) -> None:
        """Ignore facts."""

    def log(self, text: str) -> None:
        """Ignore a log message."""


def ours(params: Params) -> Epochs:
    """Train with the trainable itself."""
    return train(params, Trial())


def by_hand(params: Params) -> Epochs:
    """Train with the baseline: torchvision's data set and transforms, NCHW, float32, plain SGD."""
    torch.set_num_threads(1)
    torch.manual_seed(params["seed"])
    training, testing = (_loader(params, part) for part in ("train", "test"))
    [channels, size, _] = training.dataset[0][0].shape
    model = models.build({**params, "image_size": size}, channels, 10)
    optimizer = torch.optim.SGD(
        model.parameters(), params["lr"], momentum=0.9, weight_decay=params["weight_decay"]
    )
    drops = torch.optim.lr_scheduler.MultiStepLR(optimizer, params["lr_drops"])
    for _ in range(params["epochs"]):
        model.train()
        for images, labels in training:
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(images), labels))
            optimizer.step()
        drops.step()
        yield {"test_accuracy": _accuracy(model, testing)}


def _accuracy(model: nn.Module, testing: DataLoader[Any]) -> float:
    model.eval()
    with torch.no_grad():
        correct = [(model(images).argmax(1) == labels).float() for images, labels in testing]
    return float(torch.cat(correct).mean())


class Decoded(Dataset[tuple[torch.Tensor, int]]):
    """Reads images as torchvision's CIFAR10 and MNIST do, whose arrays are uint8 as well."""

    def __init__(self, images: Images, labels: Labels, transform: Callable[..., Any]) -> None:
        self._images = images[..., 0] if images.shape[3] == 1 else images
        self._labels = labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]


def _loader(params: Params, part: str) -> DataLoader[Any]:
    """Load the images that the trainable selects, standardised with the same mean and deviation."""
    from torchvision import transforms  # not at the top: imports count in `memory`

    images, labels = datasets.load(params["dataset"], part, None)
    selected, _ = split(labels, params[f"{part}_size"], 0)
    train_images, train_labels = datasets.load(params["dataset"], "train", None)
    mean, deviation = standardisation(train_images, split(train_labels, params["train_size"], 0)[0])
    steps = [transforms.ToTensor(), transforms.Normalize(mean / 255, deviation / 255)]
    if part == "train" and params["augment"] == "crop_flip":
        size = images.shape[1]
        steps = [
            transforms.RandomCrop(size, size // 8),
            transforms.RandomHorizontalFlip(),
            *steps,
        ]
    data = Decoded(images[selected], labels[selected], transforms.Compose(steps))
    return DataLoader(data, params["batch_size"], shuffle=part == "train", num_workers=0)


@contextmanager
def processes(params: Params) -> Iterator[dict[str, Callable[[], float]]]:
    """Start both loops; each call trains an epoch and returns images per CPU-second.

    Each process trains an epoch before its first figure.
    """
    loops = {"ours": partial(_speeds, ours, params), "baseline": partial(_speeds, by_hand, params)}
    with served(loops) as figures:
        yield figures


def _speeds(loop: Callable[[Params], Epochs], params: Params) -> Iterator[float]:
    epochs = loop({**params, "epochs": 1000})
    next(epochs)
    while True:
        yield params["train_size"] / cost(lambda: next(epochs)).cpu


def available(*names: str) -> str:
    """Return the first data set that exists; if none does, the script is left out."""
    for name in names:
        if datasets.exists(name):
            return name
    return cast(str, left_out(f"none of {', '.join(names)} is in ORCH_DATA_DIR"))
