"""The command `orch`, also as `python -m orchestrator`."""

import gc

from orchestrator.cli.main import main


def run() -> None:
    """Run the command line and exit with its code."""
    # Imported objects live until the exit. Searching them for garbage takes a tenth of the time of
    # a command that only reads.
    gc.freeze()
    main(prog_name="orch")


if __name__ == "__main__":
    run()
