"""The batch script of a sweep: what Slurm is asked for, and what the job runs."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator, Sequence

from orchestrator.cluster.slurm.config import Allocation

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The nodes start Ray at their own pace.
    "RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT": "90",
    # The other nodes leave sooner than a minute after the driver's end. At 5, the first one loses
    # its own head while it stops, and the driver's exit code with it.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
    # A node that is lost is noticed in about 15 s instead of 60.
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}
"""Set in the job, for Ray."""


def script(
    allocation: Allocation, job: str, output: str, store: str, arguments: Sequence[str]
) -> str:
    """Write the script that `sbatch` takes.

    Args:
        allocation: what to ask for.
        job: the job's name.
        output: the file for what the job prints; ``%j`` stands for its number.
        store: location of the sweep's store.
        arguments: of `orch`, in the allocation.
    """
    supervisor = [
        # -P: a file of the working folder may have the name of a module that it imports.
        *(sys.executable, "-P", "-m", "orchestrator.cluster.slurm.supervisor"),
        *(store, f"{allocation.lead:g}", *arguments),
    ]
    options = [*_options(allocation), f"--job-name={job}", f"--output={output}"]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            *(f"export {name}={value}" for name, value in ENVIRONMENT.items()),
            *allocation.setup,
            f"exec {shlex.join(supervisor)}",
            "",
        ]
    )


def _options(allocation: Allocation) -> Iterator[str]:
    # `ray stop` ends all of Ray on a node, also what another job has started there.
    yield from ("--exclusive", "--mem=0")
    yield from allocation.sbatch
    # Of an option that is given twice, the last one counts.
    yield from (f"--nodes={allocation.nodes}", "--ntasks-per-node=1")
    yield f"--cpus-per-task={allocation.cpus_per_node}"
    if allocation.gpus_per_node:
        yield f"--gpus-per-node={allocation.gpus_per_node}"
    yield f"--time={math.ceil(allocation.time / 60)}"
    for name in ("partition", "account"):
        if value := getattr(allocation, name):
            yield f"--{name}={value}"
    yield f"--signal=B:USR1@{allocation.lead:.0f}"
    # What the job says is to stay when it is queued again.
    yield from ("--requeue", "--open-mode=append")
