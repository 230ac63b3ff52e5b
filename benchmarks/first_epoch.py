"""How long it takes from the command to the first epoch.

Before it come the imports of the command, the start of Ray, the check of every config, the start of
a worker, and the import of the trainable in it. The baseline is what any such run needs at least:
`ray.init` of a local Ray and `import torch`, each timed in a Python of its own, and added.
"""

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks._measure import Record, absolute, at_most, interleaved, main
from benchmarks._sweeps import DIGITS, Folder, folder
from orchestrator import open_store

RAY = """
import ray
begun = time.perf_counter()
ray.init(address="local", include_dashboard=False, logging_level="CRITICAL", log_to_driver=False)
"""
TORCH = """
begun = time.perf_counter()
import torch
"""
NETWORK = {
    **DIGITS,
    "factors": {"activation": ["tanh", "relu"], "order": ["convention", "swap"]},
    "fixed": {**DIGITS["fixed"], "epochs": 1, "lr_drops": []},
}
"""The networks of quickstart, for one epoch."""


def seconds_of(program: str) -> float:
    """Time a program in a Python of its own, from where it sets ``begun``."""
    text = f"import time\n{program}\nprint(time.perf_counter() - begun)"
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def first_epoch(here: Folder, name: str) -> float:
    """Return the seconds from the command to the end of the epoch that ends first."""
    root = f"results-{len(list(here.path.iterdir()))}"
    begun = here.orch("sweep", f"{name}.yaml", "--store", root)
    results = open_store(here.path / root / name)
    started = results.trials.set_index("trial_id")["started_at"].astype("object")
    ends = [
        (started[str(epoch.trial_id)] - begun).total_seconds() + epoch.seconds
        for epoch in results.epochs.itertuples()
    ]
    return float(min(ends))


def benchmark() -> Iterator[Record]:
    """Start sweeps of one epoch, and the baseline, in turn."""
    with folder() as here:
        here.write("noop", factors={"x": [1, 2]})
        here.write("network", **NETWORK)
        seconds = interleaved(
            {
                "noop": lambda: first_epoch(here, "noop"),
                "network": lambda: first_epoch(here, "network"),
                "ray": lambda: seconds_of(RAY),
                "torch": lambda: seconds_of(TORCH),
            }
        )
    yield absolute("a trainable without torch", seconds["noop"], "s", at_most(4))
    columns = (seconds[name] for name in ("network", "ray", "torch"))
    beside = [ours - ray - torch for ours, ray, torch in zip(*columns, strict=True)]
    middle = {name: median(values) for name, values in seconds.items()}
    note = (
        f"{middle['network']:.2f} s in all, with an epoch of training; `ray.init` takes "
        f"{middle['ray']:.2f} s, and `import torch` {middle['torch']:.2f} s"
    )
    claim = "quickstart's networks, beside the sum of `ray.init` and `import torch`"
    yield absolute(claim, beside, "s", at_most(1.5), note=note)


if __name__ == "__main__":
    main(benchmark)
