"""What ends a command early: signals, a reader that is gone, Ray's head that has died."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from support.folder import Folder
from support.processes import alive
from support.waiting import HANG_SECONDS, until

pytestmark = pytest.mark.slow

SLOW = """
import time
from pathlib import Path


def train(params, trial):
    Path("began").touch()
    for epoch in range(2000):
        time.sleep(0.1)
        yield {"score": epoch}
"""


@pytest.fixture
def slow(folder: Folder) -> Folder:
    (folder.path / "slow.py").write_text(SLOW)
    folder.write(trainable="slow:train", factors={}, search={}, fixed={}, seeds=[0, 1, 2])
    return folder


def started(folder: Folder, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        folder.command("sweep", "toy.yaml", *words),
        cwd=folder.path,
        env=folder.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], code: int) -> str:
    said, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == code, said
    for word in ("Traceback", "***", "PC: @", "Exception ignored"):
        assert word not in said
    return said


def own_folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"orch-*-{pid}-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_a_signal_ends_a_sweep_in_order(slow: Folder, number: signal.Signals, runner: str) -> None:
    sweep = started(slow, "--runner", runner)
    until((slow.path / "began").exists, sweep)
    sweep.send_signal(number)
    said = ended(sweep, 128 + number)
    assert "interrupted; finished trials are kept; to continue: orch sweep toy.yaml" in said
    assert own_folders(sweep.pid) == []


def test_ctrl_c_four_times_is_as_good_as_once(slow: Folder) -> None:
    sweep = started(slow)
    until((slow.path / "began").exists, sweep)
    for _ in range(4):
        sweep.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert "interrupted; finished trials are kept" in ended(sweep, 130)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_a_signal_at_the_start_is_no_crash(
    slow: Folder, number: signal.Signals, seconds: float
) -> None:
    sweep = started(slow)
    time.sleep(seconds)  # wherever it is by then, the outcome is the same
    sweep.send_signal(number)
    assert "interrupted" in ended(sweep, 128 + number)
    assert own_folders(sweep.pid) == []


AT_RAYS_START = """
import os, signal, sys
sys.argv = ["orch", "sweep", "toy.yaml"]
from orchestrator.__main__ import run
from orchestrator.running.runners import ray_settings
ray_settings.apply()
from ray._private import worker

connect = worker.connect

def connect_and_end(*words, **options):
    connect(*words, **options)
    os.kill(os.getpid(), signal.SIGTERM)

worker.connect = connect_and_end
run()
"""
"""Is asked to end when Ray has put its own handler in place, and before it has started."""


def test_sigterm_while_ray_starts_shows_nothing_of_ray(slow: Folder) -> None:
    sweep = subprocess.Popen(
        [sys.executable, "-c", AT_RAYS_START],
        cwd=slow.path,
        env=slow.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "interrupted" in ended(sweep, 143)
    assert own_folders(sweep.pid) == []


def test_what_a_killed_sweep_leaves_goes_at_the_next_start(slow: Folder) -> None:
    temporary = slow.path / "temporary"  # elsewhere any other command would tidy up
    temporary.mkdir()
    slow.environment["TMPDIR"] = str(temporary)
    sweep = started(slow)
    until((slow.path / "began").exists, sweep)
    below = psutil.Process(sweep.pid).children(recursive=True)
    sweep.kill()
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end with the sweep
            process.kill()
    sweep.communicate()
    until(lambda: not any(map(alive, below)), what="the end of what the sweep had started")
    assert list(temporary.glob(f"orch-*-{sweep.pid}-*"))
    slow.process("sweep", "toy.yaml", "--runner", "inline", "--hours", "0.0001", code=75)
    assert [*temporary.glob(f"orch-*-{sweep.pid}-*"), *own_folders(sweep.pid)] == []


def test_the_death_of_rays_head_is_said_at_once(slow: Folder) -> None:
    sweep = started(slow)
    until((slow.path / "began").exists, sweep)
    (head,) = (p for p in psutil.Process(sweep.pid).children() if p.name() == "gcs_server")
    head.kill()
    said = ended(sweep, 3)
    assert "error: Ray's head process has died; finished trials are kept" in said
    assert "run the same command again to continue" in said
    assert "Failed to connect to GCS" not in said, "as Ray itself says after a minute"


@pytest.mark.parametrize("words", [["status"], ["table", "--format", "csv"], ["logs", "seed=0"]])
def test_a_reader_that_is_gone_ends_a_command_without_a_word(
    slow: Folder, words: list[str]
) -> None:
    slow.process("sweep", "toy.yaml", "--runner", "inline", "--hours", "0.0003", code=75)
    command, *options = words
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        slow.command(command, "toy.yaml", *options),
        cwd=slow.path,
        env=slow.environment,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONOPTIMIZE": "1"},
    ],
)
def test_a_sweep_runs_and_is_shown_in_any_environment(
    folder: Folder, variables: dict[str, str]
) -> None:
    sweep = folder.write(factors={"x": [1, 2]}, search={}, seeds=[0], description="größer ± é")
    here = Folder(folder.path, folder.environment | variables)
    here.process("sweep", sweep)
    assert "2 of 2 trials done" in here.process("status", sweep).stdout


def test_a_long_name_of_the_temporary_folder_is_no_obstacle(folder: Folder, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    here = Folder(folder.path, folder.environment | {"TMPDIR": str(long)})
    here.process("sweep", here.write(search={}, seeds=[0]))
    assert not [path for path in long.iterdir() if re.match("orch-", path.name)]
