"""Fixtures of the trainables' tests: a trial in memory, a cache folder, real images."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from memory_trial import MemoryTrial

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"


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
