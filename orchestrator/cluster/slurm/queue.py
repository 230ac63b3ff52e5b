"""Slurm's queue: submits the job of a sweep, finds it again, follows and cancels it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from orchestrator.errors import ClusterError

_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
}
_PAUSE = 5.0
"""Seconds between two looks at a job that is followed: others ask Slurm, too."""


@dataclass(frozen=True)
class Job:
    """A job, as Slurm describes it."""

    number: str
    state: str
    """Such as ``PENDING``."""
    reason: str
    """Why it waits, or has failed; ``None`` without one."""
    nodes: str
    """On which it runs."""
    ends_at: str
    requeued: int
    """How often it has been queued again."""
    exit_code: int

    @property
    def has_ended(self) -> bool:
        """Whether it has ended for good."""
        return self.state in _ENDED

    def __str__(self) -> str:
        again = f", queued again {self.requeued}x" if self.requeued else ""
        where = f" on {self.nodes}, until {self.ends_at}" if self.state == "RUNNING" else ""
        why = f" ({self.reason})" if self.reason != "None" and not where else ""
        return f"job {self.number}: {self.state}{why}{where}{again}"


def name_of(sweep: str) -> str:
    """Return the name of a sweep's jobs."""
    return f"orch-{sweep}"


def output_of(sweep: str, number: str = "%j") -> str:
    """Return the file in the working folder that takes what a job prints."""
    return f"{name_of(sweep)}-{number}.out"


def submit(script: str) -> str:
    """Submit a script from the working folder; return the job's number.

    Raises:
        ClusterError: Slurm refuses it, in its own words.
    """
    return _slurm("sbatch", "--parsable", stdin=script).strip().partition(";")[0]


def last(sweep: str) -> Job | None:
    """Return the newest job of a sweep in this working folder that Slurm still knows of."""
    listed = _slurm(
        "squeue", "--me", "--noheader", "--states=all", f"--name={name_of(sweep)}", "--format=%i %Z"
    )
    jobs = [line.partition(" ") for line in listed.splitlines()]
    here = [number for number, _, folder in jobs if folder.strip() == str(Path.cwd())]
    return look_up(max(here, key=int)) if here else None


def look_up(number: str) -> Job:
    """Ask Slurm for the state of a job.

    Raises:
        ClusterError: Slurm no longer knows it.
    """
    found = dict(
        re.findall(r"(\w+)=(\S*)", _slurm("scontrol", "show", "--oneliner", "job", number))
    )
    return Job(
        number,
        state=found["JobState"],
        reason=found["Reason"],
        nodes=found.get("NodeList", ""),
        ends_at=found.get("EndTime", ""),
        requeued=int(found["Restarts"]),
        exit_code=int(found["ExitCode"].partition(":")[0]),
    )


def cancel(number: str) -> None:
    """End a job."""
    _slurm("scancel", number)


def requeue(number: str) -> None:
    """End a job, and have it begin anew under the same number.

    Raises:
        ClusterError: Slurm refuses, in its own words.
    """
    _slurm("scontrol", "requeue", number)


def follow(number: str, output: Path) -> int:
    """Print what a job prints until it has ended, and why it waits; return its exit code."""
    position, said = 0, ""
    while True:
        job = look_up(number)
        position = _print_from(output, position)
        if job.has_ended:
            break
        if job.state == "PENDING" and str(job) != said:
            said = str(job)
            click.echo(said, err=True)
        time.sleep(_PAUSE)
    if job.state == "COMPLETED" or (job.state == "FAILED" and job.exit_code):
        return job.exit_code  # which is 0 of a job that a signal has ended
    click.echo(f"error: {job}", err=True)
    return 1


def _print_from(output: Path, position: int) -> int:
    """Print what a file holds from a position on, and return its end."""
    try:
        with output.open("rb") as stream:
            stream.seek(position)
            content = stream.read()
    except FileNotFoundError:
        return position
    sys.stdout.write(content.decode(errors="replace"))
    sys.stdout.flush()
    return position + len(content)


def _slurm(command: str, *arguments: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            [command, *arguments], input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ClusterError(
            f"no Slurm here: `{command}` is not on PATH; run this on a login node of the cluster"
        ) from None
    if done.returncode:
        words = re.sub(r"^\w+: (error: )?", "", done.stderr.strip(), flags=re.MULTILINE)
        raise ClusterError(f"`{command}`: {'; '.join(words.splitlines())}")
    return done.stdout
