"""The code of a trainable: read, hashed and packed, or imported."""

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
    """The Python sources of a trainable's top-level package, by path from its parent folder."""

    sources: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents, in hexadecimal."""
        digest = hashlib.sha256()
        for name, content in sorted(self.sources.items()):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def to_zip(self) -> bytes:
        """Pack the sources; the same sources give the same bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(self.sources.items()):
                archive.writestr(zipfile.ZipInfo(name), content)
        return buffer.getvalue()


def code_of(module: str) -> Code:
    """Read the sources of a module's top-level package, without importing it.

    Raises:
        TrainableError: the package cannot be found.
    """
    top = module.partition(".")[0]
    import_from(str(Path.cwd()))
    spec = None if top == "__main__" else find_spec(top)  # `__main__` here is orch itself
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        raise TrainableError(
            f"the module `{top}` cannot be found from {Path.cwd()}; "
            "run orch in the folder that holds it, or install it"
        )
    if spec.submodule_search_locations:
        return _package(top, [Path(location) for location in spec.submodule_search_locations])
    return _module(Path(str(spec.origin)))


def digests(folder: Path) -> dict[str, str]:
    """Compute the digest of each package and module in a folder, by name."""
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
            if path.is_file() and not path.name.startswith(".")  # editors' files begin with a dot
        }
    )


def _module(path: Path) -> Code:
    return Code({path.name: path.read_bytes()})


def import_from(folder: str) -> None:
    """Put a folder first in the import path, as ``python -m`` does with the working folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def import_trainable(trainable: str, folder: str) -> Trainable:
    """Import ``module:generator`` as if a folder were the working folder.

    Raises:
        TrainableError: the module cannot be imported, or has no such function.
    """
    import_from(folder)
    module_name, _, name = trainable.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise TrainableError(
            f"{module_name} cannot be imported from {folder}: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise TrainableError(unknown(f"function of {module_name}", name, sorted(public)))
    return function  # type: ignore[no-any-return]
