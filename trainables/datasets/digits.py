"""Handwritten digits, 8x8 grey, from scikit-learn's package: no download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from trainables.datasets.cache import Images, Labels
from trainables.datasets.source import MissingDataError, Source

# The 1,797 images have no official split. The file is ordered by writer, so the test set has other
# writers than the training set. A third of the images is enough to distinguish accuracies half a
# percentage point apart.
_TRAIN = 1_200


def source() -> Source:
    """1,200 training and 597 test images."""
    return Source(_find, _read)


def _find() -> list[Path]:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingDataError("the data set digits is part of scikit-learn: install it")
    return [Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"]


def _read(split: str) -> tuple[Images, Labels]:
    from sklearn.datasets import load_digits  # takes a second, and only the first trial needs it

    digits = load_digits()
    part = slice(None, _TRAIN) if split == "train" else slice(_TRAIN, None)
    grey = np.round(digits.images[part] * (255 / 16)).astype(np.uint8)  # the values are 0 to 16
    return grey[..., np.newaxis], digits.target[part].astype(np.int64)
