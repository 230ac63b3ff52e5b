"""How fast a folder of JPEG files becomes batches at 224 pixels, compared with torchvision.

The folder is made here: images of 64 by 64 pixels, as in Tiny ImageNet. The baseline is
torchvision's ImageFolder with RandomResizedCrop, flip, ToTensor and Normalize, and a DataLoader.
Ours decodes the folder once into a file. All take an epoch's batches as
fast as they come, each in a process of its own; the time of a worker counts.
"""

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Generator

from benchmarks._loops import Trial
from benchmarks._measure import Record, at_least, interleaved, main, ratio
from benchmarks._processes import served
from trainables import data, devices

IMAGES, CLASSES, SIDE, SIZE, BATCH = 6000, 20, 64, 224, 128


def make(folder: Path) -> None:
    """Write JPEG files of the size, on disk as well, of Tiny ImageNet's."""
    generator = np.random.default_rng(0)
    for split, number in (("train", IMAGES), ("val", CLASSES)):
        for index in range(number):
            field = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            image = Image.fromarray(field).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            path = folder / "imagenet" / split / f"{index % CLASSES:02}" / f"{index}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=75)


def ours(folder: Path) -> Iterator[float]:
    """Take batches of a trial's images; the first epoch makes the file."""
    os.environ["ORCH_DATA_DIR"] = str(folder)
    os.environ["ORCH_CACHE_DIR"] = str(folder / "cache")
    device = devices.choose(Trial(), "fp32")
    choice = data.Choice("imagenet", image_size=SIZE, decoded_size=256)

    def epoch(seed: int) -> None:
        images = data.load(choice, device)
        for _ in images.train.training_batches(BATCH, "crop_flip", Generator().manual_seed(seed)):
            pass

    for seed in count():
        yield speed(partial(epoch, seed))


def torchvisions(folder: Path, workers: int) -> Iterator[float]:
    """Take batches of torchvision's ImageFolder."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    steps = [
        transforms.RandomResizedCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    images = datasets.ImageFolder(folder / "imagenet" / "train", transforms.Compose(steps))
    loader = DataLoader(images, BATCH, shuffle=True, num_workers=workers)

    def epoch() -> None:
        for _ in loader:
            pass

    while True:
        yield speed(epoch)


def speed(epoch: Callable[[], None]) -> float:
    """Return the images per CPU-second of an epoch, with those of processes that it ended."""
    before = cpu_seconds()
    epoch()
    return IMAGES / (cpu_seconds() - before)


def cpu_seconds() -> float:
    """Return what this process and the processes that it waited for have taken."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def benchmark() -> Iterator[Record]:
    """Compare the first epoch, and those from the third on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        loops = {
            "ours": partial(ours, folder),
            "a DataLoader with a worker": partial(torchvisions, folder, 1),
            "a DataLoader without workers": partial(torchvisions, folder, 0),
        }
        with served(loops) as next_epoch:
            first = interleaved(next_epoch, 1)
            interleaved(next_epoch, 1)
            later = interleaved(next_epoch)
    for name in ("a DataLoader with a worker", "a DataLoader without workers"):
        for epochs, figures, target in (
            ("first epoch, with making the file", first, None),
            ("an epoch from the third on", later, at_least(10)),
        ):
            claim = f"{epochs}, against torchvision's ImageFolder and {name}"
            yield ratio(claim, figures["ours"], figures[name], "images/CPU-s", target)


if __name__ == "__main__":
    main(benchmark)
