"""Generates the reference pages from the code: commands, keys, columns, sweeps, Python.

Run ``python docs/reference.py`` after a change; a test checks that the pages are up to date.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import BaseModel

import orchestrator
from orchestrator.cli.main import main
from orchestrator.columns import TABLES, Column, columns_of
from orchestrator.results.claims.judge import Finding
from orchestrator.results.claims.judging import Contrast
from orchestrator.results.claims.sequential import Look
from orchestrator.results.effects import Effects
from orchestrator.results.selection import CellSelection
from orchestrator.results.variance import Effect
from orchestrator.spec import axes, claim, shown, values
from orchestrator.spec import loading as spec
from orchestrator.spec import model as sweep
from orchestrator.spec.grid import cells

DOCS = Path(__file__).parent
SWEEPS = DOCS.parent / "sweeps"
TWINS = ("-mini", "-small")
"""Ends of the names of files that a laptop runs."""
RETURNED = (CellSelection, Finding, Contrast, Look, Effects, Effect)
"""What results consist of."""
NOTE = "<!-- made by docs/reference.py: edit what it reads, then run it -->"


def pages() -> dict[str, str]:
    """Generate every page, by file name."""
    return {
        "commands.md": _page(_commands()),
        "sweep-file.md": _page(_keys()),
        "columns.md": _page(_columns()),
        "sweeps.md": _page(_sweeps()),
        "python.md": _page(_python()),
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
    yield "`-h` or `--help` after a command prints the same text."
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
The path of another sweep file, relative to this one; this file then holds only the differences
from it. Mappings merge key by key; lists and single values replace. A param that moves to
another section leaves its old one. The file needs a `name` of its own."""

ALIASES = {
    id(values.Name): "name",
    id(values.Seeds): "list of integers",
    id(values.ConfirmSeeds): "integer or list of integers",
    id(axes.Points): "list of values",
    id(axes.Searched): "list of values or range",
    id(values.ParamValue): "value",
    id(values.Word): "text",
    id(values.Amount): "number",
    id(values.Gpus): "number",
    id(values.Duration): "time",
    id(claim.Compared): "mapping of a name to a list of values, or list of two mappings",
}
PLAIN = {str: "text", int: "integer", float: "number", bool: "`true` or `false`"}
TITLES = {
    sweep.Metrics: "metrics",
    sweep.Race: "race",
    sweep.Decide: "decide",
    sweep.Select: "select",
    sweep.Resources: "resources",
    sweep.Variant: "variants",
    sweep.ResourceChange: "variants: resources",
    shown.Table: "tables",
    shown.Published: "tables: published",
    sweep.Claim: "claims",
    shown.Figure: "figures",
}


def _keys() -> Iterator[str]:
    yield "# Every key of a sweep file"
    yield (
        "YAML 1.2: `1e-4` is a number, `no` a string. A *value* is an integer, a number, a "
        "boolean, a string, null, or a list of these. A *name* has lower-case letters, digits, `_` "
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
        [f"`{field.alias or name}`", _type(hints[name]), _default(field), meanings[name]]
        for name, field in model.model_fields.items()
    ]


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Read the docstring below each field; pydantic could, but would slow down every start."""
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
    """Describe the type of a key's value."""
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


def _several(noun: str) -> str:
    if noun.startswith(("list of", "mapping of")):
        return noun.replace("list", "lists", 1).replace("mapping", "mappings", 1)
    return noun if noun == "text" or noun.startswith("[") else f"{noun}s"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default in ((), {}, ""):
        return "none"
    if isinstance(field.default, BaseModel):
        defaults = field.default.model_dump(exclude_none=True)
        return ", ".join(f"`{name}: {value:g}`" for name, value in defaults.items()) or "none"
    return f"`{field.default}`"


# Columns of the store

METRICS = {
    "trials": [
        ["`METRIC`", "double", "Each metric by its name: its last value that is not null."],
        ["`best_METRIC`", "double", "The selection metric's best epoch."],
    ],
    "epochs": [["`METRIC`", "double", "Each metric by its name; null where an epoch lacks it."]],
    "probes": [],
}
ROWS = {
    "trials": "One row per trial that has ended.",
    "epochs": "One row per trial and epoch.",
    "probes": "One row per trial, epoch, probe and layer, and per unit and bin if there are any.",
}


