"""What several `orch` commands share: their arguments, and how they open a store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.errors import InputError
from orchestrator.running.display import Display
from orchestrator.running.job import DATA_DIR, STORE
from orchestrator.spec import loading as spec
from orchestrator.spec.model import Sweep
from orchestrator.store import Store
from orchestrator.store import stored_sweep as editing
from orchestrator.store.files import Files

Command = TypeVar("Command", bound=Callable[..., Any])


def file_argument(command: Command) -> Command:
    """Add the argument that names the sweep file."""
    return click.argument("file", type=click.Path(path_type=Path, dir_okay=True))(command)


def _seeds(_context: click.Context, _param: click.Parameter, text: str | None) -> Any:
    return None if text is None else spec.parse_seeds(text)


seeds_option = click.option(
    "--seeds",
    callback=_seeds,
    metavar="LIST",
    help="Seeds instead of the file's top-level ones, such as 0-4 or 0,2,5.",
)


cluster_option = click.option(
    "--cluster",
    "cluster",
    type=click.Path(path_type=Path, dir_okay=True),
    metavar="FILE",
    help="Do it on the cluster of this file, with a copy of this folder.",
)


def _set_data_dir(_context: click.Context, _param: click.Parameter, folder: Path | None) -> None:
    """Tell trainables as the user could: by the environment, which workers take over."""
    if folder is not None:
        os.environ[DATA_DIR] = str(folder.absolute())


def places(command: Command) -> Command:
    """Add the options that say where the store and the data lie."""
    store = click.option(
        "--store",
        "root",
        envvar=STORE,
        default="results",
        metavar="FOLDER",
        help="Folder (or URI) of the stores, one per sweep [default: $ORCH_STORE, else results].",
    )
    data = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        expose_value=False,
        callback=_set_data_dir,
        help="Where data sets lie [default: $ORCH_DATA_DIR, else ./data].",
    )
    return store(data(command))


def load(file: Path, seeds: tuple[int, ...] | None) -> Sweep:
    """Read a sweep file, with other seeds if they are given."""
    loaded = spec.load(file)
    return loaded if seeds is None else spec.with_seeds(loaded, seeds)


def stored(file: Path, seeds: tuple[int, ...] | None, root: str) -> tuple[Store, Sweep]:
    """Open a sweep's store; the seeds are those of its last run unless they are given.

    Raises:
        InputError: the sweep was never run under this root.
        SweepChangedError: the store holds a sweep that differs in what may not change.
    """
    asked = load(file, seeds)
    store = Store(f"{Files(root).location}/{asked.name}", Display().warn)
    if not store.exists:
        raise InputError(
            f"there is no store of `{asked.name}` in {root} yet; run `orch sweep {file}` first"
        )
    before = editing.require_same(asked, store)
    if seeds is None:
        asked = asked.with_seeds(before.seeds)
    return store, asked
