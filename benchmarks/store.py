"""What the store costs: reading a large one, commands on a finished one, writing while training.

The large store has 10,000 trials x 200 epochs x 3 probes x 8 layers. It is compared with the files
of Tune's own logger for the same epochs, read as Tune reads them.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks import _big_store as big
from benchmarks._measure import (
    REPEATS,
    Record,
    absolute,
    at_least,
    at_most,
    interleaved,
    main,
    ratio,
)
from benchmarks._sweeps import Folder, folder
from orchestrator.results import Results
from orchestrator.results.tables import show
from orchestrator.running.execution import Execution
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import LiveTrial, Report, run_trainable
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.loading import load
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, Writer, settle
from orchestrator.store.schema import Layout
from orchestrator.trial import Trial

TUNE_TRIALS = 20
"""A few are enough: the speed of reading Tune's files does not depend on their number."""
SOME, MANY = 100, 2_000
STATE = os.urandom(1_000_000)
LINE = """
import sys
from ray import tune

def trial(config):
    tune.report({"test_accuracy": 0.5, "train_loss": 1.0, "test_loss": 1.0})

tune.Tuner(trial, param_space={"lr": 0.1},
           run_config=tune.RunConfig(storage_path=sys.argv[1], name="one", verbose=0)).fit()
"""


def seconds(work: Callable[[], object]) -> Callable[[], float]:
    """Return a function that times a call."""

    def run() -> float:
        started = perf_counter()
        work()
        return perf_counter() - started

    return run


def orch(here: Folder, *arguments: str) -> Callable[[], float]:
    """Return a function that times an `orch` command."""
    return seconds(lambda: here.orch(*arguments))


def reading() -> Iterator[Record]:
    """Compare the large store with Tune's files of the same epochs."""
    with folder() as here:
        store = big.make(here, "large")
        sweep = load(here.path / "large.yaml")
        files = tune_files(here, sweep)
        tables = io.StringIO()

        def table() -> None:
            show(Results(sweep, store), Console(file=tables))

        epochs = len(sweep.seeds) * 2_000 * big.EPOCHS
        figures = interleaved(
            {
                "table": seconds(table),
                "probe": seconds(lambda: store.snapshot().probes("skewness")),
                "epochs": lambda: epochs / seconds(store.snapshot().epochs)(),
                "tune": lambda: TUNE_TRIALS * big.EPOCHS / seconds(lambda: as_tune(files))(),
                "sweep": orch(here, "sweep", "large.yaml"),
                "plan": orch(here, "plan", "large.yaml"),
                "status": orch(here, "status", "large.yaml"),
            }
        )
        size = sum(path.stat().st_size for path in (here.path / "results/large/epochs").iterdir())
        size_of_tune = sum(path.stat().st_size for path in files)
        everything = sum(f.stat().st_size for f in (here.path / "results").rglob("*.parquet"))
    yield absolute("load 10,000 trials and make their table", figures["table"], "s", at_most(1))
    rows = (
        f"{epochs * big.LAYERS:,} rows, as a pandas frame of 1 GB; how soon the kernel hands out "
        "that memory decides most of the spread."
    )
    yield absolute("load one probe of them", figures["probe"], "s", at_most(4), note=rows)
    yield ratio(
        "load their epochs, against Tune's result.json of the same",
        figures["epochs"],
        figures["tune"],
        "epochs/s",
        at_least(50),
        note=f"Tune's reading is that of its ExperimentAnalysis, of {TUNE_TRIALS} trials",
    )
    yield ratio(
        "size of an epoch, against Tune's result.json",
        [size / epochs],
        [size_of_tune / TUNE_TRIALS / big.EPOCHS],
        "bytes",
        at_most(1 / 20),
        note=f"the whole store with its probes takes {everything / 1e6:,.0f} MB",
    )
    for command, target in {"sweep": at_most(3), "plan": None, "status": None}.items():
        claim = f"`orch {command}` on this finished store"
        yield absolute(claim, figures[command], "s", target)


def tune_files(here: Folder, sweep: Sweep) -> list[Path]:
    """Write result.json of some trials; the fields that Tune adds are taken from a real one."""
    command = [sys.executable, "-c", LINE, str(here.path / "plain")]
    subprocess.run(command, cwd=here.path, check=True, capture_output=True)
    (real,) = here.path.glob("plain/one/*/result.json")
    template = json.loads(real.read_text().splitlines()[0])
    files = []
    for trial in expand(sweep)[:TUNE_TRIALS]:
        path = here.path / f"tune/{trial.trial_id}/result.json"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{line}\n" for line in big.tune_result_lines(trial, template)))
        files.append(path)
    return files


