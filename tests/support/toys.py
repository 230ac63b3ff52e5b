"""A sweep of nothing but arithmetic, in a working folder of its own."""

from __future__ import annotations

from pathlib import Path

SWEEP = """\
name: toy
trainable: toy:train
seeds: [0, 1]
factors:
  order: [convention, swap]
  depth: [1, 2]
search:
  lr: [0.1, 1e-2]
fixed: {epochs: 2}
select: {metric: accuracy}
"""

TRAINABLE = '''\
"""Yields an accuracy that follows from the params."""


def train(params, trial):
    for epoch in range(params["epochs"]):
        yield {"accuracy": params["lr"] + params["seed"] / 100 + epoch / 10}


def check(params):
    if params["lr"] > 1:
        raise ValueError(f"the rate {params['lr']} is too large")


train.check = check
'''


class Toy:
    """The working folder: a trainable module, and sweep files that are variations of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "sweep.yaml"
        self.file.write_text(SWEEP)
        (folder / "toy.py").write_text(TRAINABLE)

    def changed(self, old: str, new: str, name: str = "changed.yaml") -> Path:
        """Write a copy of the sweep file with one piece of text replaced."""
        assert SWEEP.count(old) == 1
        file = self.folder / name
        file.write_text(SWEEP.replace(old, new))
        return file
