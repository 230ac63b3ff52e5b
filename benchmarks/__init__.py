"""One script per claim about speed: `python -m benchmarks.NAME [--json FILE]`.

`make bench` runs them all and rewrites `docs/benchmarks.md`. A script without its data ends with
`left_out`, and the page says so.
"""

import sys
from typing import NoReturn

LEFT_OUT = 3
"""The exit code of a script that cannot run here; its last line of standard error says why."""


def left_out(why: str) -> NoReturn:
    """End the script without records; the message says what is missing."""
    print(why, file=sys.stderr)
    sys.exit(LEFT_OUT)
