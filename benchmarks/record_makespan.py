"""Records `makespan.csv`: runs `makespan.yaml` and writes the duration of each trial.

It is not a benchmark; run `python -m benchmarks.record_makespan` on an idle machine.
"""

import csv
from pathlib import Path

from benchmarks._sweeps import folder
from benchmarks.makespan import RECORDED
from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load

SWEEP = Path(__file__).with_name("makespan.yaml")


def main() -> None:
    """Run the sweep and write one line per trial, in file order."""
    with folder() as here:
        here.orch("sweep", SWEEP)
        seconds = here.trials("makespan").set_index("trial_id")["seconds"]
    rows = [
        {
            "seed": trial.seed,
            **trial.config.factors,
            **trial.config.search,
            "seconds": f"{seconds[trial.trial_id]:.2f}",
        }
        for trial in expand(load(SWEEP))
    ]
    with RECORDED.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


if __name__ == "__main__":
    main()
