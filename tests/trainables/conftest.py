"""Fixtures of the trainables' tests: a trial in memory, a cache folder, real images."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from memory_trial import MemoryTrial

DATA_DIR = os.environ.get("ORCH_DATA_DIR")

# An example may take as long as it needs on a slow or busy machine.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch can use")


@pytest.fixture(scope="session")
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
def real_data() -> Callable[..., Path]:
    """The folder of a real data set in ORCH_DATA_DIR; the test is skipped if a file is missing."""

    def find(name: str, *files: str) -> Path:
        if not DATA_DIR:
            pytest.skip(f"ORCH_DATA_DIR is not set: the test needs {name} in that folder")
        folder = Path(DATA_DIR).absolute() / name
        for path in (folder / file for file in files):
            if not path.exists():
                pytest.skip(f"ORCH_DATA_DIR has no {path.relative_to(folder.parent)}")
        return folder

    return find


@pytest.fixture(scope="session")
def digits_params() -> dict[str, Any]:
    """A trial of about a second; tests change a copy."""
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
