"""Cluster files for Slurm, the script that follows from one, and when a job queues itself again."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from support.commands import orch
from support.storing import Lab, make_sweep

from orchestrator.cluster.slurm import batch, config, queue
from orchestrator.cluster.slurm.verdict import reached, why_it_ends
from orchestrator.errors import SpecError
from orchestrator.spec import expand

ROOT = Path(__file__).parents[1]
SHIPPED, QUICKSTART = ROOT / "clusters/slurm.yaml", ROOT / "sweeps/quickstart.yaml"


def written(folder: Path, text: str) -> Path:
    path = folder / "slurm.yaml"
    path.write_text(f"scheduler: slurm\n{text}")
    return path


def script(path: Path) -> str:
    return batch.script(
        config.load(path), "orch-toy", "orch-toy-%j.out", "/store", ["sweep", "a b"]
    )


def test_the_shipped_file_asks_for_whole_nodes_and_a_warning(tmp_path: Path) -> None:
    text = script(SHIPPED)
    options = [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]
    assert options == [
        "--exclusive",
        "--mem=0",
        "--nodes=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
        "--gpus-per-node=1",
        "--time=480",
        "--signal=B:USR1@300",
        "--requeue",
        "--open-mode=append",
        "--job-name=orch-toy",
        "--output=orch-toy-%j.out",
    ]
    assert text.endswith("slurm.supervisor /store 300 sweep 'a b'\n")
    assert "export RAY_AUTH_MODE=token" in text
    path = tmp_path / "job.sh"
    path.write_text(text)
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_key_has_its_place_in_the_script(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "cpus_per_node: 4\ntime: 90s\nlead: 1m\npartition: gpu\naccount: us\n"
        "sbatch: [--qos=high]\nsetup: [module load cuda]\n",
    )
    text = script(path)
    for line in (
        "#SBATCH --nodes=1",
        "#SBATCH --time=2",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=us",
        "#SBATCH --qos=high",
        "module load cuda",
    ):
        assert f"\n{line}\n" in text
    assert "gpus" not in text
    assert text.index("--qos") < text.index("--nodes"), "what orch asks for wins"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpus_per_nod: 4\ntime: 1h\n", "line 2: `cpus_per_nod`: unknown key `cpus_per_nod`; did "),
        ("cpus_per_node: 4\n", "`time`: this key is required"),
        ("cpus_per_node: four\ntime: 1h\n", "line 2: `cpus_per_node`: expected an integer"),
        ("cpus_per_node: 4\ntime: soon\n", "line 3: `time`: expected a time such as 90s, 15m"),
        (
            "cpus_per_node: 4\ntime: 5m\nlead: 10m\n",
            "line 4: `lead`: trials would be asked to save",
        ),
        ("cpus_per_node: 4\ntime: 5m\n", "line 3: `time`: trials would be asked to save 5 min bef"),
        ("cpus_per_node: 4\ntime: 1h\nlead: 5s\n", "line 4: `lead`: expected at least 1m"),
        ("cpus_per_node: 4\ntime: 1h\nsbatch: [qos]\n", "line 4: `sbatch[0]`: expected an option"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as error:
        config.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_another_scheduler_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pbs.yaml"
    path.write_text("scheduler: pbs\ncpus_per_node: 4\ntime: 1h\n")
    with pytest.raises(SpecError, match="`scheduler`: expected 'slurm'"):
        config.load(path)


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_there_is_no_cluster_to_start(tmp_path: Path, command: str) -> None:
    done = orch(tmp_path, "cluster", command, SHIPPED)
    assert done.exit_code == 2
    assert f"`orch sweep FILE --cluster {SHIPPED}` asks for nodes" in done.stderr


@pytest.mark.parametrize("command", ["sweep", "status", "logs"])
def test_a_machine_without_slurm_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = orch(tmp_path, command, QUICKSTART, "--cluster", SHIPPED)
    assert done.exit_code == 2
    assert "error: no Slurm here: `squeue` is not on PATH" in done.stderr


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ("JobState=COMPLETED Reason=None ExitCode=0:0", 0),
        ("JobState=FAILED Reason=NonZeroExitCode ExitCode=75:0", 75),
        ("JobState=FAILED Reason=RaisedSignal:9(Killed) ExitCode=0:9", 1),
    ],
)
def test_the_exit_code_of_a_job_that_is_followed_is_that_of_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: str, code: int
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho 'JobId=7 Restarts=0 {ended}'\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.follow("7", tmp_path / "output") == code


def test_what_a_job_has_reached_counts_saved_epochs_and_finished_trials(tmp_path: Path) -> None:
    lab, sweep = Lab(str(tmp_path / "toy")), make_sweep()
    assert reached(lab.store) == {}
    lab.prepare(sweep)
    first, second, *_ = expand(sweep)
    lab.save(sweep, first)
    saved = reached(lab.store)
    lab.commit(sweep, second)
    assert saved.keys() == {first.trial_id}
    assert 0 < saved[first.trial_id] < math.inf
    assert reached(lab.store) == saved | {second.trial_id: math.inf}


ONE, MORE, DONE = {"a": 4.0}, {"a": 5.0}, {"a": math.inf}


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [(75, ONE, MORE), (75, ONE, DONE), (75, {}, ONE), (3, ONE, MORE), (None, ONE, MORE)],
)
def test_a_job_is_queued_again_if_it_got_further(
    code: int | None, before: dict[str, float], after: dict[str, float]
) -> None:
    assert why_it_ends(code, before, after) is None


@pytest.mark.parametrize(
    ("code", "after", "why"),
    [
        (0, DONE, "the sweep is done"),
        (1, DONE, "orch has ended with exit code 1"),
        (2, MORE, "orch has ended with exit code 2"),
        (143, MORE, "orch has ended with exit code 143"),
        (75, ONE, "no trial has finished and none has saved a newer checkpoint"),
        (75, {}, "no trial has finished and none has saved a newer checkpoint"),
        (None, ONE, "no trial has finished and none has saved a newer checkpoint"),
    ],
)
def test_a_job_that_got_nowhere_or_failed_says_why_it_ends(
    code: int | None, after: dict[str, float], why: str
) -> None:
    assert why in str(why_it_ends(code, ONE, after))
