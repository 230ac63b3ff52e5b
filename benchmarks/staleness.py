"""What it costs `orch plan` to compare the code of finished trials with the present files."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks._measure import Record, absolute, at_most, interleaved, main

FEW, MANY = 100, 5_000
MODULE = "".join(
    f"def step_{n}(rate, total):\n    return total * rate + {n}\n\n\n" for n in range(40)
)
SWEEP = {
    "name": "big",
    "trainable": "fit:train",
    "seeds": [0],
    "factors": {"a": [1, 2]},
    "select": {"metric": "score", "mode": "max"},
}


def finished(folder: Path, files: int) -> Path:
    """Run a sweep whose trainable imports a package of many files."""
    package = folder / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for number in range(files):
        (package / f"module_{number}.py").write_text(f"NUMBER = {number}\n{MODULE}")
    (folder / "fit.py").write_text(
        "import lab\ndef train(params, trial):\n    yield {'score': 1}\n"
    )
    (folder / "big.yaml").write_text(json.dumps(SWEEP))
    orch(folder, "sweep", "big.yaml", "--runner", "inline")
    return folder


def orch(folder: Path, *words: str) -> float:
    """Time a command."""
    started = perf_counter()
    command = [sys.executable, "-m", "orchestrator", *words]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return perf_counter() - started


def benchmark() -> Iterator[Record]:
    """Plan a finished sweep of many files and one of few, in turn."""
    with tempfile.TemporaryDirectory() as root:
        few, many = (finished(Path(root, str(files)), files) for files in (FEW, MANY))
        seconds = interleaved(
            {
                "few": lambda: orch(few, "plan", "big.yaml"),
                "many": lambda: orch(many, "plan", "big.yaml"),
            }
        )
    more = [one - other for one, other in zip(seconds["many"], seconds["few"], strict=True)]
    note = f"{median(seconds['few']):.2f} s with {FEW} files of 2 kB, nothing edited"
    claim = f"orch plan with {MANY:,} files of code, beyond that with {FEW}"
    yield absolute(claim, more, "s", at_most(1), note=note)


if __name__ == "__main__":
    main(benchmark)
