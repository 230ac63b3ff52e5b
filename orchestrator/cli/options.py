"""Arguments and options that several `orch` commands share, and how they open a store."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from orchestrator.errors import InputError
from orchestrator.results import Results
from orchestrator.results.retained import remarks
from orchestrator.running.display import Display
from orchestrator.running.job import DATA_DIR, STORE
from orchestrator.spec import Sweep, load, parse_seeds, with_seeds
from orchestrator.spec.loading import differences
from orchestrator.spec.model import Decide
from orchestrator.spec.overrides import OPTION, Override
from orchestrator.store import Stores
from orchestrator.store.stored_sweep import require_same

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Seeds = tuple[int, ...] | None


@dataclass(frozen=True)
class SweepFile:
    """A sweep file as the command line names it, with what it sets instead."""

    path: Path
    overrides: tuple[Override, ...]

    def __str__(self) -> str:
        typed = (part for each in self.overrides for part in (each.option, each.typed))
        return shlex.join([str(self.path), *typed])


def _overrides(_context: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> Any:
    return tuple(map(Override.parse, texts))


def _name(_context: click.Context, _param: click.Parameter, name: str | None) -> Any:
    return () if name is None else (Override(("name",), name, name, option="--name"),)


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say which file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror}); choose another place"
        ) from None


def file_argument(command: Decorated) -> Decorated:
    """Add the argument that names the sweep file, and the options that change it."""

    @functools.wraps(command)
    def with_file(
        *arguments: Any,
        file: Path,
        overrides: tuple[Override, ...],
        name_of_sweep: tuple[Override, ...],
        **options: Any,
    ) -> Any:
        changed = SweepFile(file, (*overrides, *name_of_sweep))
        if (root := _root_around(file)) is not None and _is_default("root"):
            options["root"] = root
        return command(*arguments, file=changed, **options)

    argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=True))
    set_option = click.option(
        OPTION,
        "overrides",
        multiple=True,
        callback=_overrides,
        metavar="KEY=VALUE",
        help="Set a key of FILE, such as fixed.epochs=3 or search.lr=[0.1]; may be repeated.",
    )
    name_option = click.option(
        "--name",
        "name_of_sweep",
        callback=_name,
        metavar="NAME",
        help="Another name for the sweep, and so another store.",
    )
    return argument(set_option(name_option(with_file)))  # type: ignore[return-value]


def _root_around(file: Path) -> str | None:
    """Return the folder of stores if a file is a store's own sweep.yaml."""
    folder = file.absolute().parent
    is_stored = file.name == "sweep.yaml" and (folder / "trials").is_dir()
    return os.path.relpath(folder.parent) if is_stored else None


def _is_default(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is ParameterSource.DEFAULT


def _seeds(_context: click.Context, _param: click.Parameter, text: str | None) -> Any:
    return None if text is None else parse_seeds(text)


seeds_option = click.option(
    "--seeds",
    callback=_seeds,
    metavar="LIST",
    help="Seeds that replace the file's top-level ones, such as 0-4 or 0,2,5.",
)


cluster_option = click.option(
    "--cluster",
    "cluster",
    type=click.Path(path_type=Path, dir_okay=True),
    metavar="FILE",
    help="Run on the cluster of this file: on Slurm in this folder, elsewhere in a copy of it.",
)


class _Positive(click.FloatRange):
    """A finite number above 0."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what is no such number; a range takes not-a-number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


POSITIVE = _Positive(min=0, min_open=True)


def format_option(*formats: str, help_text: str) -> Callable[[Decorated], Decorated]:
    """Add the option that chooses how results are printed."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(formats),
        default="text",
        show_default=True,
        help=help_text,
    )


def output_option(help_text: str, **type_and_default: Any) -> Callable[[Decorated], Decorated]:
    """Add the option that sets where a command writes."""
    return click.option("-o", "--output", help=help_text, **type_and_default)


def _set_data_dir(_context: click.Context, _param: click.Parameter, folder: Path | None) -> None:
    """Set the environment variable, which workers inherit."""
    if folder is not None:
        os.environ[DATA_DIR] = str(folder.absolute())


def data_dir_option(command: Decorated) -> Decorated:
    """Add the option for the folder of the data sets."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        expose_value=False,
        callback=_set_data_dir,
        help="Folder of the data sets [default: $ORCH_DATA_DIR, else ./data].",
    )(command)


def places(command: Decorated) -> Decorated:
    """Add the options for the folders of the stores and the data sets."""
    store = click.option(
        "--store",
        "root",
        envvar=STORE,
        default="results",
        metavar="FOLDER",
        help="Folder (or URI) of the stores, one per sweep [default: $ORCH_STORE, else that around "
        "FILE if it is a store's own sweep.yaml, else results].",
    )
    return store(data_dir_option(command))


def command_on(name: str, file: SweepFile, root: str, *words: str) -> str:
    """Write the command that does something else with the same file and stores."""
    is_default = root == (os.environ.get(STORE) or "results")
    places = [] if is_default else ["--store", root]
    return f"orch {name} {file} {shlex.join([*words, *places])}".rstrip()


def sweep_of(file: SweepFile, seeds: Seeds = None, *, decide: Decide | None = None) -> Sweep:
    """Read a sweep file, with other seeds, or a `decide` if it has none."""
    sweep = load(file.path, overrides=file.overrides, decide=decide)
    return sweep if seeds is None else with_seeds(sweep, seeds)


def print_differences(file: SweepFile, *, err: bool = False) -> None:
    """Print what the command line sets that is not so in the file."""
    for difference in differences(file.path, file.overrides):
        click.echo(f"set: {difference}", err=err)


def print_artifacts(results: Results, file: SweepFile, root: str) -> None:
    """Print what the store retains, and how to make an artifact that it lacks."""
    for line in remarks(results, lambda i: command_on("again", file, root, i, "--keep")):
        click.echo(line)


def results_of(file: SweepFile, root: str, seeds: Seeds = None) -> Results:
    """Open the results of a sweep, by default with the seeds, and `decide`, of its last run.

    Raises:
        InputError: the root has no store of the sweep.
        SweepChangedError: the store holds a sweep that differs in what may not change.
    """
    sweep = sweep_of(file, seeds)
    own = root == _root_around(file.path) and not any(o.key == ("name",) for o in file.overrides)
    name = file.path.absolute().parent.name if own else sweep.name  # a publication may be renamed
    store = Stores(root, Display().warn).store_of(name)
    if not store.exists:
        first = command_on("sweep", file, root)
        raise InputError(f"{root} has no store of `{sweep.name}`; run `{first}` first")
    last_run = require_same(sweep, store)
    if sweep.claims and last_run.decide != sweep.decide is None:
        sweep = sweep_of(file, seeds, decide=last_run.decide)
    return Results(sweep if seeds is not None else sweep.with_seeds(last_run.seeds), store)
