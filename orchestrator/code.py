"""The code of a trainable: found, digested and copied, or imported."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from orchestrator.errors import TrainableError, unknown

Trainable = Callable[..., Iterator[Mapping[str, float]]]


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
    found = None if top == "__main__" else find_spec(top)  # which here would be orch itself
    if found is None or not (found.submodule_search_locations or found.has_location):
        raise TrainableError(
            f"the module `{top}` cannot be found from {Path.cwd()}; "
            "run orch in the folder that holds it, or install it"
        )
    if found.submodule_search_locations:
        return _package(top, [Path(location) for location in found.submodule_search_locations])
    return _module(Path(str(found.origin)))


def digests(folder: Path) -> dict[str, str]:
    """Digest each package and each module that lies in a folder, by its name."""
    packages = {
        path.name: _package(path.name, [path])
        for path in folder.iterdir()
        if (path / "__init__.py").is_file()
    }
    modules = {path.stem: _module(path) for path in folder.glob("[!.]*.py")}
    return {name: code.digest for name, code in sorted({**modules, **packages}.items())}


def _package(name: str, roots: Iterable[Path]) -> Code:
    return Code(
        {
            f"{name}/{path.relative_to(root).as_posix()}": path.read_bytes()
            for root in roots
            for path in sorted(root.rglob("*.py"))
            if path.is_file() and not path.name.startswith(".")  # an editor's, not ours
        }
    )


def _module(path: Path) -> Code:
    return Code({path.name: path.read_bytes()})


def import_from(folder: str) -> None:
    """Let imports look into a folder first, as ``python -m`` does with the working folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def import_trainable(trainable: str, folder: str) -> Trainable:
    """Import ``module:generator`` as from a working folder.

    Raises:
        TrainableError: the module cannot be imported, or has no such function.
    """
    import_from(folder)
    module_name, _, name = trainable.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever a user's module raises when it is imported
        raise TrainableError(
            f"{module_name} cannot be imported from {folder}: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise TrainableError(unknown(f"function of {module_name}", name, sorted(known)))
    return found  # type: ignore[no-any-return]
