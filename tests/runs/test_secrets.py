"""A sweep's own Ray lets nobody in without its token, and no secret is written down anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from support.folder import Folder
from support.waiting import HANG_SECONDS, until

SECRET = "a-secret-of-the-environment"  # noqa: S105

WAITING = """
import os
import time
from pathlib import Path

import ray


def train(params, trial):
    here = Path(params["marks"])
    (here / "token").write_text(os.environ["RAY_AUTH_TOKEN"])
    (here / "found").write_text(ray.get_runtime_context().gcs_address)
    (here / "found").rename(here / "address")
    while not (here / "gate").exists():
        time.sleep(0.05)
    print(params, trial)
    yield {"score": 1.0}
"""

JOIN = "import sys, ray; ray.init(sys.argv[1], logging_level='CRITICAL', log_to_driver=False)"


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray writes; its sockets need a short path."""
    made = Path(tempfile.mkdtemp(prefix="ray-"))
    yield made
    shutil.rmtree(made)


def joins(address: str, environment: dict[str, str]) -> bool:
    command = [sys.executable, "-c", JOIN, address]
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_a_sweeps_ray_asks_for_a_token_and_nothing_secret_is_written(
    folder: Folder, ray_folder: Path
) -> None:
    outside = {n: v for n, v in folder.environment.items() if not n.startswith("RAY_AUTH")}
    secret = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "MY_TOKEN"), SECRET)
    inside = Folder(folder.path, outside | secret | {"RAY_TMPDIR": str(ray_folder)})
    (folder.path / "waiting.py").write_text(WAITING)
    fixed = {"marks": str(folder.path)}
    keys = {"factors": {"x": [1]}, "search": {}, "seeds": [0], "fixed": fixed}
    sweep = inside.write(trainable="waiting:train", **keys)
    driver = inside.start("sweep", sweep)
    until((folder.path / "address").exists, driver)
    address = (folder.path / "address").read_text()
    token = (folder.path / "token").read_text()
    (folder.path / "token").unlink()
    assert joins(address, outside | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token})
    assert not joins(address, outside)
    (folder.path / "gate").touch()
    assert driver.wait(HANG_SECONDS) == 0
    inside.orch("report", sweep)

    written = [p for root in (folder.path, ray_folder) for p in root.rglob("*") if p.is_file()]
    assert any(path.name == "raylet.out" for path in written), "Ray wrote somewhere else"
    for path in written:
        if path.suffix == ".parquet":
            content = pd.read_parquet(path).to_csv().encode()
        else:
            content = path.read_bytes()
        assert SECRET.encode() not in content, path
        assert token.encode() not in content, path
