"""What docs/results shows follows from the Parquet files that lie beside it."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from support.scripts import imported

from orchestrator import open_store
from orchestrator.cli.main import main
from orchestrator.publishing import checksums

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
PUBLISHED = sorted(path.parent.name for path in RESULTS.glob("*/sweep.yaml"))

pytestmark = [pytest.mark.parametrize("name", PUBLISHED), pytest.mark.no_cover]


def orch(command: str, name: str, *options: str) -> str:
    """Run a command on the published copy of a store."""
    sweep = str(ROOT / f"sweeps/{name}.yaml")
    result = CliRunner().invoke(main, [command, sweep, "--store", str(RESULTS), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def close(one: Any, other: Any) -> bool:
    """Compare numbers up to rounding, which differs between machines, and the rest exactly."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return math.isclose(one, other, rel_tol=1e-9) if isinstance(one, float) else one == other


@cache
def over_all() -> str:
    """Say which verdicts hold over all published sweeps."""
    return str(imported(ROOT / "docs/publish.py").over_all())


def test_the_tables_follow_from_the_data(name: str) -> None:
    assert (RESULTS / name / "tables.md").read_text() == orch("table", name, "--format", "markdown")


def test_the_verdicts_follow_from_the_data(name: str) -> None:
    shown = json.loads((RESULTS / name / "claims.json").read_text())
    found = json.loads(orch("claims", name, "--format", "json"))
    assert [claim["name"] for claim in shown] == [claim["name"] for claim in found]
    for before, now in zip(shown, found, strict=True):
        assert before.keys() == now.keys()
        assert all(close(before[key], now[key]) for key in before), (before, now)


def test_every_trial_that_was_asked_for_is_there_once_or_said_to_be_missing(name: str) -> None:
    trials = pd.read_parquet(RESULTS / name / "trials")
    epochs = pd.read_parquet(RESULTS / name / "epochs")
    asked = json.loads(orch("plan", name, "--json"))
    card = (RESULTS / name / "README.md").read_text()
    assert (asked["missing"] > 0) == ("Unfinished: " in card)
    finished = set(trials["trial_id"][trials["status"] != "failed"])
    wanted = {trial.trial_id for trial in open_store(RESULTS / name).wanted.trials}
    assert asked["done"] == len(finished & wanted)
    assert trials["trial_id"].is_unique
    assert not epochs.duplicated(["trial_id", "epoch"]).any()
    ends = epochs.groupby("trial_id", observed=True)["epoch"].max()
    assert (ends.loc[trials["trial_id"]].to_numpy() == trials["epochs_run"].to_numpy()).all()


def test_its_files_are_those_that_were_published(name: str) -> None:
    assert checksums.verify(RESULTS / name)


def test_a_certificate_is_of_these_rows_and_sources(name: str) -> None:
    file = RESULTS / name / "certificate.json"
    if file.exists():
        certificate = json.loads(file.read_text())
        assert certificate["publication"] == checksums.verify(RESULTS / name)
        assert certificate["verdict"] != "accused"


def test_it_is_small_and_names_no_machine(name: str) -> None:
    files = [path for path in (RESULTS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    for path in files:
        assert not re.search(rb"/(root|home|tmp|work|Users)/", path.read_bytes()), path


def test_the_overview_follows_from_the_data(name: str) -> None:
    shown = (RESULTS / "index.md").read_text()
    assert imported(ROOT / "docs/publish.py").line(name) in shown
    assert over_all() in shown


def test_its_text_says_what_came_out(name: str) -> None:
    about = (RESULTS / name / "about.md").read_text()
    assert len(about.split()) > 100
    assert name in (RESULTS / "index.md").read_text()
