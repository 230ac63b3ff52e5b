"""Writes the reference pages from the code: commands, keys, columns, sweeps.

Run it as ``python docs/reference.py`` after a change; a test compares its pages with what lies
beside it.
"""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pyarrow as pa
from pydantic import BaseModel

from orchestrator.cli.main import main
from orchestrator.spec import loading as spec
from orchestrator.spec import model as sweep
from orchestrator.spec.grid import cells
from orchestrator.store.schema import JSON, TABLES, TEXT, Layout

DOCS = Path(__file__).parent
SWEEPS = DOCS.parent / "sweeps"
NOTE = "<!-- made by docs/reference.py: edit what it reads, then run it -->"


def pages() -> dict[str, str]:
    """Make every generated page, by file name."""
    return {
        "commands.md": _page(_commands()),
        "sweep-file.md": _page(_keys()),
        "columns.md": _page(_columns()),
        "sweeps.md": _page(_sweeps()),
    }


def _page(parts: Iterator[str]) -> str:
    return "\n\n".join([NOTE, *parts]) + "\n"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# Commands


def _commands() -> Iterator[str]:
    yield "# Every command"
    yield _paragraphs(main.help or "")
    yield "`-h` or `--help` after a command prints what stands here."
    for name, command in _each_command(main, "orch"):
        context = click.Context(command, info_name=name)
        yield f"## `{name}`"
        yield _paragraphs(command.help or "")
        pieces = " ".join(command.collect_usage_pieces(context))
        yield f"Usage: `{name} {pieces}`"
        options = [param for param in command.params if isinstance(param, click.Option)]
        if options:
            rows = [_option(option, context) for option in options]
            yield _table(["option", "what it does", "default"], rows)


