"""One driver at a time on a local store."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import StoreError, StoreLockedError
from orchestrator.store import Store
from orchestrator.store.lock import holding

HOLD = """
import sys
from orchestrator.store import Store
from orchestrator.store.lock import holding

with holding(Store(sys.argv[1]), str):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreLockedError, match="in use: process 7 on thishost runs a sweep"),
            holding(Store(str(tmp_path)), lambda: "process 7 on thishost"),
        ):
            pass
        first.send_signal(signal.SIGKILL)
    with holding(Store(str(tmp_path)), str):
        pass


def test_a_store_that_cannot_be_locked_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="file/toy cannot be written"),
        holding(Store(str(tmp_path / "file/toy")), str),
    ):
        pass


def test_a_store_that_is_deleted_while_it_is_held_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "results/toy"
    with holding(Store(str(folder)), str):
        shutil.rmtree(folder)
    assert not folder.exists()
