"""Writes the runs of a store into a folder, whole or not at all."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from orchestrator.errors import InputError, StoreError
from orchestrator.exporting.runs import finished, runs_of
from orchestrator.results import Results
from orchestrator.temporary import replaced

MARKER = "export.json"
"""Says of which sweep a folder is the export, and to what, so that another may replace it."""


def export(results: Results, to: str, folder: Path) -> int:
    """Write the finished trials of a sweep as runs, in place of an earlier export.

    Args:
        results: of the sweep.
        to: a module beside this one: ``tensorboard`` or ``wandb``.
        folder: where to; all that an earlier export holds is replaced.

    Returns:
        The number of runs.

    Raises:
        InputError: the package is missing, no trial has finished, or the folder is something else.
        ShowError: the store lacks the selection metric.
        StoreError: the store cannot be read, or the folder not be written.
    """
    try:
        target = importlib.import_module(f"orchestrator.exporting.{to}")
    except ModuleNotFoundError as error:
        raise InputError(f"--to {to} needs {error.name}: pip install 'orch-sweeps[{to}]'") from None
    name = results.sweep.name
    marker = json.dumps({"sweep": name, "to": to}) + "\n"
    if not _is_free(folder, marker):
        raise InputError(
            f"{folder} exists, and is no export of {name} to {to}; name another folder"
        )
    trials = finished(results)
    if not trials:
        raise InputError(f"no trial of {name} has finished: there is nothing to export")
    try:
        with replaced(folder) as new:
            target.write(name, runs_of(results, trials), new)
            (new / MARKER).write_text(marker, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error}") from None
    return len(trials)


def _is_free(folder: Path, marker: str) -> bool:
    """Tell whether a folder is absent, empty, or an earlier export with the same marker."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    file = folder / MARKER
    return not any(folder.iterdir()) or (file.is_file() and file.read_bytes() == marker.encode())
