"""Ids of cells, configs and trials."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from orchestrator.spec.values import Value, canonical


def identity(trainable: str, params: Mapping[str, Value], *, smoke: bool = False) -> str:
    """Hash the params that define a cell, config or trial to 16 hexadecimal digits."""
    text = canonical([trainable, dict(params), *(["smoke"] if smoke else [])])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
