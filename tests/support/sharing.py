"""Publications of a quick sweep, for tests of what others do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.publishing import checksums
from support.commands import orch

TRAINABLE = """
import random

from helper import SCALE


def train(params, trial):
    for epoch in range(3):
        value = SCALE * random.random() + params["x"]
        trial.probe("size", "first", value / 2, index=0)
        yield {"score": value}
"""


def sweep_in(
    folder: Path, trainable: str = TRAINABLE, helper: str = "SCALE = 1.0\n", **changes: Any
) -> None:
    """Write a sweep of 10 quick trials, and run it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "noise.py").write_text(trainable)
    (folder / "helper.py").write_text(helper)
    sweep = {
        "name": "noise",
        "trainable": "noise:train",
        "seeds": [0, 1, 2, 3, 4],
        "factors": {"x": [1, 2]},
        "select": {"metric": "score"},
        "claims": [
            {"name": "two", "compare": {"x": [2, 1]}, "metric": "score", "expect": "greater"}
        ],
        **changes,
    }
    (folder / "noise.yaml").write_text(json.dumps(sweep))
    orch(folder, "sweep", "noise.yaml", "--runner", "inline", "--keep-going")


def publish(folder: Path, *options: str) -> Path:
    """Publish the sweep, and return the publication."""
    done = orch(folder, "publish", "noise.yaml", "shared/noise", *options)
    assert done.exit_code == 0, done.output
    return folder / "shared/noise"


def alter(
    publication: Path, table: str, change: Callable[[pd.DataFrame], Any], *, signed: bool = True
) -> None:
    """Change the rows of a table in place, as who publishes them could.

    Args:
        publication: its folder.
        table: the table's name.
        change: changes the rows, in place.
        signed: whether the checksums are made to agree.
    """
    (path,) = publication.glob(f"{table}/merged-*.parquet")
    before = pq.read_table(path)
    rows = before.to_pandas()
    change(rows)
    pq.write_table(pa.Table.from_pandas(rows, before.schema, preserve_index=False), path)
    if signed:
        sign(publication)


def sign(publication: Path) -> None:
    """Make the checksums agree with the files."""
    (publication / checksums.FILE).unlink()
    checksums.write(publication)
