"""Every sweep file that comes with the project passes its smoke run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.folder import Folder

from orchestrator.spec import cells, load

FOLDER = Path(__file__).parents[2] / "sweeps"
CONTAINED = {
    "table1": "neurips_table",
    "table1-small": "table1-mini",
    "table1_selected": "table1",
}
"""Files whose every cell another one has as well, so that their smoke runs would repeat its own."""
SWEEPS = sorted(path for path in FOLDER.glob("*.yaml") if path.stem not in CONTAINED)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda path: path.stem)
def test_every_cell_passes(folder: Folder, sweep: Path) -> None:
    # Two processes of this suite share the two cores, so that Ray would only add its start.
    folder.orch("sweep", sweep, "--smoke", "--runner", "inline")


@pytest.mark.parametrize(("part", "whole"), CONTAINED.items())
def test_files_without_a_smoke_run_have_the_cells_of_another_one(part: str, whole: str) -> None:
    inner, outer = (
        {frozenset(cell.factors.items()) for cell in cells(load(FOLDER / f"{name}.yaml"))}
        for name in (part, whole)
    )
    assert inner <= outer
