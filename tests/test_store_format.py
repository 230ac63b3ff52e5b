"""Stores of the first format: read as before, rewritten once; and a newer format, refused."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.folder import Folder, environment
from support.storing import CrashError, contents, crash_at, make_sweep

from orchestrator import open_store
from orchestrator.columns import TABLES
from orchestrator.errors import StoreError
from orchestrator.spec import expand, load_text
from orchestrator.store import Snapshot, Store, settle
from orchestrator.store.stored_sweep import stored_sweep

DATA = Path(__file__).parent / "data" / "format1"
"""A store that the first release wrote, killed in its second run: a merged file, files of single
trials, failed and diverged trials, a checkpoint. Its sweep has whole floats, and no `mode`."""

DONE = {  # perplexity at the last epoch, by rate, depth and seed
    (1.0, 1, 0): 3.0,
    (1.0, 1, 1): 3.0,
    (1.0, 2, 0): 1.5,
    (0.5, 1, 0): 1.5,
    (0.5, 2, 0): 0.75,
}
DIVERGED = {(2.0, 1, 0), (2.0, 1, 1)}
FAILED = {(2.0, 2, 0), (2.0, 2, 1)}


@pytest.fixture
def old(tmp_path: Path) -> Folder:
    """Make a working folder with the store, its trainable and its sweep file."""
    shutil.copytree(DATA / "store", tmp_path / "results" / "old")
    shutil.copy(DATA / "fit.py", tmp_path)
    text = (DATA / "store" / "sweep.yaml").read_text()
    (tmp_path / "old.yaml").write_text(text.replace("perplexity}", "perplexity, mode: max}"))
    return Folder(tmp_path, environment())


def finished(found: Snapshot) -> dict[tuple[float, int, int], float]:
    """Return the last value of each completed trial, after looking at ids and at its epochs."""
    sweep = stored_sweep(found.store)
    trials = found.trials()
    ids = {trial.trial_id: trial for trial in expand(sweep)}
    assert set(trials["trial_id"]) <= ids.keys()
    for row in trials.itertuples():
        config = ids[row.trial_id].config
        assert (row.config_id, row.cell_id) == (config.config_id, config.cell_id)
    ended = trials[trials["status"] == "completed"]
    assert set(ended["trial_id"]) <= set(found.probes("norm")["trial_id"])
    last = found.epochs().groupby("trial_id")["perplexity"].last()
    assert (last[ended["trial_id"]].to_numpy() == ended["perplexity"].to_numpy()).all()
    keys = ended[["rate", "depth", "seed"]].itertuples(index=False, name=None)
    return dict(zip(keys, ended["perplexity"], strict=True))


def with_status(found: Snapshot, status: str) -> set[tuple[float, int, int]]:
    trials = found.trials()
    rows = trials[trials["status"] == status]
    return set(rows[["rate", "depth", "seed"]].itertuples(index=False, name=None))


def formats(folder: Path) -> set[bytes | None]:
    schemas = map(pq.read_schema, folder.glob("*/*.parquet"))
    return {(schema.metadata or {}).get(b"orch_format") for schema in schemas}


def test_a_store_of_the_first_format_reads_as_it_did(old: Folder) -> None:
    before = contents(old.path / "results")
    results = open_store(old.path / "results" / "old")
    assert finished(results.snapshot) == DONE
    assert with_status(results.snapshot, "diverged") == DIVERGED
    assert with_status(results.snapshot, "failed") == FAILED
    selected = results.best().set_index(["rate", "depth"])["mean"].dropna().to_dict()
    assert selected == {(1.0, 1): 3.0, (1.0, 2): 1.5, (0.5, 1): 1.5, (0.5, 2): 0.75}
    assert json.loads(results.trials["facts"].dropna().iloc[0])["python"].startswith("3.")
    counts = json.loads(old.orch("plan", "old.yaml", "--json").stdout)
    assert (counts["done"], counts["stale"], counts["missing"]) == (7, 7, 5)
    assert contents(old.path / "results") == before


def test_a_run_rewrites_it_once_and_keeps_what_is_done(old: Folder) -> None:
    folder = old.path / "results" / "old"
    done = old.orch("sweep", "old.yaml", "--runner", "inline", "--seeds", "0", code=1)
    assert "1 trial begins anew, since checkpoints of format 1 are no longer read" in done.stderr
    assert not any(path.is_file() for path in (folder / "checkpoints").iterdir())
    assert formats(folder) == {b"2"}
    old.process("sweep", "old.yaml", "--seeds", "0,1", "--runner", "inline", code=1)  # it exits
    assert {
        key: value for key, value in finished(Store(str(folder)).snapshot()).items() if key in DONE
    } == DONE


def test_its_trials_are_not_reused(old: Folder) -> None:
    file = old.path / "old.yaml"
    other = old.path / "other.yaml"
    other.write_text(file.read_text().replace("name: old", "name: other"))
    assert json.loads(old.orch("plan", other, "--json").stdout)["reused"] == 0


@pytest.mark.no_cover
def test_a_crash_at_any_instant_of_the_rewrite_loses_and_doubles_nothing(tmp_path: Path) -> None:
    for instant in itertools.count():
        folder = tmp_path / str(instant)
        shutil.copytree(DATA / "store", folder)
        store = Store(str(folder))
        crashed = False
        try:
            with crash_at(instant):
                settle.settle(store, stored_sweep(store))
        except CrashError:
            crashed = True
            found = store.snapshot()
            assert finished(found) == DONE
            assert with_status(found, "failed") == FAILED
            settle.settle(store, stored_sweep(store))
        found = store.snapshot()
        assert finished(found) == DONE
        assert with_status(found, "failed") == FAILED
        ended = found.trials()
        assert len(ended) == len(DONE) + len(DIVERGED) + len(FAILED)
        assert formats(folder) == {b"2"}
        for table in TABLES:
            rows = pd.read_parquet(folder / table)["trial_id"]
            assert rows.isin(ended["trial_id"]).all()
        if not crashed:
            break
    assert instant >= 12, "the rewrite was expected to change more files than that"


def test_a_value_of_another_type_is_another_trial(old: Folder) -> None:
    """The id of 1 in this format is that of 1.0 in the first one."""
    file = old.path / "old.yaml"
    file.write_text(file.read_text().replace("[1.0, 2.0, 0.5]", "[1, 0.5]"))
    counts = json.loads(old.orch("plan", "old.yaml", "--json").stdout)
    assert (counts["done"], counts["missing"]) == (2, 6)
    old.orch("sweep", "old.yaml", "--runner", "inline", "--seeds", "0")
    store = Store(str(old.path / "results" / "old"))
    counts = json.loads(old.orch("plan", "old.yaml", "--seeds", "0", "--json").stdout)
    assert (counts["done"], counts["missing"]) == (4, 0)
    shown = store.snapshot().trials()
    assert len(shown[(shown["rate"] == 1) & (shown["seed"] == 0)]) == 4


def test_a_newer_format_is_refused_in_words(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    settle.create(store)
    settle.settle(store, make_sweep())
    for path in tmp_path.glob("*/0-schema.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({b"orch_format": b"3"}), path)
    with pytest.raises(StoreError, match="format 3, written by a newer release of orch"):
        store.snapshot().trials()


def test_a_stored_file_without_mode_selects_the_largest() -> None:
    sweep = load_text((DATA / "store" / "sweep.yaml").read_text(), "old", strict=False)
    assert sweep.select.mode == "max"


def test_metrics_of_the_first_format_whose_names_are_taken_since_are_kept(old: Folder) -> None:
    folder = old.path / "results" / "old"
    for path in [*folder.glob("trials/*.parquet"), *folder.glob("epochs/*.parquet")]:
        table = pq.read_table(path)
        for name in ("step", "gpus"):
            values = pa.array([7.0] * len(table), pa.float64())
            table = table.append_column(
                pa.field(name, pa.float64(), metadata={"role": "metric"}), values
            )
        pq.write_table(table, path, write_page_checksum=True)

    epochs = open_store(folder).epochs
    done = old.orch("sweep", "old.yaml", "--runner", "inline", "--seeds", "0", code=1)
    assert "1 trial begins anew, since checkpoints of format 1 are no longer read" in done.stderr
    assert not any(path.is_file() for path in (folder / "checkpoints").iterdir())
    assert formats(folder) == {b"2"}
    for shown in (epochs, open_store(folder).epochs):
        kept = shown[shown["step"].notna()]
        assert set(kept["step"]) == set(kept["logged/gpus"]) == {7.0}
    assert set(open_store(folder).trials["logged/gpus"].dropna()) == {7.0}
