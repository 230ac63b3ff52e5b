"""Offline runs of Weights & Biases, which `wandb sync FOLDER` uploads.

Each is a log in a folder of its own, as wandb names them. It says nothing of this machine, and
nothing leaves it.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made at import

from orchestrator.columns import Status
from orchestrator.exporting.runs import Run

_BLOCK = 32 * 1024
_WHOLE, _FIRST, _LAST = 1, 2, 4
"""Types of chunks: a whole record, or parts of one."""
_LONGEST = 128
"""Characters of a name that W&B takes."""


def write(sweep: str, runs: Iterable[Run], folder: Path) -> None:
    """Write one offline run per trial, with its id, so that uploads of it are one run.

    Args:
        sweep: the name of the sweep, and of the project.
        runs: the runs.
        folder: where to.

    Raises:
        OSError: wandb did not write the whole log of a run, of which it says nothing itself.
    """
    logs = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch, _offline(scratch):
        for run in runs:
            log = _write_run(sweep, run, scratch)
            begun = datetime.fromtimestamp(run.started, UTC)
            place = folder / f"offline-run-{begun:%Y%m%d_%H%M%S}-{run.trial.trial_id}"
            place.mkdir()
            logs.append(log.rename(place / log.name))
    if not all(map(_is_whole, logs)):  # now that wandb's own process has ended, which writes them
        raise OSError(errno.ENOSPC, "wandb has cut the log of a run; is the disk full?")


@contextmanager
def _offline(scratch: str) -> Iterator[None]:
    """Keep wandb from all else: variables, its servers, files elsewhere, a process that stays."""
    before = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("WANDB_")}
    own = {"WANDB_ERROR_REPORTING": "false", "WANDB_CACHE_DIR": scratch}  # no settings have these
    os.environ.update(own)
    try:
        yield
    finally:
        wandb.teardown()
        for name in own:
            del os.environ[name]
        os.environ.update(before)


def _write_run(sweep: str, run: Run, scratch: str) -> Path:
    trial = run.trial
    started = wandb.init(
        project=sweep,
        id=trial.trial_id,
        name=run.name[:_LONGEST],
        group=run.config if 0 < len(run.config) <= _LONGEST else trial.config.config_id,
        tags=[run.status, *(["selected"] if run.selected else [])],
        config=trial.params,
        settings=_settings(scratch),
    )
    for point in run.points:
        started.log({**point.metrics, **point.probes, "_timestamp": point.time}, step=point.step)
    started.summary.update({**run.best, "status": run.status, "selected": run.selected})
    started.finish(exit_code=0 if run.status == Status.COMPLETED else 1)
    return Path(started.settings.sync_file)


def _is_whole(log: Path) -> bool:
    """Tell whether a log ends with the record of the run's exit.

    A log is a head of seven bytes, and blocks of chunks as LevelDB has them: checksum, length,
    type, and a record or a part of it. Fewer than seven bytes at the end of a block are padding.
    """
    content, position, kind, record = log.read_bytes(), 7, 0, b""
    while position + 7 <= len(content):
        _, length, kind = struct.unpack_from("<IHB", content, position)
        position += 7
        part = content[position : position + length]
        record = part if kind in (_WHOLE, _FIRST) else record + part
        position += length
        if (left := -position % _BLOCK) < 7:
            position += left
    if position != len(content) or kind not in (_WHOLE, _LAST):
        return False
    return str(Record.FromString(record).WhichOneof("record_type")) == "exit"


def _settings(scratch: str) -> wandb.Settings:
    return wandb.Settings(
        mode="offline",
        root_dir=scratch,
        reinit="create_new",
        silent=True,
        symlink=False,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        host="",
        program="",
        x_save_requirements=False,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
    )
