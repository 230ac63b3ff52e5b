"""Every sweep file that comes with the project passes its smoke run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.folder import Folder

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda path: path.stem)
def test_every_cell_passes(folder: Folder, sweep: Path) -> None:
    # Two processes of this suite share the two cores, so that Ray would only add its start.
    folder.orch("sweep", sweep, "--smoke", "--runner", "inline")
