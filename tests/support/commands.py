"""The `orch` command in this process, which spares the start of another and its imports."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import click.testing
import pytest

from orchestrator.cli.main import main


def orch(
    folder: Path,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    keys: str | None = None,
) -> click.testing.Result:
    """Run a command in a folder; what no user should see, a traceback, fails the test.

    Args:
        folder: where the command is typed.
        arguments: what is typed after `orch`.
        environment: all environment variables; None for those of this process.
        keys: what is typed when it asks.
    """
    with as_in_a_new_process(folder, environment):
        words = list(map(str, arguments))
        done = click.testing.CliRunner().invoke(main, words, input=keys, prog_name="orch")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@contextlib.contextmanager
def as_in_a_new_process(
    folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Stand in a folder whose modules are imported as they are now, and leave no trace."""
    before, modules = dict(os.environ), set(sys.modules)
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    handlers = {number: signal.getsignal(number) for number in handled}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", sys.path.copy())
        patch.setattr(sys, "dont_write_bytecode", True)
        try:
            if environment is not None:
                _replace_environment(environment)
            importlib.invalidate_caches()
            yield
        finally:
            _replace_environment(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            forget_modules(folder, modules)


def _replace_environment(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def forget_modules(folder: Path, but: Collection[str] = ()) -> None:
    """Have what was imported from a folder imported anew.

    Args:
        folder: the folder.
        but: modules that stay, as the project's own do where the folder is the project's.
    """
    for name, module in list(sys.modules.items()):
        if name not in but and str(getattr(module, "__file__", None)).startswith(
            f"{folder}{os.sep}"
        ):
            del sys.modules[name]
