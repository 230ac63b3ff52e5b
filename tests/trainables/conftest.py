"""A trial that keeps in memory what a runner would write, and a cache folder of the tests' own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"


class ProbeRow(NamedTuple):
    probe: str
    layer: str
    value: float
    index: int
    unit: int | None
    at: float | None


@dataclass
class MemoryTrial:
    """The contract of `trainables.contract.Trial`, with everything kept in lists."""

    saved: bytes | None = None
    checkpoint_due: bool = True
    smoke: bool = False
    threads: int = 1
    gpus: float = 0
    rows: list[ProbeRow] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def probe(self, probe, layer, value, *, index, unit=None, at=None):
        self.rows.append(ProbeRow(probe, layer, value, index, unit, at))

    def load(self):
        return self.saved

    def save(self, state):
        self.saved = state

    def step(self, images, *, of):
        self.steps.append((images, of))

    def record(self, **facts):
        self.facts |= facts

    def log(self, text):
        self.lines.append(text)


@pytest.fixture
def make_trial() -> type[MemoryTrial]:
    return MemoryTrial


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        folder = REAL_DATA / name
        if not folder.exists():
            pytest.skip(f"needs the real images of {name}, which are not part of the repository")
        return folder

    return find


@pytest.fixture
def digits_params() -> dict[str, Any]:
    """A trial of about a second."""
    return {
        "model": "vgg16_8",
        "activation": "tanh",
        "order": "swap",
        "dataset": "digits",
        "width": 0.125,
        "lr": 0.05,
        "weight_decay": 5e-4,
        "epochs": 3,
        "batch_size": 64,
        "lr_drops": [2],
        "augment": "crop",
        "seed": 1,
    }
