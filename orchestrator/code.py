"""The sources behind a trainable: their digest, and a copy to keep."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestrator.errors import TrainableError


@dataclass(frozen=True)
class Code:
    """Every Python source of the trainable's top-level package, by its path in it."""

    sources: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, in hexadecimal."""
        total = hashlib.sha256()
        for name, content in sorted(self.sources.items()):
            total.update(f"{name}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()

    def to_zip(self) -> bytes:
        """Pack the sources; the same sources give the same bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(self.sources.items()):
                archive.writestr(zipfile.ZipInfo(name), content)
        return buffer.getvalue()


def code_of(module: str) -> Code:
    """Read the sources of the package that holds a module, without importing it.

    Raises:
        TrainableError: there is no such module.
    """
    top = module.partition(".")[0]
    import_from(str(Path.cwd()))
    try:
        found = find_spec(top)
    except ValueError:  # `__main__` and its like, which are modules without a source
        found = None
    if found is None or not (found.submodule_search_locations or found.has_location):
        raise TrainableError(
            f"the module `{top}` cannot be found from {Path.cwd()}; "
            "run orch in the folder that holds it, or install it"
        )
    if found.submodule_search_locations:
        roots = [Path(location) for location in found.submodule_search_locations]
        return Code(
            {
                f"{top}/{path.relative_to(root).as_posix()}": path.read_bytes()
                for root in roots
                for path in sorted(root.rglob("*.py"))
            }
        )
    return Code({f"{top}.py": Path(str(found.origin)).read_bytes()})


def import_from(folder: str) -> None:
    """Let imports look into a folder first, as ``python -m`` does with the working folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