def _columns() -> Iterator[str]:
    yield "# Every column of the store"
    yield (
        "Every row of all three tables begins with its ids and seed, followed by one column per "
        "factor, per search param, and per fixed param that a variant changes, so that queries "
        "need no join."
    )
    ids = [_column(column) for column in columns_of("trials", "id")]
    yield _table(["column", "type", "meaning"], ids)
    yield (
        "The type of a param follows from all its values in the file: int64; double if any "
        "value is one; string; boolean; JSON text for lists and mixed types. Strings with few "
        "distinct values are dictionary-encoded, which pandas reads as categories."
    )
    for table in TABLES:
        yield f"## `{table}`"
        yield ROWS[table]
        rows = [*map(_column, columns_of(table, "result")), *METRICS[table]]
        rows += map(_column, columns_of(table, "detail"))
        yield _table(["column", "type", "meaning"], rows)


def _column(column: Column) -> list[str]:
    kind = "string" if column.type == "category" else column.type
    return [f"`{column.name}`", kind, column.meaning]


# The Python API

SECTION = re.compile(r"^(Args|Returns|Raises|Attributes):\n((?:    .*\n|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^(\w+): (.+?)(?=^\w+: |\Z)", re.MULTILINE | re.DOTALL)


def _python() -> Iterator[str]:
    yield "# From Python"
    yield (
        "Runs a sweep and reads its results from a script or a notebook; for the rest, such as "
        "`publish`, `audit`, `watch` and clusters, there are the commands. `ORCH_DATA_DIR` names "
        "the folder of data sets. "
        "[`notebook.ipynb`](notebook.ipynb) shows a sweep from start to verdict."
    )
    example = inspect.cleandoc(orchestrator.__doc__ or "").partition("::\n\n")[2]
    yield f"<!-- not run: a sketch -->\n```python\n{textwrap.dedent(example)}\n```"
    for name in ("load", "run", "open_store", "report"):
        yield from _function(f"orchestrator.{name}", getattr(orchestrator, name))
    yield "## orchestrator.Results"
    yield _prose(orchestrator.Results)
    for name, member in vars(orchestrator.Results).items():
        if not name.startswith("_"):
            yield from _member(name, member)
    for kind in RETURNED:
        yield f"## {kind.__name__}"
        yield _prose(kind)
    yield "## Errors"
    yield "Each is an `OrchError`; `str(error)` is the whole message."
    errors = [getattr(orchestrator, name) for name in orchestrator.__all__ if "Error" in name]
    yield _table(["class", "means"], [[f"`{e.__name__}`", _prose(e)] for e in errors])


def _member(name: str, member: Any) -> Iterator[str]:
    if isinstance(member, types.FunctionType):
        yield from _function(f"Results.{name}", member, level=3)
    else:
        getter = member.fget if isinstance(member, property) else member.func
        kind = inspect.signature(getter).return_annotation
        yield f"### Results.{name}"
        yield f"`{kind}`"
        yield _prose(getter)


def _function(name: str, function: Any, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {name}"
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    # Annotations are strings, which a signature prints in quotes.
    call = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=parameters)))
    yield f"`{name.rpartition('.')[2]}{call}`"
    yield _prose(function)


def _prose(documented: Any) -> str:
    """Write a Google-style docstring as Markdown."""
    text = inspect.cleandoc(documented.__doc__ or "") + "\n"
    return SECTION.sub(_section, text).replace("``", "`").strip()


def _section(match: re.Match[str]) -> str:
    """Write a section of a docstring: as a list of its entries, or as a paragraph."""
    title, body = match[1], textwrap.dedent(match[2])
    entries = ENTRY.findall(body)
    if title == "Returns" or not entries:
        return f"*{title}.* {' '.join(body.split())}\n"
    items = "\n".join(f"- `{name}`: {' '.join(meaning.split())}" for name, meaning in entries)
    return f"*{title}*\n\n{items}\n\n"


# Sweep files


def _sweeps() -> Iterator[str]:
    yield "# Every sweep file"
    yield (
        "The comment at the top of each file in `sweeps/`: what it reproduces, what it costs, and "
        "what it assumes where its paper leaves something open. What all of them share is in "
        "[Reproducing the papers](papers.md)."
    )
    files = sorted(path for path in SWEEPS.glob("*.yaml") if not path.stem.endswith(TWINS))
    for file in files:
        all_cells = cells(spec.load(file))
        configs = sum(len(cell.configs) for cell in all_cells)
        trials = sum(len(cell.configs) * len(cell.seeds) for cell in all_cells)
        yield f"## {file.stem}"
        yield _head(file)
        yield (
            f"`sweeps/{file.name}`: {len(all_cells):,} cells, {configs:,} configs, "
            f"{trials:,} trials."
        )
        twins = (file.with_name(f"{file.stem}{twin}.yaml") for twin in TWINS)
        for twin in filter(Path.exists, twins):
            yield f"**On a laptop:** `sweeps/{twin.name}`. {_head(twin)}"


def _head(file: Path) -> str:
    """Return the comment at the top of a file as paragraphs."""
    lines = file.read_text().splitlines()
    end = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:end])


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
