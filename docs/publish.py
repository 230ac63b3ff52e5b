"""Publishes what a sweep came to, under docs/results.

Run it as ``python docs/publish.py results/NAME sweeps/NAME.yaml`` after a sweep has ended: it
copies the compacted tables of the store, and lets `orch` make the rest from the copy. The words
about it, in ``about.md``, are yours.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
TABLES = ("trials", "epochs", "probes")
LIMIT = 5_000_000
"""Bytes of Parquet per sweep."""


def main() -> None:
    """Publish one sweep."""
    store, sweep = Path(sys.argv[1]), Path(sys.argv[2])
    target = RESULTS / store.name
    copy(store, target)
    write(target, "tables.md", "table", sweep, "--format", "markdown")
    write(target, "claims.json", "claims", sweep, "--format", "json")
    orch("figure", sweep, "--output", target / "figures")
    orch("report", sweep, "--output", target / "report.html")


def copy(store: Path, target: Path) -> None:
    """Copy the tables of a store, which must be merged and small."""
    if list(store.glob("checkpoints/*")):
        sys.exit(f"{store} has unfinished trials; run its sweep to the end first")
    for name in TABLES:
        shutil.rmtree(target / name, ignore_errors=True)
        shutil.copytree(store / name, target / name)
    shutil.copy(store / "sweep.yaml", target)
    size = sum(path.stat().st_size for name in TABLES for path in (target / name).iterdir())
    if size > LIMIT:
        sys.exit(f"{target} has {size:,} bytes of Parquet; the limit is {LIMIT:,}")


def write(target: Path, name: str, *arguments: object) -> None:
    """Write what a command prints."""
    (target / name).write_text(orch(*arguments))


def orch(*arguments: object) -> str:
    """Run `orch` on the published copies."""
    command = [sys.executable, "-m", "orchestrator", *map(str, arguments), "--store", str(RESULTS)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
