"""Processes that a trial forks, in which the trainable returns or raises as in the trial's own."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator


@contextlib.contextmanager
def leaving_forks() -> Iterator[None]:
    """End a process that is forked in the block where it leaves the block, as a script would end.

    What follows the block is the trial's own process's affair: the fork would end the trial, or run
    the rest of the sweep, a second time.
    """
    process, code = os.getpid(), 0
    try:
        yield
    except BaseException as error:
        if os.getpid() == process:
            raise
        code = _exit_code(error)
    if os.getpid() != process:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code & 0xFF)  # what the fork's parent has registered is not done here


def _exit_code(error: BaseException) -> int:
    """Write to standard error what Python does at its end, and return its exit code."""
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return 1
