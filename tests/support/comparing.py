"""Two stores of the same sweep, compared to the last bit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

VOLATILE = ["seconds", "started_at", "ended_at", "attempts", "host", "versions"]
"""Columns that differ from run to run; all others must not."""


def numbers(store: Path) -> dict[str, pd.DataFrame]:
    """Read all three tables as plain pandas does, but for what differs between runs."""
    return {
        table: in_order(pd.read_parquet(store / table)) for table in ("trials", "epochs", "probes")
    }


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop what differs between runs, and sort."""
    keys = ["trial_id", *(k for k in ("epoch", "probe", "layer_index") if k in frame.columns)]
    frame = frame.drop(columns=[name for name in VOLATILE if name in frame.columns])
    text = {name: str for name in frame.columns if frame[name].dtype == "category"}
    return frame.astype(text).sort_values(keys, ignore_index=True)


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    """Compare every number of two stores to the last bit."""
    for table, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[table], check_exact=True, obj=table)
