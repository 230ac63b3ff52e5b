"""Runs benchmarks and rewrites `docs/benchmarks.md`: `python -m benchmarks [NAME ...]`.

What was measured is kept in `benchmarks/figures/`, one file per script, so that the page shows
scripts that were run by name beside those of the last full run.
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
    *("training", "probes", "trial_profile", "memory"),
    *("scheduling", "startup", "packing", "makespan", "store"),
)
"""What runs if no names are given: all that ends within 25 minutes on two cores."""


def measure(name: str) -> dict[str, Any]:
    """Run one script in a process of its own; what it prints goes to the terminal.

    Raises:
        SystemExit: It fails.
    """
    print(f"== {name}", flush=True)
    begun = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(records)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode not in (0, LEFT_OUT):
            sys.exit(f"{done.stderr}\nbenchmarks.{name} failed")
        measured = json.loads(records.read_text()) if done.returncode == 0 else []
    why = done.stderr.strip().splitlines()[-1] if done.returncode == LEFT_OUT else None
    return {
        "name": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "seconds": round(monotonic() - begun),
        "machine": machine(),
        "versions": versions(),
        "left_out": why,
        "records": measured,
    }


def main(names: list[str]) -> None:
    """Measure, keep the figures and write the page."""
    FIGURES.mkdir(exist_ok=True)
    for name in names or USUAL:
        figures = json.dumps(measure(name), indent=1) + "\n"
        (FIGURES / f"{name}.json").write_text(figures)
    kept = [json.loads(file.read_text()) for file in sorted(FIGURES.glob("*.json"))]
    order = {name: place for place, name in enumerate(USUAL)}
    kept.sort(key=lambda run: order.get(run["name"], len(order)))
    PAGE.write_text(page(kept))
    print(f"wrote {PAGE.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main(sys.argv[1:])
