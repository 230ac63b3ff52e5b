"""The command `orch`, also available as `python -m orchestrator`."""

import atexit
import gc
import os
import sys

from orchestrator.cli.main import INTERRUPTED, main


def run() -> None:
    """Run the command line to its end, with its exit code."""
    # What is imported stays. Looking through it for garbage, also at the exit, takes a tenth of
    # a command that only reads.
    gc.freeze()
    interrupted: list[bool] = []
    atexit.register(_exit_as_interrupted, interrupted)  # first registered, last called
    try:
        main(prog_name="orch")
    except SystemExit as end:
        interrupted += [end.code == INTERRUPTED]
        raise


def _exit_as_interrupted(interrupted: list[bool]) -> None:
    """Keep the exit code of Ctrl-C.

    Where it came while Python ran source text, as some imports do, Python would end this process
    by the signal, although the interruption was handled.
    """
    if any(interrupted):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    run()
