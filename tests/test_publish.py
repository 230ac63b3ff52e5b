"""`orch publish`: what a publication holds, what it keeps to itself, and what it replaces."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from support.commands import orch
from support.sharing import TRAINABLE, publish, sweep_in

from orchestrator import open_store
from orchestrator.columns import TABLES
from orchestrator.publishing import checksums

FAILING = TRAINABLE + (
    "    if params['x'] == 2 and params['seed'] == 4:\n"
    "        import pathlib, socket\n"
    "        raise ValueError(f'no {pathlib.Path.cwd()}/data on {socket.gethostname()}')\n"
)


def test_a_publication_holds_all_that_its_numbers_come_from(tmp_path: Path) -> None:
    sweep_in(tmp_path)
    shared = publish(tmp_path)
    assert {path.name for path in shared.iterdir()} == {
        *("README.md", "CITATION.cff", "SHA256SUMS", "sweep.yaml", "cost.json", "code"),
        *("tables.md", "claims.json", "figures", "report.html", *TABLES),
    }
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=shared, check=True)
    files = {str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file()}
    listed = {line[66:] for line in (shared / "SHA256SUMS").read_text().splitlines()}
    assert files == listed | {"SHA256SUMS"}
    trials = pd.read_parquet(shared / "trials")
    assert len(trials) == 10
    for digest in trials["code_digest"].unique():
        assert (shared / f"code/{digest}.zip").is_file()
    for digest in trials["environment_digest"].unique():
        assert "packages" in json.loads((shared / f"code/{digest}.json").read_text())


def test_a_certificate_stays_true_until_other_rows_are_published(tmp_path: Path) -> None:
    sweep_in(tmp_path)
    shared = publish(tmp_path)
    certificate = shared / "certificate.json"
    certificate.write_text(json.dumps({"publication": checksums.verify(shared)}))
    sums = (shared / "SHA256SUMS").read_text()
    again = orch(tmp_path, "publish", "noise.yaml", str(shared))
    assert (shared / "SHA256SUMS").read_text() != sums, "the files have other names"
    assert json.loads(certificate.read_text()) == {"publication": checksums.verify(shared)}
    assert "certificate" not in again.stderr
    sweep_in(tmp_path, seeds=[0, 1, 2, 3, 4, 5])
    again = orch(tmp_path, "publish", "noise.yaml", str(shared))
    said = "certificate.json is of other rows or sources: have them audited anew"
    assert said in again.stderr
    assert certificate.is_file()


def test_everything_can_be_computed_anew_whatever_the_folder_is_called(tmp_path: Path) -> None:
    sweep_in(tmp_path)
    shared = publish(tmp_path).rename(tmp_path / "downloaded")
    again = [
        orch(tmp_path, command, "downloaded/sweep.yaml", "--format", name).stdout
        for command, name in (("table", "markdown"), ("claims", "json"))
    ]
    assert again == [(shared / name).read_text() for name in ("tables.md", "claims.json")]
    own = open_store(tmp_path / "results/noise")
    theirs = open_store(shared)
    pd.testing.assert_frame_equal(own.epochs, theirs.epochs)
    pd.testing.assert_frame_equal(
        own.trials.drop(columns="host"), theirs.trials.drop(columns="host")
    )
    assert own.probes("size")["value"].tolist() == theirs.probes("size")["value"].tolist()


def test_hugging_face_loads_it_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    sweep_in(tmp_path, FAILING, retries=0)
    shared = publish(tmp_path, "--unfinished")
    datasets.disable_progress_bars()
    rows = {
        table: datasets.load_dataset(str(shared), table, cache_dir=str(tmp_path / "cache"))["train"]
        for table in datasets.get_dataset_config_names(str(shared))
    }
    assert {table: len(found) for table, found in rows.items()} == {
        "trials": 10,
        "epochs": 27,
        "probes": 27,
    }
    assert sorted(set(rows["trials"]["status"])) == ["completed", "failed"]


def test_names_of_hosts_and_folders_stay_here_unless_asked(tmp_path: Path) -> None:
    sweep_in(tmp_path, FAILING, retries=0)
    host, here = socket.gethostname(), str(tmp_path)
    shared = publish(tmp_path, "--unfinished")
    trials = pd.read_parquet(shared / "trials")
    assert set(trials["host"].dropna()) == {"host-1"}
    (error,) = trials["error"].dropna()
    assert error == "ValueError: no ./data on host-1"
    for path in shared.rglob("*"):
        assert not path.is_file() or here.encode() not in path.read_bytes(), path
    named = publish(tmp_path, "--unfinished", "--with-names")
    trials = pd.read_parquet(named / "trials")
    assert set(trials["host"].dropna()) == {host}
    assert trials["error"].dropna().tolist() == [f"ValueError: no {here}/data on {host}"]


def test_code_that_names_a_folder_is_told(tmp_path: Path) -> None:
    sweep_in(tmp_path, f"DATA = {str(tmp_path / 'images')!r}\n{TRAINABLE}")
    done = orch(tmp_path, "publish", "noise.yaml", "shared")
    assert done.exit_code == 0
    told = rf"look before you give it away: noise.py in code/\w+.zip names {tmp_path}\n"
    assert re.fullmatch(told, done.stderr)


def test_what_is_unfinished_says_so(tmp_path: Path) -> None:
    sweep_in(tmp_path, FAILING, retries=0)
    refused = orch(tmp_path, "publish", "noise.yaml", "shared")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: Unfinished: of 10 trials, 1 failed. Tables mark what they lack. Finish it, or "
        "publish it as it is with --unfinished\n"
    )
    assert not (tmp_path / "shared").exists()
    card = (publish(tmp_path, "--unfinished") / "README.md").read_text()
    assert "**Unfinished: of 10 trials, 1 failed." in card
    assert "9 trials of 2 cells, with the seeds 0-4" in card


def test_a_sweep_of_which_nothing_has_finished_is_refused(tmp_path: Path) -> None:
    sweep_in(tmp_path, "def train(params, trial):\n    raise ValueError\n    yield {}\n", retries=0)
    refused = orch(tmp_path, "publish", "noise.yaml", "shared", "--unfinished")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "error: no trial of noise has finished: there is nothing to show\n",
    )


def test_a_publication_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    sweep_in(tmp_path)
    shared = publish(tmp_path)
    (shared / "about.md").write_text("What we think of it.\n")
    before = (shared / "SHA256SUMS").read_text()
    (tmp_path / "helper.py").write_text("SCALE = 2.0\n")
    assert (
        orch(tmp_path, "sweep", "noise.yaml", "--runner", "inline", "--rerun-stale").exit_code == 0
    )
    assert publish(tmp_path) == shared
    assert (shared / "about.md").read_text() == "What we think of it.\n"
    assert (shared / "SHA256SUMS").read_text() != before
    assert len(list(shared.glob("trials/merged-*.parquet"))) == 1
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=shared, check=True)
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").touch()
    for name in ("mine", "results/noise"):
        refused = orch(tmp_path, "publish", "noise.yaml", name)
        assert refused.exit_code == 2
        assert f"{name} exists, and is no publication of noise" in refused.stderr
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob(".*"))


def test_a_file_of_others_never_stands_in_place_of_a_published_one(tmp_path: Path) -> None:
    sweep_in(tmp_path, claims=[])
    publication = publish(tmp_path)
    (publication / "claims.json").write_text("mine")
    sweep_in(tmp_path)
    done = orch(tmp_path, "publish", "noise.yaml", "shared/noise")
    assert done.exit_code == 2
    assert "shared/noise/claims.json is a file of yours in the place of one" in done.stderr
    assert (publication / "claims.json").read_text() == "mine"
    (publication / "claims.json").unlink()
    checksums.verify(publish(tmp_path))


def test_it_is_cited_by_the_authors_of_the_project(tmp_path: Path) -> None:
    sweep_in(tmp_path)
    cited = (publish(tmp_path) / "CITATION.cff").read_text()
    assert "title: Results of the sweep noise" in cited
    assert "- name: The authors of noise" in cited
    (tmp_path / "CITATION.cff").write_text(
        "authors:\n- {given-names: Ada, family-names: Lovelace}\ntitle: Notes\n"
    )
    assert "given-names: Ada" in (publish(tmp_path) / "CITATION.cff").read_text()
