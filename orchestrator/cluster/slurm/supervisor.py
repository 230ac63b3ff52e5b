"""Runs in the allocation, as the job's batch script: ``supervisor STORE LEAD ARGUMENTS...``.

It starts Ray on all nodes and the driver on this one, passes Slurm's warning on to the driver, and
queues the job again where that gets the sweep further. The job's output has what the driver says,
and nothing of Ray's, unless that fails to start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cluster.launcher import command_line
from orchestrator.cluster.slurm import queue
from orchestrator.cluster.slurm.verdict import reached, why_it_ends
from orchestrator.errors import ClusterError, OrchError, TimeUpError
from orchestrator.running.heartbeat import driver_of
from orchestrator.running.job import STORE
from orchestrator.running.runners.ray_settings import OBJECT_STORE_BYTES
from orchestrator.store import Store
from orchestrator.temporary import temporary

_SPARE = 30.0
"""Seconds before the time limit in which the job must have been queued again."""
_GRACE = 10.0
"""Seconds of those in which Ray may end on all nodes; what is left then, Slurm ends."""
_PORT = 6379
_SHOWN_LINES = 20
_DRIVER = (
    'export RAY_ADDRESS=$0; "${@:3}" >> "$2" 2>&1; code=$?; '
    'echo $code > "$1.new"; mv "$1.new" "$1"; exit $code'
)
"""Tells the driver's exit code: that of a Ray which fails to start is 0."""


class Supervisor:
    """Watches over one run of a sweep in its allocation.

    Args:
        store: the sweep's.
        lead: seconds from Slurm's warning to the time limit.
    """

    def __init__(self, store: Store, lead: float) -> None:
        self._store, self._lead = store, lead
        self._has_told = False
        """Whether the driver knows that the time is nearly up."""
        self._ends_at: float | None = None
        """By the monotonic clock, once Slurm has warned."""
        signal.signal(signal.SIGUSR1, self._warned)

    def _warned(self, *_: object) -> None:
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._lead - _SPARE

    def run(self, arguments: Sequence[str]) -> int:
        """Run the sweep; return the job's exit code, which counts if it is not queued again."""
        before = reached(self._store)
        with temporary("slurm") as folder:
            code = self._driver_code(arguments, Path(folder))
        exit_code = TimeUpError.exit_code if code is None else code
        if why := why_it_ends(code, before, reached(self._store)):
            _say(f"this job is not queued again: {why}")
            return exit_code
        _say("this job is queued again, to go on where it is")
        try:
            queue.requeue(os.environ["SLURM_JOB_ID"])
        except ClusterError as error:
            _say(f"Slurm refuses: {error}")
        return exit_code

    def _driver_code(self, arguments: Sequence[str], folder: Path) -> int | None:
        """Run Ray with the driver; return its exit code, or None if the time is up before it."""
        code, said = folder / "code", folder / "ray.log"
        with said.open("w") as log:
            step = subprocess.Popen(_step(arguments, code), stdout=log, stderr=log)
        while step.poll() is None and not code.exists():
            if self._ends_at is not None:
                self._tell_driver()
                if time.monotonic() >= self._ends_at:
                    return None  # Slurm ends what is left
            time.sleep(1)
        if not code.exists():
            lines = "\n".join(f"  {line}" for line in said.read_text().splitlines()[-_SHOWN_LINES:])
            _say(f"Ray has not started on all nodes:\n{lines}")
            return step.returncode or 1
        step.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            step.wait(_GRACE)
        return int(code.read_text())

    def _tell_driver(self) -> None:
        """Tell the driver once that the time is nearly up, as soon as it runs trials."""
        driver = None if self._has_told else driver_of(self._store)
        if driver is not None and driver.host == socket.gethostname():
            _say("the time of this job is nearly up: trials are asked to save")
            self._has_told = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver.pid, signal.SIGUSR1)


def _step(arguments: Sequence[str], code: Path) -> list[str]:
    """Return the command that starts Ray on all nodes, and the driver on this one."""
    nodes, cpus = os.environ["SLURM_JOB_NUM_NODES"], os.environ["SLURM_CPUS_PER_TASK"]
    gpus = os.environ.get("SLURM_GPUS_PER_NODE", "0")
    address = f"{os.environ['SLURMD_NODENAME']}:{_PORT}"
    # Slurm hands on neither the CPUs per task, nor variables to a job that was given none.
    srun = ["srun", "--export=ALL", "--kill-on-bad-exit=1", f"--cpus-per-task={cpus}"]
    ray = ["symmetric-run", "--address", address, "--min-nodes", nodes]
    ray += ["--num-cpus", cpus, "--num-gpus", gpus]
    ray += ["--object-store-memory", str(OBJECT_STORE_BYTES)]
    orch = [sys.executable, "-P", "-m", "orchestrator", *arguments]
    output = str(Path("/dev/stdout").resolve())
    driver = ["bash", "-c", _DRIVER, address, str(code), output, *orch]
    return [*srun, *command_line(*ray, "--", *driver)]


def _say(text: str) -> None:
    print(f"orch: {text}", flush=True)


def main() -> None:
    """Run what the batch script asks for."""
    store, lead, *arguments = sys.argv[1:]
    # Whatever `setup` says: the commands on the login node read this store.
    os.environ[STORE] = store.rpartition("/")[0]
    # `ray symmetric-run` calls `ray`.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        code = Supervisor(Store(store), float(lead)).run(arguments)
    except OrchError as error:
        _say(f"error: {error}")
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
