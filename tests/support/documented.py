"""The JSON Schemas of the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent.parent / "docs/json.md"
BLOCK = re.compile(r'```json title="(\w+).schema.json"\n(.*?)```', re.DOTALL)


def schema(name: str) -> Any:
    """Read a schema, and let it allow no key that it does not list."""
    return _strict(json.loads(dict(BLOCK.findall(PAGE.read_text()))[name]))


def _strict(part: Any) -> Any:
    if isinstance(part, list):
        return [_strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    inner = {name: _strict(each) for name, each in part.items()}
    return {"additionalProperties": False, **inner} if "object" in part.get("type", "") else inner
