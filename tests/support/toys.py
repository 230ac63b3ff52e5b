"""The toy trainable, and a sweep of it in a working folder for tests that change its file."""

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

TRAINABLE = Path(__file__).with_name("toy.py").read_text()
"""The text of the module `toy`, for the working folders of sweeps."""


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
