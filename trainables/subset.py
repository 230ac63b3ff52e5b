"""Selection of the images to use: the same for every seed, with the same number per class."""

import numpy as np
import numpy.typing as npt

from trainables.datasets.cache import Labels

Index = npt.NDArray[np.int64]


def split(labels: Labels, size: int | None, val_fraction: float) -> tuple[Index, Index]:
    """Choose the images to train and to validate on, independently of the seed.

    Args:
        labels: Class of every image, shape (N,).
        size: Number of images to use, the same number per class; None for all.
        val_fraction: Fraction of each class that is held out for validation.

    Returns:
        Two sorted, disjoint indices into `labels`.

    Raises:
        ValueError: If `size` is not a multiple of the number of classes or larger than the data
            set, or one of the two indices would be empty.
    """
    classes = int(labels.max()) + 1
    per_class = None if size is None else size // classes
    if size is not None and size % classes:
        raise ValueError(f"{size} images cannot be divided equally among {classes} classes")
    order = np.random.default_rng(0).permutation(len(labels))
    train, val = [], []
    for number in range(classes):
        members = order[labels[order] == number][:per_class]
        if per_class is not None and len(members) < per_class:
            raise ValueError(f"class {number} has {len(members)} images, fewer than {per_class}")
        held_out = round(val_fraction * len(members))
        val.append(members[:held_out])
        train.append(members[held_out:])
    chosen, held = np.sort(np.concatenate(train)), np.sort(np.concatenate(val))
    if not len(chosen) or (val_fraction and not len(held)):
        raise ValueError(f"val_fraction {val_fraction} of {len(labels)} images leaves a part empty")
    return chosen, held
