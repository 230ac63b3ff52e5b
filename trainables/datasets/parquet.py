"""Folders of Parquet files in the Hugging Face image convention."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.datasets.cache import Images, Labels
from trainables.datasets.encoded import decode, stack
from trainables.datasets.source import Source, required


def source(folder: Path) -> Source:
    """The data set in a folder of `train.parquet` and `test.parquet` (or `val.parquet`)."""
    return Source(lambda: list(_paths(folder).values()), lambda split: _read(_paths(folder)[split]))


def _paths(folder: Path) -> dict[str, Path]:
    """The file of each split.

    Raises:
        MissingDataError: If one of them is missing.
    """
    test = folder / "test.parquet"
    paths = {
        "train": folder / "train.parquet",
        "test": test if test.exists() else folder / "val.parquet",
    }
    required(
        list(paths.values()),
        "expected train.parquet and test.parquet (or val.parquet) with columns image and "
        "label, as exported from the Hugging Face hub",
    )
    return paths


def _read(path: Path) -> tuple[Images, Labels]:
    """Decode one file: columns `image` (struct with `bytes`) and `label` (integer).

    Raises:
        ValueError: If the file has other columns, or its images differ in size.
    """
    schema = pq.read_schema(path)
    if not {"image", "label"} <= set(schema.names) or not pa.types.is_struct(
        schema.field("image").type
    ):
        raise ValueError(
            f"{path}: expected columns image (struct with bytes) and label, got {schema.names}"
        )
    table = pq.read_table(path, columns=["image", "label"])
    images = stack([decode(row["bytes"].as_py()) for row in table["image"]])
    return images, table["label"].to_numpy().astype(np.int64)
