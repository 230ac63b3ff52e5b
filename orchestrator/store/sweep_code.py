"""The code of a sweep: its trainable, and the files that its key `code` lists."""

from __future__ import annotations

from pathlib import Path

from orchestrator.code import Archive, Scope, code_of, require_target
from orchestrator.errors import InputError, OrchError, SpecError, TrainableError
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed
from orchestrator.spec.source import MAPPING


def scope_of(sweep: Sweep, root: Path | None) -> Scope:
    """Say where a sweep's code is looked for; its own files and the stores are no code.

    Args:
        sweep: the sweep.
        root: the folder of the stores; None in a bucket.
    """
    places = sweep.source.places.values() if sweep.source else ()
    own = {str(Path(place.file).absolute()) for place in places if place.file != MAPPING}
    if root is not None:
        inside = Path.cwd().is_relative_to(root)
        own.add(str(root / sweep.name if inside else root))
    return Scope(str(Path.cwd()), tuple(sorted(own)))


def require_code(sweep: Sweep, scope: Scope) -> None:
    """Refuse a trainable that can be seen not to run, and a glob that is of no use.

    Raises:
        SpecError: a glob leaves the working folder, or matches nothing.
        TrainableError: the trainable is not there, or its source shows that it cannot run.
    """
    try:
        require_target(sweep.trainable, scope)
    except TrainableError as error:
        raise placed(error, sweep.source, "trainable") from None
    for index, pattern in enumerate(sweep.code):
        if problem := _problem(pattern, scope):
            raise placed(problem, sweep.source, "code", index)


def read_code(sweep: Sweep, scope: Scope) -> Archive:
    """Read the files that a sweep's numbers come from.

    Raises:
        OrchError: as `require_code`.
    """
    require_code(sweep, scope)
    return code_of(sweep.module, scope, sweep.code)


def _problem(pattern: str, scope: Scope) -> OrchError | None:
    try:
        matched = scope.match(pattern)
    except InputError as error:
        return SpecError(str(error))
    if matched:
        return None
    return SpecError(
        f"`{pattern}` matches no file of the working folder; stores, hidden folders and the sweep "
        "file itself do not count"
    )
