"""The words of a command: which placeholders they hold, and what a trial gets for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.nesting import flat
from orchestrator.spec.grid import combinations
from orchestrator.spec.model import Sweep
from orchestrator.spec.values import Value

PARAMS = "params"
"""The placeholder that stands for all params, each in a word of its own."""
PARAMS_JSON = "params.json"
"""The placeholder for the path of a JSON file with all params."""
FLAGS = "flags"
"""``{params:flags}`` writes booleans as ``name`` and ``no-name``."""


class TrialNames(NamedTuple):
    """What the placeholders ``{trial.…}`` stand for.

    Attributes:
        folder: the trial's own folder.
        id: the trial's id.
        attempt: the number of the attempt, from 1.
    """

    folder: str
    id: str
    attempt: int | str


_NO_FOLDER = f"{os.devnull}/"
_NOWHERE = TrialNames(*[_NO_FOLDER] * 3)
TRIAL_NAMES = tuple(f"trial.{field}" for field in TrialNames._fields)


@dataclass(frozen=True)
class Placeholder:
    """A name in braces, and what follows its colon, if it has one."""

    name: str
    option: str | None = None

    def __str__(self) -> str:
        return f"{{{self.name}{'' if self.option is None else f':{self.option}'}}}"


@dataclass(frozen=True)
class Template:
    """A word of a command, or another text with placeholders."""

    pieces: tuple[str | Placeholder, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Parse a text.

        Raises:
            ValueError: a brace has no partner.
        """
        pieces: list[str | Placeholder] = []
        for match in _TOKENS.finditer(text):
            token, name, option = match.group(0, 1, 2)
            if token in {"{", "}"}:
                raise ValueError(f"a `{token}` without partner; a brace itself is `{token * 2}`")
            if name is not None:
                pieces.append(Placeholder(name, option))
            elif pieces and isinstance(pieces[-1], str):
                pieces[-1] += _BRACES.get(token, token)
            else:
                pieces.append(_BRACES.get(token, token))
        return cls(tuple(pieces))

    @property
    def placeholders(self) -> list[Placeholder]:
        """The placeholders, in their order."""
        return [piece for piece in self.pieces if isinstance(piece, Placeholder)]

    @property
    def spread(self) -> Placeholder | None:
        """The placeholder ``{params}``, for which the word stands once per param."""
        return next((p for p in self.placeholders if p.name == PARAMS), None)

    @property
    def condition(self) -> Placeholder | None:
        """The placeholder ``{name:text}``, which is the text where a boolean is true."""
        return next(
            (p for p in self.placeholders if p.name != PARAMS and p.option is not None), None
        )

    @property
    def is_option(self) -> bool:
        """Whether it is as ``--option={name}``, which is left out where the param is null."""
        match self.pieces:
            case (str(option), Placeholder(option=None)):
                return option.startswith("-") and option.endswith("=")
        return False

    def words(self, params: Mapping[str, Value], texts: Mapping[str, str]) -> Iterator[str]:
        """Write the words that it stands for.

        Args:
            params: the trial's params.
            texts: what the other placeholders stand for.
        """
        if spread := self.spread:
            for name, value in params.items():
                if value is not None:
                    assigned = _assigned(name, value, flags=spread.option == FLAGS)
                    yield self.text(params, {**texts, PARAMS: assigned})
        elif condition := self.condition:
            if params[condition.name] is True and condition.option:
                yield condition.option
        elif not (self.is_option and params.get(self.placeholders[0].name, "") is None):
            yield self.text(params, texts)

    def text(self, params: Mapping[str, Value], texts: Mapping[str, str]) -> str:
        """Write it as one text; arguments as in `words`."""
        known = {**{name: shown(value) for name, value in params.items()}, **texts}
        return "".join(p if isinstance(p, str) else known[p.name] for p in self.pieces)


_TOKENS = re.compile(r"\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]|[^{}]+")
_BRACES = {"{{": "{", "}}": "}"}


def render(
    words: Iterable[str], params: Mapping[str, Value], trial: TrialNames, params_json: str
) -> list[str]:
    """Write the words of a command for a trial.

    Args:
        words: of the sweep file, which has been checked.
        params: the trial's params, with its ``seed``.
        trial: what is the trial's own.
        params_json: the path of a JSON file with all params.
    """
    texts, params = _texts(trial, params_json), flat(params)
    return [text for word in words for text in Template.of(word).words(params, texts)]


def own_words(words: Iterable[str], params: Mapping[str, Value]) -> list[str]:
    """Write the words of a command for a trial; what is the trial's names no file."""
    return render(words, params, _NOWHERE, _NO_FOLDER)


def render_path(path: str, params: Mapping[str, Value], trial: TrialNames, params_json: str) -> str:
    """Write a path of `metrics` for a trial; arguments as in `render`."""
    return Template.of(path).text(flat(params), _texts(trial, params_json))


def possible(sweep: Sweep, word: str) -> list[str]:
    """List each text that a word of a sweep's command may be; what is a trial's names no file."""
    template, params = Template.of(word), sweep.params
    own = [placeholder.name for placeholder in template.placeholders if placeholder.name in params]
    together = [[*own, name] for name in params] if template.spread else [own]
    nowhere = _texts(_NOWHERE, _NO_FOLDER)
    texts = {
        text
        for names in together
        for chosen in combinations(sweep, names)
        for text in template.words(chosen, nowhere)
    }
    return sorted(texts)


def _texts(trial: TrialNames, params_json: str) -> dict[str, str]:
    return {**dict(zip(TRIAL_NAMES, map(str, trial), strict=True)), PARAMS_JSON: params_json}


def _assigned(name: str, value: Value, *, flags: bool) -> str:
    if flags and isinstance(value, bool):
        return name if value else f"no-{name}"
    return f"{name}={shown(value)}"


def shown(value: Value) -> str:
    """Write a param's value as programs read it: numbers as Python does, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
