"""`orch audit`: what it runs, whom it accuses, and what its certificate says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom
from support.commands import orch
from support.documented import schema
from support.folder import environment
from support.sharing import TRAINABLE, alter, publish, sign, sweep_in
from support.waiting import until

from orchestrator.auditing.audit import prepare, run
from orchestrator.auditing.certificate import Certificate
from orchestrator.auditing.sampling import LEVEL, caught, drawn, entropy, fewest_caught
from orchestrator.auditing.spread import deviation, residuals, spread

FLAKY = """
import json
import pathlib
import random


def train(params, trial):
    state = trial.load()
    done = json.loads(state) if state else []
    for epoch in range(len(done), 4):
        done.append(random.random() + params["x"])
        trial.save(json.dumps(done).encode())
        yield {"score": done[-1]}
        failed = pathlib.Path(params["marks"], f"{params['x']}-{params['seed']}")
        if epoch == 1 and not failed.exists() and params["seed"] == 3:
            failed.touch()
            raise ValueError("once")
"""


def audit(folder: Path, publication: str, *options: str, code: int = 0) -> dict[str, Any]:
    """Audit a publication, and return the certificate."""
    done = orch(folder, "audit", publication, "--yes", *options)
    assert done.exit_code == code, done.output
    found = json.loads((folder / publication / "certificate.json").read_text())
    jsonschema.validate(found, schema("certificate"))
    return found


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publisher")
    sweep_in(folder)
    return publish(folder)


@pytest.fixture
def shared(published: Path, tmp_path: Path) -> Path:
    """A copy of a publication, in a folder with nothing else."""
    return Path(shutil.copytree(published, tmp_path / "downloaded"))


def test_an_honest_publication_is_clear_and_runs_only_after_yes(shared: Path) -> None:
    folder = shared.parent
    asked = orch(folder, "audit", "downloaded", "--sample", "4")
    assert asked.exit_code == 2
    assert asked.stderr == "error: nothing has run; --yes runs it\n"
    assert "4 trials of noise, of 10 that finished, drawn with the seed " in asked.stdout
    assert (
        "the code is that of downloaded, by The authors of noise: it runs on this" in asked.stdout
    )
    assert [path.name for path in folder.iterdir()] == ["downloaded"]
    found = audit(folder, "downloaded", "--sample", "4")
    assert (found["verdict"], found["compared"], found["finished"]) == ("clear", 4, 10)
    assert found["outcomes"]["equal"] == 4
    assert found["caught"] == {"altered": 5, "share": 0.5, "probability": 0.95}
    orch(folder, "audit", "downloaded", "--sample", "4", "--seed", str(found["seed"]), "--yes")
    again = json.loads((shared / "certificate.json").read_text())
    assert [t["trial_id"] for t in again["trials"]] == [t["trial_id"] for t in found["trials"]]
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=shared, check=True)


def raise_scores(rows: pd.DataFrame) -> None:
    rows.loc[rows["x"] == 2, "score"] += 1e-9


def raise_values(rows: pd.DataFrame) -> None:
    rows.loc[rows["x"] == 2, "value"] += 1e-9


def swap_seeds(rows: pd.DataFrame) -> None:
    rows["score"] = rows["score"].sample(frac=1, random_state=1).to_numpy()


@pytest.mark.parametrize(
    ("table", "change", "where"),
    [
        ("epochs", raise_scores, "score"),
        ("trials", raise_scores, "score"),
        ("trials", swap_seeds, "score"),
        ("probes", raise_values, "probe:size"),
    ],
)
def test_whatever_was_altered_is_found(shared: Path, table: str, change: Any, where: str) -> None:
    alter(shared, table, change)
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-2].startswith("accused: ")
    assert re.search(rf"\(x=2, seed=\d\): not equal from epoch \d on in {where}", done.stdout)
    found = json.loads((shared / "certificate.json").read_text())
    assert found["verdict"] == "accused"
    differing = [trial for trial in found["trials"] if trial["outcome"] == "differs"]
    assert {name for trial in differing for name in trial["differing"]} == {where}
    if change is not swap_seeds:
        assert {trial["params"]["x"] for trial in differing} == {2}


def test_trials_of_one_sweep_may_report_other_metrics(tmp_path: Path) -> None:
    more = '{"score": value, **({"more": value} if params["x"] == 2 else {})}'
    sweep_in(tmp_path, TRAINABLE.replace('{"score": value}', more))
    publish(tmp_path)
    assert audit(tmp_path, "shared/noise")["verdict"] == "clear"


def test_a_metric_that_the_sources_do_not_report_is_found(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    has_more = f"pathlib.Path({str(tmp_path / 'mark')!r}).exists()"
    more = f'{{"score": value, **({{"more": value}} if {has_more} else {{}})}}'
    sweep_in(tmp_path, "import pathlib\n" + TRAINABLE.replace('{"score": value}', more))
    publish(tmp_path)
    (tmp_path / "mark").unlink()
    found = audit(tmp_path, "shared/noise", "--sample", "2", code=1)
    assert [trial["differing"] for trial in found["trials"]] == [["more"], ["more"]]


def test_files_that_changed_are_named_before_anything_runs(shared: Path) -> None:
    alter(shared, "trials", raise_scores, signed=False)
    (shared / "tables.md").unlink()
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(
        r"error: downloaded is not as it was published: tables.md is missing, "
        r"trials/merged-\d+.parquet has changed\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    "name", ["sweep.yaml", "looks.json", "trials/merged-{}.parquet", "code/{}.zip"]
)
def test_what_is_not_listed_cannot_come_between(shared: Path, name: str) -> None:
    if "{}" in name:
        (path,) = shared.glob(name.format("*"))
        name = name.format("9" * 20)
        shutil.copy(path, shared / name)
    else:
        (shared / name).touch()
        lines = (shared / "SHA256SUMS").read_text().splitlines(keepends=True)
        kept = (line for line in lines if not line.endswith(f" {name}\n"))
        (shared / "SHA256SUMS").write_text("".join(kept))
    (shared / "trials" / "._copied-by-a-mac.parquet").touch()
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"error: downloaded is not as it was published: {name} is not listed\n"


def test_a_folder_that_is_no_publication_is_refused(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/SHA256SUMS").write_text((shared / "SHA256SUMS").read_text()[:100])
    for name in ("empty", "cut", "nowhere"):
        done = orch(tmp_path, "audit", name, "--yes")
        assert done.exit_code == 2
        assert done.stderr.startswith(
            f"error: {name} is no publication: expected a folder that `orch"
        )


def test_packages_that_are_not_there_are_named_with_their_versions(shared: Path) -> None:
    for path in shared.glob("code/*.json"):
        listed = json.loads(path.read_text())
        listed["packages"] |= {"no-such-package": "1.2.3"}
        path.write_text(json.dumps(listed))
    sign(shared)
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert done.exit_code == 2
    assert done.stderr.endswith("not installed here: pip install no-such-package==1.2.3\n")


def test_packages_of_another_environment_are_not_looked_for_in_this_one(shared: Path) -> None:
    for path in shared.glob("code/*.json"):
        listed = json.loads(path.read_text())
        listed["packages"] |= {"Python": "3.9.1", "module_of_another": "1.2.3"}
        path.write_text(json.dumps(listed))
    sign(shared)
    done = orch(shared.parent, "audit", "downloaded")
    assert done.stdout.startswith("10 trials of noise, of 10 that finished")


def test_without_sources_nothing_can_be_audited(shared: Path) -> None:
    for path in shared.glob("code/*.zip"):
        path.unlink()
    sign(shared)
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert (done.exit_code, done.stderr) == (
        2,
        "error: downloaded holds no sources of its trials: they cannot be run again\n",
    )


def test_sources_that_do_not_run_here_neither_accuse_nor_clear(tmp_path: Path) -> None:
    trainable = TRAINABLE.replace("    for epoch", "    open('notes.txt').close()\n    for epoch")
    (tmp_path / "notes.txt").touch()
    sweep_in(tmp_path, trainable)
    publish(tmp_path)
    done = orch(tmp_path, "audit", "shared/noise", "--yes", "--sample", "3")
    assert done.exit_code == 1
    assert "3 do not run here" in done.stdout
    assert "95 % probability" not in done.stdout
    assert "No such file or directory: 'notes.txt'" in done.stdout
    assert "orch again shared/noise/sweep.yaml" in done.stdout
    assert "neither cleared nor accused" in done.stdout


def test_a_trial_that_never_repeats_accuses_nobody(tmp_path: Path) -> None:
    trainable = TRAINABLE.replace("import random\n", "import secrets as random\n").replace(
        "random.random()", "random.randbelow(1 << 53)"
    )
    sweep_in(tmp_path, trainable)
    publish(tmp_path)
    found = audit(tmp_path, "shared/noise", "--sample", "3", code=1)
    assert (found["verdict"], found["outcomes"]["unrepeatable"]) == ("neither", 3)


def test_trials_that_went_on_from_a_checkpoint_neither_accuse_nor_clear(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    sweep_in(tmp_path, FLAKY, fixed={"marks": str(tmp_path / "marks")})
    publish(tmp_path)
    found = audit(tmp_path, "shared/noise")
    assert (found["verdict"], found["compared"]) == ("clear", 8)
    assert (found["outcomes"]["resumed"], found["resumed"], found["finished"]) == (2, 2, 10)
    assert found["caught"] == {"altered": 1, "share": 1 / 8, "probability": 0.95}
    resumed = [trial for trial in found["trials"] if trial["outcome"] == "resumed"]
    assert {(trial["seed"], trial["went_on_after"]) for trial in resumed} == {(3, "[2]")}


def test_ctrl_c_ends_an_audit_and_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    slow = f"""    mark = pathlib.Path({str(mark)!r})
    if mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)
    for epoch"""
    trainable = "import os, pathlib, time\n" + TRAINABLE.replace("    for epoch", slow)
    sweep_in(tmp_path, trainable)
    publish(tmp_path)
    mark.touch()
    command = [sys.executable, "-m", "orchestrator", "audit", "shared/noise", "--yes"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    trial = int(until(mark.read_text, process, what="the first trial"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.decode().endswith("interrupted; to run it again: orch audit shared/noise --yes\n")
    with pytest.raises(ProcessLookupError):
        os.kill(trial, 0)
    assert not (tmp_path / "shared/noise/certificate.json").exists()


def other_processor(rows: pd.DataFrame) -> None:
    rows["processor"] = rows["processor"].cat.rename_categories(lambda _: "another (avx)")


def test_on_another_processor_equal_trials_are_clear(shared: Path) -> None:
    alter(shared, "trials", other_processor)
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert "equal, though not the same here: processor was another (avx), is " in done.stdout
    assert "clear: what was compared is as published" in done.stdout


def test_on_another_processor_others_are_judged_by_the_spread_over_seeds(shared: Path) -> None:
    alter(shared, "trials", other_processor)

    def one(rows: pd.DataFrame) -> None:
        rows.loc[0, ["score", "best_score"]] += 1e-9

    alter(shared, "trials", one)
    found = audit(shared.parent, "downloaded", code=1)
    assert (found["verdict"], found["compared"], found["caught"]) == ("neither", 0, None)
    assert (found["outcomes"]["elsewhere"], found["outcomes"]["equal"]) == (1, found["sampled"] - 1)
    beside = found["elsewhere"]
    assert beside["conditions"][0].startswith("processor was another (avx), is ")
    assert abs(beside["together"]["mean"]) < 1e-6
    assert 0 < beside["smallest"] < 1

    def shift(rows: pd.DataFrame) -> None:
        rows[["score", "best_score"]] += beside["smallest"] * 1.2

    alter(shared, "trials", shift)
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    assert re.search(r"score differs by -\d\.\d+ standard deviations over seeds", done.stdout)
    assert re.search(r"had all trials been altered alike by 0\.\d+ ", done.stdout)
    assert "neither cleared nor accused" in done.stdout
    assert (
        json.loads((shared / "certificate.json").read_text())["elsewhere"]["together"]["p"] < 0.01
    )


def test_where_no_certificate_can_be_written_nothing_runs(shared: Path) -> None:
    done = orch(shared.parent, "audit", "downloaded", "--yes", "-o", "nowhere/c.json")
    said = "error: nowhere/c.json cannot be written: name another file with --output\n"
    assert (done.exit_code, done.stderr) == (2, said)
    (shared / "certificate.json").mkdir()
    done = orch(shared.parent, "audit", "downloaded", "--yes")
    said = said.replace("nowhere/c.json", "downloaded/certificate.json")
    assert (done.exit_code, done.stderr) == (2, said)


@given(population=st.integers(1, 300), size=st.integers(0, 300), altered=st.integers(0, 300))
def test_the_stated_share_is_the_hypergeometric_one(
    population: int, size: int, altered: int
) -> None:
    size, altered = min(size, population), min(altered, population)
    none_drawn = hypergeom.pmf(0, population, altered, size)
    assert caught(population, altered, size) == pytest.approx(1 - none_drawn, abs=1e-9)
    fewest = fewest_caught(population, size)
    if fewest is None:
        assert size == 0
    else:
        assert caught(population, fewest, size) >= LEVEL
        assert caught(population, fewest - 1, size) < LEVEL


def test_a_sample_of_59_finds_five_percent_of_any_number_of_trials() -> None:
    assert {fewest_caught(n, 59) / n <= 0.05 for n in (60, 130, 1000, 100_000)} == {True}
    assert fewest_caught(100_000, 59) / 100_000 == pytest.approx(1 - 0.05 ** (1 / 59), abs=1e-4)


def test_altered_trials_are_drawn_at_the_stated_rate() -> None:
    ids = [f"{number:016x}" for number in range(200)]
    altered = set(ids[::20])  # 5 %
    for size in (10, 40, 59):
        found = sum(not altered.isdisjoint(drawn(ids, size, seed)) for seed in range(2000))
        expected = caught(200, 10, size)
        assert abs(found / 2000 - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)
    assert sorted(drawn(ids, 500, 3)) == ids


def test_honest_audits_elsewhere_are_beyond_their_bound_at_the_stated_rate() -> None:
    generator = np.random.default_rng(0)
    cells = [generator.normal(size=(20, 4))]
    size = deviation(cells[0])
    honest = residuals(cells[0]) / size
    assert size == pytest.approx(np.sqrt(np.mean(np.var(cells[0], axis=1, ddof=1))))
    differences = generator.normal(size=(300, 12)) - generator.normal(size=(300, 12))
    judged = [spread(each, honest, seed) for seed, each in enumerate(differences)]
    assert np.mean([each.p <= 0.05 for each in judged]) == pytest.approx(0.05, abs=0.035)
    shifted = [spread(e - judged[0].smallest, honest, s) for s, e in enumerate(differences)]
    assert np.mean([each.p <= 0.05 for each in shifted]) == pytest.approx(0.95, abs=0.04)


RETRIED = FLAKY.replace(
    "    for epoch in range(len(done), 4):",
    """    started = pathlib.Path(params["marks"], f"started-{params['x']}-{params['seed']}")
    if not started.exists() and params["seed"] == 1:
        started.touch()
        raise ValueError("before the first epoch")
    for epoch in range(len(done), 4):""",
)


@pytest.mark.slow
def test_no_honest_audit_accuses_and_altered_stores_are_caught_at_the_stated_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The honest store has trials that were retried, and trials that went on from a checkpoint."""
    source = tmp_path / "publisher"
    (source / "marks").mkdir(parents=True)
    sweep_in(source, RETRIED, fixed={"marks": str(source / "marks")}, seeds=list(range(10)))
    honest = publish(source).rename(tmp_path / "honest")
    assert pd.read_parquet(honest / "trials")["attempts"].value_counts().to_dict() == {1: 16, 2: 4}
    monkeypatch.chdir(tmp_path)
    verdicts = Counter(audited(honest, 1, entropy()) for _ in range(200))
    assert verdicts["accused"] == 0
    assert verdicts["clear"] > 100  # the others drew a trial that went on from a checkpoint
    altered = Path(shutil.copytree(honest, tmp_path / "altered"))
    trials = pd.read_parquet(altered / "trials").query("resumed_at == '[]'")
    (victim,) = trials["trial_id"].head(1)  # 5 % of 20

    def raise_one(rows: pd.DataFrame) -> None:
        rows.loc[rows["trial_id"] == victim, ["score", "best_score"]] += 0.1

    alter(altered, "trials", raise_one)
    ids, size = set(pd.read_parquet(altered / "trials")["trial_id"]), 5
    found = 0
    for seed in range(24):
        is_accused = audited(altered, size, seed) == "accused"
        assert is_accused == (victim in drawn(ids, size, seed))
        found += is_accused
    assert binomtest(found, 24, caught(20, 1, size)).pvalue > 0.001


def audited(publication: Path, size: int, seed: int) -> str:
    prepared = prepare(publication, size, seed)
    return Certificate(prepared, list(run(prepared))).verdict


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user, with setpriv",
)
def test_another_user_in_another_folder_comes_to_the_same(shared: Path) -> None:
    user = 65534
    # It may read this Python, which may lie in a folder of root's.
    may_read = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *may_read]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        theirs = shutil.copytree(shared, home / "theirs")
        for path in (home, *home.rglob("*")):
            os.chown(path, user, user)
        done = subprocess.run(
            [*become, sys.executable, "-m", "orchestrator", "audit", "theirs", "--yes"],
            cwd=home,
            env={**environment(), "HOME": name, "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads((theirs / "certificate.json").read_text())
    assert (found["verdict"], found["compared"]) == ("clear", 10)
