"""Folders of Parquet files in the Hugging Face image convention."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trainables.datasets.cache import Images, Labels
from trainables.datasets.source import MissingDataError, Source


def source(folder: Path) -> Source:
    """The data set in a folder of `train.parquet` and `test.parquet` (or `val.parquet`).

    Raises:
        MissingDataError: If a file is missing.
    """
    train = folder / "train.parquet"
    test = next((p for n in ("test", "val") if (p := folder / f"{n}.parquet").exists()), None)
    if not train.exists() or test is None:
        raise MissingDataError(
            f"no train.parquet and test.parquet (or val.parquet) in {folder.absolute()}; "
            "export them from the Hugging Face hub with columns image and label, "
            "or set ORCH_DATA_DIR to the folder that holds the data sets"
        )
    paths = {"train": train, "test": test}
    return Source([train, test], lambda split: _read(paths[split]))


def _read(path: Path) -> tuple[Images, Labels]:
    """Decode one file: columns `image` (struct with `bytes`) and `label` (integer).

    Raises:
        ValueError: If the file has other columns, or images of several shapes.
    """
    schema = pq.read_schema(path)
    if not {"image", "label"} <= set(schema.names) or not pa.types.is_struct(
        schema.field("image").type
    ):
        raise ValueError(
            f"{path}: expected columns image (struct with bytes) and label, got {schema.names}"
        )
    table = pq.read_table(path, columns=["image", "label"])
    images = [_decode(row["bytes"].as_py()) for row in table["image"]]
    shapes = {image.shape[:2] for image in images}
    if len(shapes) > 1:
        raise ValueError(f"{path}: images must all be of one size, got {sorted(shapes)[:5]}")
    return stack(images), table["label"].to_numpy().astype(np.int64)


def stack(images: list[Images]) -> Images:
    """Images of shape (H, W) or (H, W, 3) as (N, H, W, C), with C = 1 only where all are grey."""
    if all(image.ndim == 2 for image in images):
        return np.stack(images)[..., np.newaxis]
    size = images[0].shape[:2]
    return np.stack(
        [i if i.ndim == 3 else np.broadcast_to(i[..., np.newaxis], (*size, 3)) for i in images]
    )


def _decode(encoded: bytes) -> Images:
    """One image: (H, W) where the file is grey, else (H, W, 3)."""
    with Image.open(BytesIO(encoded)) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))
