"""Ids of cells, configs and trials."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from orchestrator.nesting import nested
from orchestrator.spec.values import Value, canonical

Runs: TypeAlias = str | Mapping[str, Any]
"""What runs a trial: ``module:generator``, or a command's words and its metrics by key."""


def identity(
    runs: Runs,
    params: Mapping[str, Value],
    *,
    smoke: bool = False,
    diverged_on: Collection[str] = (),
    text: Callable[[Value], str] = canonical,
) -> str:
    """Hash the params that define a cell, config or trial to 16 hexadecimal digits.

    Args:
        runs: what runs a trial.
        params: those of the cell or config; the trial's have its ``seed``. What is hashed is nested
            where names have dots.
        smoke: whether it is a smoke run's.
        diverged_on: metrics, besides the selection's, that end a trial when not finite.
        text: writes what is hashed; another one gives the ids of an earlier format.
    """
    content = [runs, nested(params), *(["smoke"] if smoke else [])]
    if diverged_on:
        content.append({"diverged_on": sorted(set(diverged_on))})
    return hashlib.sha256(text(content).encode()).hexdigest()[:16]
