"""Imports the trainable and checks every config, in a process of its own.

The driver imports no trainable: torch would cost it seconds and memory, and what a user's
module does when imported is not its business.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import TrainableError
from orchestrator.job import import_trainable
from orchestrator.plan import PlannedTrial

_SHOWN = 10


class Preflight:
    """A check under way; it runs beside the driver until `wait`."""

    def __init__(
        self, trainable: str, trials: Sequence[PlannedTrial], data_dir: Path | None
    ) -> None:
        first: dict[str, PlannedTrial] = {}
        for trial in trials:
            first.setdefault(trial.config.config_id, trial)
        self._names = [_described(trial) for trial in first.values()]
        self._configs = json.dumps([trial.params for trial in first.values()])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.preflight", trainable, str(Path.cwd())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(data_dir),
        )

    def wait(self) -> None:
        """Wait for the verdict.

        Raises:
            TrainableError: the trainable cannot be imported, or refuses a config.
        """
        output, noise = self._process.communicate(self._configs)
        try:
            answer = json.loads(output.splitlines()[-1])
        except (IndexError, ValueError):
            last = (noise.strip().splitlines() or ["no message"])[-1]
            raise TrainableError(
                "importing or checking the trainable ended its process "
                f"(exit code {self._process.returncode}): {last}"
            ) from None
        if answer["import"]:
            raise TrainableError(answer["import"])
        if answer["refused"]:
            raise TrainableError(self._words(answer["refused"]))

    def _words(self, refused: dict[str, str]) -> str:
        """Tell each distinct complaint once, with the first config that it is about."""
        by_text: dict[str, list[str]] = {}
        for index, text in refused.items():
            by_text.setdefault(text, []).append(self._names[int(index)])
        lines = [
            f"{text} ({names[0]}{f' and {len(names) - 1:,} more' if names[1:] else ''})"
            for text, names in by_text.items()
        ]
        more = f"\nand {len(lines) - _SHOWN:,} more complaints" if len(lines) > _SHOWN else ""
        return "\n".join(lines[:_SHOWN]) + more


def _described(trial: PlannedTrial) -> str:
    params = {**trial.config.factors, **trial.config.search}
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _environment(data_dir: Path | None) -> dict[str, str]:
    environment = dict(os.environ)
    if data_dir is not None:
        environment["ORCH_DATA_DIR"] = str(data_dir.absolute())
    return environment


def main() -> None:
    """Import first, while the driver may still be busy; then read the configs as JSON."""
    answer: dict[str, Any] = {"import": None, "refused": {}}
    try:
        trainable = import_trainable(sys.argv[1], sys.argv[2])
    except TrainableError as error:
        answer["import"] = str(error)
    else:
        check = getattr(trainable, "check", None)
        if check is not None:
            answer["refused"] = dict(_refused(check, json.load(sys.stdin)))
    print(f"\n{json.dumps(answer)}")  # on a line of its own, whatever the module printed


def _refused(check: Any, configs: Iterable[dict[str, Any]]) -> Iterable[tuple[int, str]]:
    for index, params in enumerate(configs):
        try:
            check(params)
        except ValueError as error:
            yield index, str(error)
        except Exception as error:  # noqa: BLE001  (a mistake in the user's check)
            yield index, f"its check failed: {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