def _each_command(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _each_command(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


def _paragraphs(text: str) -> str:
    return inspect.cleandoc(text.replace("\b\n", ""))


def _option(option: click.Option, context: click.Context) -> list[str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f" {option.make_metavar(context)}"
    if isinstance(option.type, click.Choice):
        takes = f" {' or '.join(f'`{choice}`' for choice in option.type.choices)}"
    text = (option.help or "").replace("|", "\\|")
    default = f"`{option.default}`" if option.show_default else ""
    return [names + takes, text, default]


# Keys of the sweep file

EXTENDS = """\
The path of another sweep file, relative to this one, of which this file says only the
differences. Mappings merge key by key; lists and single values replace. A param that moves to
another section leaves its old one. The file needs a `name` of its own."""

ALIASES = {
    id(sweep.Name): "name",
    id(sweep.Seeds): "list of integers",
    id(sweep.Axis): "list of values",
    id(sweep.ParamValue): "value",
    id(sweep.Amount): "number",
    id(sweep.Gpus): "number",
}
PLAIN = {str: "text", int: "integer", float: "number", bool: "`true` or `false`"}
TITLES = {
    sweep.Select: "select",
    sweep.Resources: "resources",
    sweep.Variant: "variants",
    sweep.ResourceChange: "variants: resources",
    sweep.Table: "tables",
    sweep.Published: "tables: published",
    sweep.Claim: "claims",
    sweep.Figure: "figures",
}


def _keys() -> Iterator[str]:
    yield "# Every key of a sweep file"
    yield (
        "YAML 1.2: `1e-4` is a number, `no` a string. A *value* is an integer, a number, a "
        "boolean, a string, null, or a list of these. A *name* is of small letters, digits, `_` "
        "and `-`. An unknown or repeated key is an error that names file and line."
    )
    yield "## Top level"
    rows = [*_rows(sweep.Sweep), ["`extends`", "path", "none", EXTENDS.replace("\n", " ")]]
    yield _table(["key", "what it takes", "default", "meaning"], rows)
    for model, title in TITLES.items():
        yield f"## {title}"
        yield inspect.cleandoc(model.__doc__ or "").replace("``", "`")
        yield _table(["key", "what it takes", "default", "meaning"], _rows(model))


def _rows(model: type[BaseModel]) -> list[list[str]]:
    hints = typing.get_type_hints(model, include_extras=True)
    meanings = _docstrings(model)
    return [
        [f"`{name}`", _type(hints[name]), _default(field), meanings[name]]
        for name, field in model.model_fields.items()
    ]


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Read the docstring below each field, as pydantic could at a cost to every start."""
    (definition,) = ast.parse(inspect.getsource(model)).body
    body = typing.cast(ast.ClassDef, definition).body
    return {
        field.target.id: " ".join(inspect.cleandoc(below.value.value).split()).replace("``", "`")
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _type(hint: Any) -> str:
    """Say in words what a key takes."""
    if id(hint) in ALIASES or hint in PLAIN:
        return ALIASES.get(id(hint)) or PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in inner)
    if origin in {types.UnionType, typing.Union}:
        return _type(next(part for part in inner if part is not types.NoneType))
    if origin is tuple:
        return f"list of {_several(_type(inner[0]))}"
    if origin is dict:
        return f"mapping of names to {_several(_type(inner[1]))}"
    title = TITLES[hint]
    return f"[{title}](#{title.replace(': ', '-')})"


def _several(what: str) -> str:
    if what.startswith(("list of", "mapping of")):
        return what.replace("list", "lists", 1).replace("mapping", "mappings", 1)
    return what if what in {"text"} or what.startswith("[") else f"{what}s"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default in ((), {}, ""):
        return "none"
    if isinstance(field.default, BaseModel):
        given = field.default.model_dump(exclude_none=True)
        return ", ".join(f"`{name}: {value:g}`" for name, value in given.items()) or "none"
    return f"`{field.default}`"


# Columns of the store

IDS = {
    "trial_id": "Config and seed, as 16 hexadecimal digits.",
    "config_id": "Cell and search values, likewise.",
    "cell_id": "The combination of factors, likewise.",
    "seed": "The replicate.",
}
TRIALS = {
    "status": "`completed`, `diverged` or `failed`; from `open_store`, `unfinished` too.",
    "error": "Why it failed; null otherwise.",
    "attempts": "How often it was started.",
    "best_METRIC": "The selection metric's best epoch.",
    "epochs_run": "Epochs that it has behind it.",
    "seconds": "What it took, in all attempts.",
    "threads": "CPU threads that it was given. Other numbers of threads give other bits.",
    "started_at": "Start of the first attempt, UTC.",
    "ended_at": "End of the last one, UTC.",
    "host": "Where it ran.",
    "device": "On what: `cpu`, or the GPU's name.",
    "code_digest": "SHA-256 of the trainable's sources; `code/DIGEST.zip` holds them.",
    "versions": "Versions of Python and packages as JSON, and what the trainable recorded.",
    "params": "The fixed params as JSON.",
    "reused_from": "The sweep whose store it was copied from; null if it ran here.",
}
EPOCHS = {"epoch": "From 1.", "seconds": "What the epoch took."}
PROBES = {
    "epoch": "From 1.",
    "probe": "What was measured, such as `skewness`.",
    "layer": "Where, by name.",
    "layer_index": "Where, as a number from 0 that orders the layers.",
    "unit": "The channel or neuron; null for the whole layer.",
    "at": "The centre of a histogram's bin, or a step; null otherwise.",
    "value": "The measurement.",
}
MEANINGS: Mapping[str, Mapping[str, str]] = {"trials": TRIALS, "epochs": EPOCHS, "probes": PROBES}
ROWS = {
    "trials": "One row per trial that ended.",
    "epochs": "One row per trial and epoch.",
    "probes": "One row per trial, epoch, probe and layer, and per unit and bin where it has them.",
}


def _columns() -> Iterator[str]:
    yield "# Every column of the store"
    yield (
        "Every row of all three tables begins with its ids and seed, then one column per factor, "
        "per search param, and per fixed param that a variant changes. So a question is one line, "
        "without a join."
    )
    example = Layout({"PARAM": pa.null()}, ("METRIC",), "METRIC", "max")
    ids = [[f"`{name}`", "string", text] for name, text in IDS.items()]
    ids[-1][1] = "int64"
    yield _table(["column", "type", "meaning"], ids)
    yield (
        "The type of a param follows from all its values in the file: int64; double where any "
        "value is one; string; boolean; JSON text for lists and mixed types. Strings of few "
        "distinct values are dictionaries, which pandas reads as categories."
    )
    for table in TABLES:
        schema = example.schema(table)
        meanings = MEANINGS[table] | {"METRIC": "Each metric by its name, as yielded."}
        own = [field for field in schema if field.name not in {*IDS, "PARAM"}]
        if table == "trials":
            meanings["METRIC"] = "Each metric by its name, as yielded in the last epoch."
        yield f"## `{table}`"
        yield ROWS[table]
        rows = [[f"`{f.name}`", _arrow(f.type), meanings[f.name]] for f in own]
        yield _table(["column", "type", "meaning"], rows)


def _arrow(kind: pa.DataType) -> str:
    if kind in {TEXT, JSON}:
        return "string"
    return "timestamp" if pa.types.is_timestamp(kind) else str(kind)


# Sweep files


def _sweeps() -> Iterator[str]:
    yield "# Every sweep file"
    yield (
        "What stands at the top of each file in `sweeps/`: what it makes, what it costs, and "
        "what was assumed where its paper leaves something open. What all of them share is in "
        "[Reproducing the papers](papers.md)."
    )
    files = sorted(path for path in SWEEPS.glob("*.yaml") if not path.stem.endswith("-mini"))
    for file in files:
        loaded = spec.load(file)
        found = cells(loaded)
        configs = sum(len(cell.configs) for cell in found)
        trials = sum(len(cell.configs) * len(cell.seeds) for cell in found)
        yield f"## {file.stem}"
        yield _head(file)
        yield (
            f"`sweeps/{file.name}`: {len(found):,} cells, {configs:,} configs, {trials:,} trials."
        )
        mini = file.with_name(f"{file.stem}-mini.yaml")
        if mini.exists():
            yield f"**On a laptop:** `sweeps/{mini.name}`. {_head(mini)}"


def _head(file: Path) -> str:
    """Take the comment at the top of a file as paragraphs."""
    lines = file.read_text().splitlines()
    end = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:end])


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
