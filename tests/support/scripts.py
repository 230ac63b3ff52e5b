"""Import of scripts that belong to no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def imported(path: Path) -> ModuleType:
    """Import a script by its path."""
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
