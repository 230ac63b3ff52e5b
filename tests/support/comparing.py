"""Bitwise comparison of two stores of the same sweep."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

VOLATILE = ["seconds", "started_at", "ended_at", "attempts", "resumed_at", "host", "facts"]
"""Columns that differ between runs; all others are the same."""


def numbers(store: Path) -> dict[str, pd.DataFrame]:
    """Read all three tables with plain pandas, without the volatile columns."""
    return {
        table: in_order(pd.read_parquet(store / table)) for table in ("trials", "epochs", "probes")
    }


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the volatile columns and sort the rows."""
    keys = ["trial_id", *(k for k in ("epoch", "probe", "layer_index") if k in frame.columns)]
    frame = frame.drop(columns=[name for name in VOLATILE if name in frame.columns])
    text = {name: str for name in frame.columns if frame[name].dtype == "category"}
    return frame.astype(text).sort_values(keys, ignore_index=True)


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    """Check that two stores hold the same numbers, bit for bit."""
    for table, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[table], check_exact=True, obj=table)
