"""The `orch init` command: a sweep file, and something that it runs."""

from __future__ import annotations

import importlib.util
import re
from importlib.machinery import PathFinder
from pathlib import Path

import click

from orchestrator.cli.options import writing
from orchestrator.cli.typed import Command, examples
from orchestrator.errors import InputError
from orchestrator.labels import label

SWEEP = """\
# Which schedule learns the slope of a line better? Each cell tunes its own learning rate.
name: {name}
{runs}
seeds: [0, 1, 2]                      # replicates of every config
factors:
  schedule: [constant, falling]       # what is compared: one cell of the table each
search:
  lr: [0.1, 0.01]                     # what is tuned in every cell
fixed: {{epochs: 5}}
select: {{metric: loss, mode: min}}     # the config with the best mean over the seeds
"""

_LEARN = '''\
def learn(lr, schedule, epochs, seed):
    """Fit the slope of a noisy line by gradient descent; give the loss of each epoch."""
    chance = random.Random(seed)
    slope = 0.0
    for epoch in range(epochs):
        rate = lr / (epoch + 1) if schedule == "falling" else lr
        losses = []
        for _ in range(100):
            x = chance.gauss(0, 1)
            error = 2 * x + chance.gauss(0, 0.5) - slope * x
            slope += rate * error * x
            losses.append(error**2)
        yield sum(losses) / len(losses)
'''

GENERATOR = f'''\
"""A trainable that yields: called once per trial, with its params."""

import random


def train(params, trial):
    """Yield one mapping of metrics per epoch."""
    lr, schedule = params["lr"], params["schedule"]
    for loss in learn(lr, schedule, params["epochs"], params["seed"]):
        yield {{"loss": loss}}


{_LEARN}'''

FUNCTION = f'''\
"""A trainable that reports: called once per trial, with its params."""

import random


def train(params, trial):
    """Report the metrics of each epoch, as a callback of a framework would."""
    lr, schedule = params["lr"], params["schedule"]
    for loss in learn(lr, schedule, params["epochs"], params["seed"]):
        trial.report(loss=loss)


{_LEARN}'''

COMMAND = f'''\
"""A program that knows nothing of sweeps: options in, a line of JSON per epoch out."""

import argparse
import json
import random


def main():
    """Train once, and print the metrics of each epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--schedule", choices=["constant", "falling"], required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    for loss in learn(options.lr, options.schedule, options.epochs, options.seed):
        print(json.dumps({{"loss": loss}}))


{_LEARN}

main()
'''

_TRAINABLE = "trainable: {name}:train"
KINDS = {
    "generator": (_TRAINABLE, GENERATOR),
    "function": (_TRAINABLE, FUNCTION),
    "command": ('command: [python, {name}.py, "--{{params}}"]\nmetrics: {{json: stdout}}', COMMAND),
}
"""What runs trials: the lines of the sweep file that say so, and the file that they name."""

_KIND = click.Choice(tuple(KINDS))


@click.command(
    cls=Command,
    epilog=examples("orch init lines --kind generator", "orch init lines --kind command"),
)
@click.argument("name")
@click.option("--kind", type=_KIND, help="What runs trials; asked for without it.")
def init(name: str, kind: str | None) -> None:
    """Write NAME.yaml, a small sweep file, and NAME.py, what it runs."""
    if not re.fullmatch("[a-z][a-z0-9_]{0,63}", name):
        raise InputError(f"{name}: expected a name of a-z, 0-9 and _, a letter first")
    for path in (f"{name}.yaml", f"{name}.py"):
        if Path(path).exists():
            raise InputError(f"{path} is there already; give another name, or move it away")
    kind = kind or _asked_for()
    if kind != "command" and _is_taken(name):
        raise InputError(f"{name}: there is a module of this name, which Python would import")
    runs, program = KINDS[kind]
    sweep = SWEEP.format(name=label(name), runs=runs.format(name=name))  # `null` in quotes
    for path, text in {f"{name}.yaml": sweep, f"{name}.py": program}.items():
        with writing(Path(path)):
            Path(path).write_text(text, encoding="utf-8")
        click.echo(path)
    click.echo(f"next: orch plan {name}.yaml; then: orch sweep {name}.yaml")


def _asked_for() -> str:
    try:
        kind: str = click.prompt(
            "a trainable that yields (generator) or reports (function), or any program (command)",
            type=_KIND,
        )
    except click.Abort:
        raise InputError(f"what runs trials? Give it by --kind: {', '.join(KINDS)}") from None
    return kind


def _is_taken(name: str) -> bool:
    """Tell whether Python would import something else; a mere folder gives way to a file."""
    found = (importlib.util.find_spec(name), PathFinder.find_spec(name, [str(Path.cwd())]))
    return any(spec is not None and spec.origin is not None for spec in found)
