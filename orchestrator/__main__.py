"""The command `orch`, which `python -m orchestrator` is as well."""

import gc

from orchestrator.cli.main import main


def run() -> None:
    """Run the command line to its end, with its exit code."""
    # All that is imported stays. To look through it for garbage, at the exit too, takes a tenth
    # of a command that only reads.
    gc.freeze()
    main(prog_name="orch")


if __name__ == "__main__":
    run()