def as_tune(files: list[Path]) -> list[pd.DataFrame]:
    """Read as `ray.tune.ExperimentAnalysis` does."""
    return [
        pd.json_normalize([json.loads(row) for row in path.read_text().splitlines()], sep="/")
        for path in files
    ]


def writing() -> Iterator[Record]:
    """Time an epoch of a trial without training."""
    with tempfile.TemporaryDirectory() as path, chdir(path):
        figures = interleaved(
            {
                "without": lambda: milliseconds_per_epoch(Path(path), every=0),
                "with": lambda: milliseconds_per_epoch(Path(path), every=1),
            }
        )
    values = len(big.PROBES) * big.LAYERS
    note = f"{big.EPOCHS} epochs with {values} probe values each, the trial's end included"
    yield absolute("keep an epoch", figures["without"], "ms", at_most(5), note=note)
    claim = "keep an epoch with a checkpoint of 1 MB"
    yield absolute(claim, figures["with"], "ms", at_most(15), note=note)
    early, late = zip(*(early_and_late(Path(path)) for _ in range(REPEATS)), strict=True)
    claim = f"the last {SOME} of {MANY:,} saves as fast as the first"
    yield ratio(claim, late, early, "ms", at_most(1.3), note="a state of 1 MB in each")


def milliseconds_per_epoch(path: Path, every: int) -> float:
    """Time a trial that only takes probes, saves checkpoints and yields."""
    with tempfile.TemporaryDirectory(dir=path) as root:
        execution = _execution(Path(root), every)
        started = perf_counter()
        _run(execution, big.EPOCHS, lambda: None)
        execution.commit()
        return 1e3 * (perf_counter() - started) / big.EPOCHS


def _execution(root: Path, every: int) -> Execution:
    here = Folder(root)
    (here.path / "bench.py").write_text("")
    sweep = load(here.write("one", **{**big.KEYS, "seeds": [0]}))
    trial, store = expand(sweep)[0], Store(f"{root}/results/one")
    settle.create(store)
    layout = Layout.of(sweep).with_metrics(big.METRICS)
    settle.write_schema(store, layout)
    job, task = _work(trial, store, layout, every)
    return Execution(job, task, Writer(store), attempt=1, code=TrialCode(RunCode(job, store)))


def early_and_late(path: Path) -> tuple[float, float]:
    """Time an epoch with a checkpoint among the first epochs and among the last, in ms."""
    with tempfile.TemporaryDirectory(dir=path) as root:
        execution = _execution(Path(root), every=1)
        instants = [perf_counter()]
        _run(execution, MANY, lambda: instants.append(perf_counter()))
        return (
            1e3 * (instants[SOME] - instants[0]) / SOME,
            1e3 * (instants[MANY] - instants[MANY - SOME]) / SOME,
        )


def _work(trial: PlannedTrial, store: Store, layout: Layout, every: int) -> tuple[Job, Task]:
    row = {
        "trial_id": trial.trial_id,
        "config_id": trial.config.config_id,
        "cell_id": trial.config.cell_id,
        "seed": trial.seed,
        **{name: trial.params[name] for name in layout.params},
    }
    task = Task(row, trial.params, trial.config.fixed, cpu=1, gpu=0)
    job = Job(
        runs="bench:train",
        watched=frozenset({layout.select_metric}),
        store=store.files.location,
        layout=layout,
        checkpoint_every=every or big.EPOCHS + 1,
        code_digest="",
        folder="",
        excluded=(),
        data_dir=None,
        smoke=False,
        tasks={task.trial_id: task},
    )

    return job, task


def _run(execution: Execution, epochs: int, after_each: Callable[[], object]) -> None:
    def train(_params: Mapping[str, Any], live: Trial) -> Iterator[Mapping[str, float]]:
        for _ in range(epochs):
            for probe in big.PROBES:
                for layer in range(big.LAYERS):
                    live.probe(probe, f"block{layer}", 0.5, index=layer)
            if live.checkpoint_due:
                live.save(STATE)
            yield dict.fromkeys(big.METRICS, 0.5)

    def take(report: Report) -> None:
        execution.take(report)
        after_each()

    run_trainable(train, LiveTrial(execution.start, execution.state, lambda _: None, take))


def benchmark() -> Iterator[Record]:
    """Run every comparison."""
    yield from writing()
    yield from reading()


if __name__ == "__main__":
    main(benchmark)
