"""Fixtures that several test files use."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import Toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)
