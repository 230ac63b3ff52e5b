"""The command `orch`, also available as `python -m orchestrator`."""

import atexit
import gc
import io
import os
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ended_as: list[object] = []
"""The exit code, once it is known."""


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun yet."""
    os.write(2, b"interrupted before anything began\n")
    os._exit(128 + number)


def _keep_exit_code() -> None:
    """Keep the exit code of a signal.

    Where it came while Python ran source text, as some imports do, Python would end this process
    by the signal, although it was handled.
    """
    for code in _ended_as:
        if code in {128 + number for number in _SIGNALS}:
            _exit(code)


def _exit(code: object) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(code)))


# Before all that takes its time to import: so it is first in place, and last called.
atexit.register(_keep_exit_code)
if __name__ == "__main__" or os.path.basename(sys.argv[0]) == "orch":  # noqa: PTH119
    for each in _SIGNALS:
        signal.signal(each, _leave)

from orchestrator.cli.main import main  # noqa: E402
from orchestrator.errors import HeadDiedError  # noqa: E402


class _Output(io.TextIOWrapper):
    """A standard stream that takes any text; if its reader is gone, the process is, too.

    So do other programs end that are piped into `head`: without a word.
    """

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            os._exit(128 + signal.SIGPIPE)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            os._exit(128 + signal.SIGPIPE)


def _replace(name: str) -> None:
    """Put such a stream in the place of a standard one."""
    stream = getattr(sys, name)
    if isinstance(stream, io.TextIOWrapper):
        own = _Output(
            stream.detach(),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
        )
        setattr(sys, name, own)
        setattr(sys, f"__{name}__", own)


def run() -> None:
    """Run the command line to its end, with its exit code."""
    # What is imported stays. Looking through it for garbage, also at the exit, takes a tenth of
    # a command that only reads.
    gc.freeze()
    _replace("stdout")
    _replace("stderr")
    try:
        main(prog_name="orch")
    except SystemExit as end:
        if end.code == HeadDiedError.exit_code:
            _exit(end.code)  # what Ray does at the exit would wait for its head
        _ended_as.append(end.code)
        raise


if __name__ == "__main__":
    run()
