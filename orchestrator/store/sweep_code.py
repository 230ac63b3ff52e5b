"""The code of a sweep: its trainable or command, and the files that its key `code` lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.code import (
    Archive,
    Entries,
    Scope,
    code_of,
    require_program,
    require_target,
)
from orchestrator.errors import InputError, OrchError, SpecError, TrainableError
from orchestrator.spec.command import possible
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed
from orchestrator.spec.source import MAPPING
from orchestrator.store.store import Store


def scope_of(sweep: Sweep, root: Path | None) -> Scope:
    """Say where a sweep's code is looked for; its own files and the stores are no code.

    Args:
        sweep: the sweep.
        root: the folder of the stores; None in a bucket.
    """
    places = sweep.source.places.values() if sweep.source else ()
    own = {str(Path(place.file).absolute()) for place in places if place.file != MAPPING}
    if root is not None:
        inside = Path.cwd().is_relative_to(root)
        own.add(str(root / sweep.name if inside else root))
    return Scope(str(Path.cwd()), tuple(sorted(own)))


def scope_beside(sweep: Sweep, store: Store) -> Scope:
    """Say where the code of a sweep is looked for that has a store."""
    local = store.files.local
    return scope_of(sweep, local.parent if local else None)


def require_code(sweep: Sweep, scope: Scope) -> None:
    """Refuse what can be seen not to run, and a glob that is of no use.

    Raises:
        SpecError: a glob leaves the working folder, or matches nothing.
        TrainableError: the trainable is not there, or its source shows that it cannot run; or the
            command's program is not found, or not executable.
    """
    key = ("command", 0) if sweep.trainable is None else ("trainable",)
    try:
        if sweep.trainable is not None:
            require_target(sweep.trainable, scope)
        for word in possible(sweep, sweep.command[0]) if sweep.command else ():
            require_program(word, scope.folder, os.environ)
    except TrainableError as error:
        raise placed(error, sweep.source, *key) from None
    for index, pattern in enumerate(sweep.code):
        if problem := _problem(pattern, scope):
            raise placed(problem, sweep.source, "code", index)


def read_code(sweep: Sweep, scope: Scope) -> Archive:
    """Read the files that a sweep's numbers come from.

    Raises:
        OrchError: as `require_code`.
    """
    require_code(sweep, scope)
    entries = sweep.module if sweep.command is None else _entries(sweep, sweep.command, scope)
    return code_of(entries, scope, sweep.code)


def _entries(sweep: Sweep, words: tuple[str, ...], scope: Scope) -> Entries:
    """Look up what the words of a command name, as some trial gets them."""
    modules, programs, others = set[str](), set[str](), set[str]()
    for before, word in zip((None, *words), words, strict=False):
        texts = possible(sweep, word)
        if before == "-m":
            modules.update(texts)
        if before is None:  # a name without a slash is looked for on PATH
            texts = [text for text in texts if os.sep in text]
        for name in named_by(texts, scope):
            (programs if before is None or name.endswith(".py") else others).add(name)
    return Entries(*map(tuple, map(sorted, (modules, programs, others))))


def named_by(words: Iterable[str], scope: Scope) -> set[str]:
    """List the files of the working folder that words name."""
    return {name for word in words for name in _named(word, scope)}


def _named(text: str, scope: Scope) -> Iterator[str]:
    """List the files of the working folder that a word, or what follows an `=` in it, names."""
    while text:
        name = scope.named(text)
        if name is not None:
            yield name
        text = text.partition("=")[2]


def _problem(pattern: str, scope: Scope) -> OrchError | None:
    try:
        matched = scope.match(pattern)
    except InputError as error:
        return SpecError(str(error))
    if matched:
        return None
    return SpecError(
        f"`{pattern}` matches no file of the working folder; stores, hidden folders and the sweep "
        "file itself do not count"
    )
