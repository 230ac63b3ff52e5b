"""Checks of a sweep file's `command` and `metrics`: that each trial gets what makes it another."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from orchestrator.errors import unknown
from orchestrator.labels import assignments, counted, label, quoted
from orchestrator.spec.command import (
    FLAGS,
    PARAMS,
    PARAMS_JSON,
    TRIAL_NAMES,
    Placeholder,
    Template,
)
from orchestrator.spec.grid import combinations
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Metrics, Sweep
from orchestrator.spec.problems import Problem
from orchestrator.spec.values import Value


def check_command(sweep: Sweep) -> Iterator[Problem]:
    """List what is wrong with what runs a trial, as far as the names of params tell."""
    if sweep.trainable is None and sweep.command is None:
        yield Problem(("trainable",), "this key, or `command`, is required")
    if sweep.trainable is not None and sweep.command is not None:
        text = "stands beside a `trainable`; take one out, or set it to null after `extends`"
        yield Problem(("command",), text)
    if sweep.metrics is not None:
        yield from _metrics(sweep, sweep.metrics)
    if sweep.command is None:
        return
    problems = [
        problem
        for index, word in enumerate(sweep.command)
        for problem in _word(sweep, word, ("command", index))
    ]
    yield from problems or [*_program(sweep.command[0]), *_unreached(sweep, sweep.command)]


def check_nulls(sweep: Sweep) -> Iterator[Problem]:
    """List the words and paths in which a param is null in some cell."""
    for index, word in enumerate(sweep.command or ()):
        template = Template.of(word)
        if not template.is_option:
            hint = "; null is left out by a word such as `--{0}={{{0}}}`, and by `--{{params}}`"
            yield from _null(sweep, template, ("command", index), hint)
    for key, path in _paths(sweep.metrics):
        yield from _null(sweep, Template.of(path), ("metrics", key), "")


def _null(sweep: Sweep, template: Template, key: Key, hint: str) -> Iterator[Problem]:
    names = {p.name: None for p in template.placeholders if p.name in sweep.params}
    for name in names:
        if None not in _values(sweep, name):
            continue  # which most files show without a look at every config
        found = combinations(sweep, {**sweep.factors, name: ()})
        cells = [{factor: c[factor] for factor in sweep.factors} for c in found if c[name] is None]
        if cells:
            more = f" and {counted(len(cells) - 1, 'other cell')}" if cells[1:] else ""
            where = f" where {assignments(cells[0])}{more}" if sweep.factors else ""
            yield Problem(key, f"`{name}` is null{where}{hint.format(name)}")


def _word(sweep: Sweep, word: str, key: Key) -> Iterator[Problem]:
    try:
        template = Template.of(word)
    except ValueError as error:
        yield Problem(key, str(error))
        return
    for placeholder in template.placeholders:
        for text in _placeholder(sweep, placeholder):
            yield Problem(key, text)
    spreads = [p for p in template.placeholders if p.name == PARAMS]
    if len(spreads) > 1:
        yield Problem(key, "`{params}` stands once in a word")
    elif template.condition and len(template.pieces) > 1:
        yield Problem(key, f"`{template.condition}` is a word of its own")


def _placeholder(sweep: Sweep, placeholder: Placeholder) -> Iterator[str]:
    """Say what is wrong with a placeholder, wherever it stands."""
    name, option = placeholder.name, placeholder.option
    known = [*sweep.params, *TRIAL_NAMES, PARAMS_JSON, PARAMS]
    if name not in known:
        yield f"{unknown('placeholder', name, known)}; a brace itself is `{{{{` or `}}}}`"
    elif name == PARAMS and option not in {None, FLAGS}:
        yield f"`{placeholder}`: expected `{{params}}` or `{{params:{FLAGS}}}`"
    elif name not in {PARAMS, *sweep.params} and option is not None:
        yield f"`{placeholder}`: `{name}` takes no `:`"
    elif name != PARAMS and option is not None:
        others = [value for value in _values(sweep, name) if not isinstance(value, bool)]
        if others:
            yield (
                f"`{placeholder}` is the text after `:` where `{name}` is true; "
                f"`{name}` is no boolean, but {label(others[0])}"
            )
        elif not option:
            yield f"`{placeholder}`: expected text after `:`, such as `{{{name}:--{name}}}`"


def _values(sweep: Sweep, name: str) -> list[Value]:
    """List the values that a param takes in some cell, variants included."""
    if name == "seed":
        return list(sweep.seeds)
    axes = {**sweep.axes, **{n: (v,) for n, v in sweep.fixed.items()}}
    fixed = [variant.fixed[name] for variant in sweep.variants if name in variant.fixed]
    return [*axes[name], *fixed]


def _program(word: str) -> Iterator[Problem]:
    template = Template.of(word)
    trials = {*TRIAL_NAMES, PARAMS_JSON} & {p.name for p in template.placeholders}
    if template.spread or template.condition or template.is_option or trials:
        text = "is the program, which there is before the trials: it may hold `{NAME}` of a param"
        yield Problem(("command", 0), text)


def _unreached(sweep: Sweep, words: tuple[str, ...]) -> Iterator[Problem]:
    """Refuse what tells trials apart and does not reach the program."""
    reached = {p.name for word in words for p in Template.of(word).placeholders}
    if reached & {PARAMS, PARAMS_JSON}:
        return
    names = [name for name in ("seed", *sweep.factors, *sweep.search) if name not in reached]
    if names:
        added = ", ".join(f'"--{name}={{{name}}}"' for name in names)
        text = (
            f"{quoted(names)} {'reach' if names[1:] else 'reaches'} the program in no word, and so "
            f"trials would be the same run; add words such as {added}, or `--{{params}}` for all"
        )
        yield Problem(("command",), text)


_KINDS = {"json": "lines", "regex": "regex", "csv": "csv", "tensorboard": "tensorboard"}
"""The keys of which `metrics` has one, and the fields that hold them."""


def _metrics(sweep: Sweep, metrics: Metrics) -> Iterator[Problem]:
    if sweep.command is None:
        yield Problem(("metrics",), "is for a `command`; a trainable hands its metrics over")
    given = [key for key, field in _KINDS.items() if getattr(metrics, field) is not None]
    if len(given) != 1:
        yield Problem(("metrics",), f"expected one of {quoted(_KINDS)}")
    if metrics.regex is not None:
        yield from _regex(metrics.regex, metrics.step)
    for key, path in _paths(metrics):
        yield from _path(sweep, path, ("metrics", key))


def _paths(metrics: Metrics | None) -> Iterator[tuple[str, str]]:
    for key in ("csv", "tensorboard"):
        path = getattr(metrics, key, None)
        if path is not None:
            yield key, path


def _path(sweep: Sweep, path: str, key: Key) -> Iterator[Problem]:
    problems = list(_word(sweep, path, key))
    yield from problems
    template = None if problems else Template.of(path)
    if template and (several := template.spread or template.condition):
        yield Problem(key, f"`{several}` is for words, not for a path")


def _regex(regex: str, step: str | None) -> Iterator[Problem]:
    key: Key = ("metrics", "regex")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read in another way
            groups = re.compile(regex).groupindex
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        yield Problem(key, f"is no regular expression: {error.msg}{where}")
    except (OverflowError, RecursionError) as error:
        yield Problem(key, f"is no regular expression: {error}")
    else:
        if not groups:
            text = "expected a named group per metric, such as `accuracy (?P<accuracy>[\\d.]+)`"
            yield Problem(key, text)
        elif step is not None and step not in groups:
            yield Problem(("metrics", "step"), unknown("group of the regex", step, groups))
