"""Tells which modules a Python program imports, then does what the hidden sitecustomize does.

The folder of this file is first in PYTHONPATH, so that every Python that a trial starts runs it,
with whichever version and packages: it needs little, and nothing but the standard library.
"""

from __future__ import annotations

import os
import sys

_RECORD = os.environ.get("ORCH_IMPORTS", "")
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  (pathlib takes 20 ms)


class _Listener:
    """Lets the finders behind it find a module, and records its name and file."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        finders: list[object] = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find else None
            if spec is not None:
                _record(fullname, spec.origin or "")
                return spec
        return None


def _record(fullname: str, origin: str) -> None:
    if "." in fullname and ("site-packages" in origin or "dist-packages" in origin):
        return  # of what is installed, the top level says enough
    try:
        with open(_RECORD, "a", encoding="utf-8") as record:  # noqa: PTH123
            record.write(f"{fullname}\t{origin}\n")
    except OSError:
        pass  # the trial is over


if _RECORD:
    _record("", "\t".join([sys.version.split()[0], sys.prefix, *sys.path]))
    if sys.argv[0].endswith(".py"):  # the script, which nothing imports
        _record("__main__", os.path.abspath(sys.argv[0]))  # noqa: PTH100
    sys.meta_path.insert(0, _Listener())  # type: ignore[arg-type]
sys.path[:] = [entry for entry in sys.path if entry != _HERE]
_itself = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = _itself  # which Python, that imports it, expects there
