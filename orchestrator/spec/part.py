"""What all parts of a sweep file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A mapping of a sweep file: its keys are known, and it never changes."""

    # Docstrings below fields are the descriptions of the keys in docs/sweep-file.md.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
