"""Load a YAML file as a checked `Sweep`; every error names its line."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import InputError, SpecError
from orchestrator.labels import label, printable
from orchestrator.spec.checks import check
from orchestrator.spec.extends import SECTIONS, extended, resolve
from orchestrator.spec.keys import Key, dotted
from orchestrator.spec.model import Decide, Sweep
from orchestrator.spec.overrides import Override, overridden
from orchestrator.spec.problems import check_quotes, explain, raise_all
from orchestrator.spec.searched import MAX_TRIALS
from orchestrator.spec.shown import Table
from orchestrator.spec.source import Source, of_mapping, read_text
from orchestrator.spec.values import canonical, check_seeds


def load(
    file: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[Override] = (),
    decide: Decide | None = None,
) -> Sweep:
    """Read and check a sweep file.

    Args:
        file: its path, or a mapping with the same keys.
        overrides: values to set in it, of `--set` on the command line.
        decide: its `decide` if it has none.

    Raises:
        SpecError: one line per mistake, with file, line, key and what is expected; for a
            mapping, with the key.
    """
    source = overridden(read_source(file), overrides)
    if decide is not None and source.data.get("decide") is None:
        source = source.with_value(("decide",), decide.model_dump())
    return parse(source)


def differences(file: str | Path, overrides: Sequence[Override]) -> Iterator[str]:
    """Say what overrides set that is not so in a file."""
    source = read_source(file)
    changed = overridden(source, overrides)
    for key in changed.changes:
        before, after = (each.get(key, _UNSET) for each in (source, changed))
        if before is _UNSET:
            was = f"is not set in the file{_nearest(source, key)}"
        elif canonical(before) != canonical(after):
            was = f"is {_typed(before)} in the file"
        else:
            continue
        yield f"{dotted(key)} is {_typed(after)}, and {was}"


_UNSET = object()


def _typed(value: Any) -> str:
    """Write a value so that 1 and 1.0, which are two, differ."""
    return label(value) if isinstance(value, str) else printable(json.dumps(value))


def _nearest(source: Source, key: Key) -> str:
    """Ask whether another param of the section is meant, if one has nearly the same name."""
    params = source.get(key[:-1]) if key[0] in SECTIONS else None
    if not isinstance(params, Mapping):
        return ""
    names = get_close_matches(str(key[-1]), params, n=1, cutoff=0.7)
    return f"; did you mean {names[0]}?" if names else ""


def read_source(file: str | Path | Mapping[str, Any]) -> Source:
    """Read a sweep file, or mapping, and those that it extends; not checked yet.

    Raises:
        SpecError: it cannot be read.
    """
    if isinstance(file, Mapping):
        return extended(of_mapping(file), Path.cwd())
    return resolve(Path(file))


def load_text(text: str, name: str, *, strict: bool = True) -> Sweep:
    """Read and check the text of a sweep file that errors name ``name``.

    Args:
        text: the text of the file.
        name: the file's name in errors.
        strict: refuse what stores may hold, since it was allowed once: no `select.mode` where the
            metric's name does not say which, and conditions that never match.

    Raises:
        SpecError: as `load`.
    """
    return parse(read_text(text, name), strict=strict)


def parse(source: Source, *, strict: bool = True) -> Sweep:
    """Validate a file's data as a sweep, and check every name in it.

    Raises:
        SpecError: as `load`.
    """
    check_quotes(source)
    try:
        sweep = Sweep.model_validate(source.data).with_source(source)
    except ValidationError as error:
        raise SpecError(explain(error, source, Sweep)) from None
    raise_all(check(sweep, strict=strict), source)
    if not sweep.tables:
        table = Table(name="results", rows=tuple(sweep.factors), values=(sweep.select.metric,))
        sweep = sweep.model_copy(update={"tables": (table,)})
    return sweep


def with_seeds(sweep: Sweep, seeds: Sequence[int]) -> Sweep:
    """Replace the top-level seeds, as ``--seeds`` does.

    Raises:
        InputError: they are no distinct integers of 63 bits, or the grid becomes too large.
    """
    try:
        seeds = check_seeds(tuple(map(operator.index, seeds)))
    except (TypeError, ValueError) as error:
        raise InputError(f"seeds: {error}") from None
    reseeded = sweep.with_seeds(seeds)
    for problem in check(reseeded):
        raise InputError(f"seeds: {problem.text}")
    if sweep.source is None:
        return reseeded
    return reseeded.with_source(sweep.source.with_value(("seeds",), seeds))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parse seeds from the command line, such as ``0-4`` or ``0,2,5-7``.

    Raises:
        InputError: the text is not a list of seeds and ranges.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if not match:
            raise InputError(f"--seeds {text}: expected seeds such as 0-4 or 0,2,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 <= last - first < MAX_TRIALS:
            raise InputError(f"--seeds {text}: {part.strip()} is not a range from low to high")
        seeds.extend(range(first, last + 1))
    try:
        return check_seeds(tuple(seeds))
    except ValueError as error:
        raise InputError(f"--seeds {text}: {error}") from None
