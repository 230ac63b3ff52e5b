"""What a process of its own for every trial takes: memory, and time until its first epoch.

Two trials train a small network on torch at a time. The baseline is Tune alone, which trains in the
worker itself (a class trainable, reused workers). The share of a process is its proportional set
size: a page that two processes map counts half in each. Ray's daemons are left out of both; the
driver, the workers and all that they start count.

On a GPU each trial also makes a context of its own; what that takes has not been measured.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter, sleep

from benchmarks import left_out
from benchmarks._measure import Record, absolute, at_most, command_cost, compare, main
from benchmarks._sweeps import MODULE, Folder, folder, half_the_cores
from benchmarks.memory import share
from orchestrator.running.live_trial import Start
from orchestrator.running.processes.host import TrialProcesses

TRAINING = """
import gc
import os
from pathlib import Path

import torch

HERE = Path(__file__).parent
STEADY = 20


def train(params, trial):
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    epoch = 0
    while not (HERE / "stop").exists():
        epoch += 1
        for _ in range(50):
            optimiser.zero_grad()
            model(torch.randn(32, 64)).square().mean().backward()
            optimiser.step()
        if epoch == STEADY:
            gc.collect()  # as a long training does by itself
            (HERE / f"steady-{os.getpid()}").touch()
        yield {"score": 1.0}
"""
"""Trains until the file `stop` exists, and says by another file when its memory is steady."""

ALONE = f"import os, {MODULE}; next({MODULE}.train({{}}, None)); os._exit(0)"
DAEMONS = ("gcs_server", "raylet", "log_monitor", "monitor.py", "dashboard", "ray::DashboardAgent",
           "ray::RuntimeEnvAgent")  # fmt: skip
SLOTS, REPEATS = 2, 3


def swept(here: Folder) -> float:
    """Return the MiB that `orch sweep` takes."""
    keys = {"seeds": list(range(SLOTS)), "resources": half_the_cores(), "checkpoint_every": 10**6}
    with tempfile.TemporaryDirectory() as root:
        sweep = ["sweep", str(here.write("steady", **keys)), "--store", root]
        return _steady(here, ["-m", "orchestrator", *sweep], here.path)


def tune_alone(here: Folder) -> float:
    """Return the MiB that Tune takes without this project."""
    command = ["-m", "benchmarks._tune_alone", "training", str(SLOTS)]
    return _steady(here, command, Path(__file__).parents[1])


def _steady(here: Folder, arguments: Sequence[str], cwd: Path) -> float:
    """Return the MiB that a command and its processes take once all slots train."""
    stop = here.path / "stop"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    paths = [str(here.path), str(Path(__file__).parents[1])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=environment, stdout=output, stderr=output
        )
        try:
            while len(list(here.path.glob("steady-*"))) < SLOTS:
                if process.poll() is not None:
                    output.seek(0)
                    sys.exit(output.read())
                sleep(0.1)
            return share(list(_counted(process.pid)))
        finally:
            stop.touch()
            process.wait()
            stop.unlink()
            for file in here.path.glob("steady-*"):
                file.unlink()


def _counted(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, but Ray's daemons."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    if not any(name in command for name in DAEMONS):
        yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _counted(int(child))


def first_epoch_of(processes: TrialProcesses, here: Folder) -> float:
    """Return the seconds from the request of a trial to its first epoch."""
    started = perf_counter()
    start = Start(
        trial_id="", params={"seed": 0}, epoch=1, facts={}, threads=1, gpus=0.0, smoke=False,
        checkpoint_every=1, attempt=1, folder=str(here.path),
    )  # fmt: skip
    epochs = processes.run(start, None, lambda _line: None)
    next(epochs)
    seconds = perf_counter() - started
    epochs.close()
    return seconds


def first_trial(here: Folder, later: list[float]) -> Callable[[], float]:
    """Return a function that times the first trial of a worker; `later` takes the second's."""

    def run() -> float:
        processes = TrialProcesses(f"{MODULE}:train", str(here.path), threads=1)
        seconds = first_epoch_of(processes, here)
        later.append(1e3 * first_epoch_of(processes, here))
        processes.close()
        return seconds

    return run


def alone(here: Folder) -> float:
    """Return the seconds that a plain Python takes to train its first epoch."""
    environment = {"PYTHONPATH": str(here.path), "OMP_NUM_THREADS": "1"}
    return command_cost([sys.executable, "-c", ALONE], environment).wall


def benchmark() -> Iterator[Record]:
    """Compare the memory of a sweep, and the time until a first epoch."""
    if not Path("/proc/self/smaps_rollup").exists():
        left_out("needs Linux, whose /proc shows what processes share")
    with folder(TRAINING) as here:
        yield compare(
            "Memory while two trials train on torch, against Tune alone",
            lambda: swept(here),
            lambda: tune_alone(here),
            "MiB",
            at_most(1.25),
            repeats=REPEATS,
            note="Tune alone keeps no trial from what the one before it did to its process.",
        )
        later: list[float] = []
        yield compare(
            "From the start of a worker's first trial to its first epoch, against a plain Python",
            first_trial(here, later),
            lambda: alone(here),
            "s",
            at_most(1.1),
            note="Both import torch, and torch._dynamo, which the first optimizer needs.",
        )
        yield absolute("The same, of a worker's later trials", later, "ms", at_most(150))


if __name__ == "__main__":
    main(benchmark)
