"""A sweep that attacks are made on, and what must hold after each of them."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks._sweeps import MODULE
from orchestrator.store import Store

TRAINABLE = """
import json
import random
import time


def train(params, trial):
    state = json.loads(trial.load() or b'{"epoch": 0, "total": 0.0}')
    for epoch in range(state["epoch"] + 1, 7):
        time.sleep(0.1)
        total = state["total"] + random.Random(f"{params}/{epoch}").random()
        state = {"epoch": epoch, "total": total}
        trial.probe("chance", "layer", total, index=0)
        (trial.folder / "keep").mkdir(exist_ok=True)
        (trial.folder / "keep" / "state").write_text(json.dumps(state))
        if trial.checkpoint_due:
            trial.save(json.dumps(state).encode())
        print(params, "\\x1b[31m", total)
        yield {"score": total, "loss": 10.0 ** random.Random(total).uniform(-300, 300)}
"""
HOSTILE = [
    None, "null", True, "true", 1, 1.0e-300, 1.7e308, [1, 2], "[1, 2]", "", " x", "a\nb", "a|b",
    "[l](javascript:x)", "<b>", "\x1b[2J", "\u202ea", "\\end{x}", "$x$", "%", "é日本", "a/../b",
    "*",
]  # fmt: skip
VOLATILE = [
    *("seconds", "started_at", "ended_at", "attempts", "resumed_at", "host", "facts"),
    *("code_digest", "environment_digest"),
]
"""Columns that differ between runs, or when code is edited that changes no number."""
PATIENCE = 300.0
"""Seconds after which a command hangs."""
EXPECTED = {0, 1, 2, 3, 75, 130, 143, -signal.SIGKILL}
"""Exit codes of `orch`, and that of a killed one."""


class LostError(Exception):
    """An attack has cost something; the message says what."""


@dataclass
class Sweep:
    """A sweep under attack."""

    path: Path
    chance: random.Random
    runner: str = field(init=False)
    keys: dict[str, Any] = field(init=False)
    committed: dict[str, pd.DataFrame] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.path / f"{MODULE}.py").write_text(TRAINABLE)
        self.runner = self.chance.choice(["inline", "inline", "tune"])
        self.keys = {
            "name": "attacked",
            "trainable": f"{MODULE}:train",
            "seeds": [0, 1],
            "factors": {"x": self.chance.sample(HOSTILE, 3), "y": [0, 1]},
            "select": {"metric": "score"},
            "retries": 5,
            "resources": {"cpu": 0.5},
            "artifacts": self.chance.choice(["none", "winners", "all"]),
            **self.chance.choice([{}, {"search": {"lr": [0.1, 0.2]}, "confirm": 1}]),
        }
        self.write()

    def write(self) -> None:
        """Write the sweep file."""
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in self.keys.items())
        (self.path / "attacked.yaml").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `orch`, in a session of its own."""
        with (self.path / "said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "orchestrator", words[0], "attacked.yaml", *words[1:]],
                cwd=self.path,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a command.

        Raises:
            LostError: it hangs, or says what no user should see.
        """
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise LostError(f"{_words(process)} hangs") from None
        said = (self.path / "said").read_bytes()
        tracebacks = said.split(b"Traceback")[1:]  # an inline trial's own is shown
        are_trials = all(f"{MODULE}.py".encode() in text for text in tracebacks)
        if code not in EXPECTED or not are_trials:
            shown = said.decode(errors="replace")
            place = max(0, shown.find("Traceback") - 500)
            raise LostError(f"{_words(process)} ended with {code}: {shown[place:][:3000]}")
        (self.path / "said").write_bytes(b"")
        return code

    def orch(self, *words: str) -> int:
        """Run `orch` to its end."""
        return self.end(self.start(*words))

    def sweep(self) -> subprocess.Popen[bytes]:
        """Start the sweep."""
        return self.start("sweep", "--runner", self.runner)

    def require_kept(self) -> None:
        """Compare what is committed with what was before.

        Raises:
            LostError: a trial is gone, or has other numbers.
        """
        now = numbers(self.path / "results/attacked")
        for table, before in self.committed.items():
            kept = now[table][now[table]["trial_id"].isin(before["trial_id"])]
            columns = [name for name in before.columns if name in kept.columns]
            require_equal(before[columns], kept[columns], table)
        self.committed = now

    def finish(self) -> int:
        """Run the sweep to its end, and compare it with one that nobody attacks.

        Returns:
            The number of its trials.
        """
        for _ in range(3):
            if self.end(self.sweep()) == 0:
                break
        else:
            raise LostError("the sweep does not end complete")
        self.require_kept()
        self.orch("sweep", "--runner", "inline", "--store", "undisturbed")
        other = numbers(self.path / "undisturbed/attacked")
        for table, frame in self.committed.items():
            require_equal(frame, other[table], table)
        return len(self.committed["trials"])


def _words(process: subprocess.Popen[bytes]) -> str:
    return " ".join(map(str, process.args)) if isinstance(process.args, list) else ""


def numbers(store: Path) -> dict[str, pd.DataFrame]:
    """Read the finished trials of all three tables, without what differs between runs."""
    if not (store / "sweep.yaml").exists():
        return {}
    snapshot = Store(str(store)).snapshot()
    trials, epochs, probes = snapshot.trials(), snapshot.epochs(), snapshot.probes()
    done = trials.loc[trials["status"] == "completed", "trial_id"]
    tables = {"trials": trials, "epochs": epochs, "probes": probes}
    return {name: _in_order(frame[frame["trial_id"].isin(done)]) for name, frame in tables.items()}


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ("trial_id", "epoch", "probe") if name in frame.columns]
    params = ["x", "y", "lr"]  # which the ids stand for; their types follow from the sweep file
    hidden = [name for name in (*VOLATILE, *params) if name in frame.columns]
    shown = frame.drop(columns=hidden)
    text = {name: str for name, kind in shown.dtypes.items() if kind == "category"}
    return shown.astype(text).sort_values(keys, ignore_index=True)


def require_equal(one: pd.DataFrame, other: pd.DataFrame, table: str) -> None:
    """Compare two tables to the bit.

    Raises:
        LostError: they differ.
    """
    try:
        pd.testing.assert_frame_equal(
            one, other.reset_index(drop=True), check_exact=True, check_dtype=False, obj=table
        )
    except AssertionError as error:
        raise LostError(str(error)) from error
