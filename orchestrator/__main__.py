"""The command `orch`, also available as `python -m orchestrator`."""

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ended_as: list[int] = []
"""The exit code, once it is known."""


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun yet."""
    os.write(2, b"interrupted before anything began\n")
    os._exit(128 + number)


def _keep_exit_code() -> None:
    """End with the exit code that is known, without what Python does after this.

    Where a signal came while Python ran source text, as some imports do, Python would end this
    process by the signal, although it was handled. And a thread of Arrow's that still tidies up
    after a read would abort the process: https://github.com/apache/arrow/issues/39862.
    """
    for code in _ended_as:
        _exit(code)


def _exit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


# Before all that takes its time to import: so it is first in place, and last called.
atexit.register(_keep_exit_code)
if __name__ == "__main__" or os.path.basename(sys.argv[0]) == "orch":  # noqa: PTH119
    for each in _SIGNALS:
        signal.signal(each, _leave)

from orchestrator.cli.main import main  # noqa: E402
from orchestrator.errors import HeadDiedError  # noqa: E402


class _Output(io.TextIOWrapper):
    """A standard stream that takes any text; if its reader is gone, the process is, too.

    So do other programs end that are piped into `head`: without a word. If its disk is full, what
    goes to standard error is lost, and the process goes on; without its output it ends.
    """

    def write(self, text: str) -> int:
        with self._ending():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._ending():
            super().flush()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            os._exit(128 + signal.SIGPIPE)
        except OSError as error:
            if self.fileno() == 1:
                with contextlib.suppress(OSError):
                    os.write(2, f"error: standard output: {error.strerror}\n".encode())
                os._exit(2)


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
        code = int(end.code or 0)
        if code == HeadDiedError.exit_code:
            _exit(code)  # what Ray does at the exit would wait for its head
        _ended_as.append(code)
        raise


if __name__ == "__main__":
    run()
