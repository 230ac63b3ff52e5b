"""Runs benchmarks and rewrites `docs/benchmarks.md`: `python -m benchmarks [NAME ...]`.

The records are kept in `benchmarks/figures/`, one file per script, so that the page shows scripts
that were run by name beside those of the last full run.
"""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks import LEFT_OUT
from benchmarks._page import machine, page, versions

FIGURES = Path(__file__).with_name("figures")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

USUAL = (
    *("training", "gpu", "decoding", "probes", "trial_profile", "memory", "processes"),
    *("scheduling", "first_epoch", "startup", "packing", "makespan"),
    *("store", "bucket", "watch", "staleness"),
    "statistics",
)
"""The scripts that run by default; together they take 35 minutes on two cores without a GPU."""


def run_script(name: str) -> dict[str, Any]:
    """Run one script in its own process; its output goes to the terminal.

    Raises:
        SystemExit: The script fails.
    """
    print(f"== {name}", flush=True)
    started = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(records)]
        process = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if process.returncode not in (0, LEFT_OUT):
            sys.exit(f"{process.stderr}\nbenchmarks.{name} failed")
        measured = json.loads(records.read_text()) if process.returncode == 0 else []
    is_left_out = process.returncode == LEFT_OUT
    why = process.stderr.strip().splitlines()[-1] if is_left_out else None
    return {
        "name": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "seconds": round(monotonic() - started),
        "machine": machine(),
        "versions": versions(),
        "left_out": why,
        "records": measured,
    }


def main(names: list[str]) -> None:
    """Run scripts, keep their records and write the page."""
    FIGURES.mkdir(exist_ok=True)
    for name in names or USUAL:
        figures = json.dumps(run_script(name), indent=1) + "\n"
        (FIGURES / f"{name}.json").write_text(figures)
    runs = [json.loads(file.read_text()) for file in sorted(FIGURES.glob("*.json"))]
    order = {name: index for index, name in enumerate(USUAL)}
    runs.sort(key=lambda run: order.get(run["name"], len(order)))
    PAGE.write_text(page(runs))
    print(f"wrote {PAGE.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main(sys.argv[1:])
