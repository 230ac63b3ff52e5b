"""Writes a publication: the rows of a store, what follows from them, and what they come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from orchestrator.columns import TABLES
from orchestrator.errors import InputError, StoreError
from orchestrator.publishing import card, checksums
from orchestrator.publishing.private import Private
from orchestrator.results import Results, tables
from orchestrator.results.claims import findings, first_look
from orchestrator.results.report import unfinished
from orchestrator.store import Store, cost
from orchestrator.store.archives import archive_file, environment_file
from orchestrator.store.files import Files
from orchestrator.store.merge import copy_rows
from orchestrator.store.names import rows_file
from orchestrator.store.schema import Layout, to_parquet
from orchestrator.store.settle import write_schema
from orchestrator.store.stored_sweep import stored_sweep
from orchestrator.temporary import replaced

CERTIFICATE = "certificate.json"
"""What an audit writes into the publication."""


def publish(
    results: Results, target: Path, file: Path | None, *, may_lack: bool, private: Private
) -> list[str]:
    """Write a publication of a store, or replace an earlier one of the same sweep.

    Files that others have put into an earlier publication stay.

    Args:
        results: of the sweep.
        target: the folder to write.
        file: the sweep file, as the report names it; None for the store's own.
        may_lack: whether the sweep may be unfinished.
        private: what is not shown.

    Returns:
        What to look at before the folder is given away, in sentences.

    Raises:
        InputError: the sweep is unfinished, the target is something else, or nothing has ended; or
            a file of others has a name that the publication needs.
        ShowError: a table, claim or figure needs what the store does not have.
        StoreError: the store cannot be read, or the target not be written.
    """
    if results.snapshot.layout is None or not results.snapshot.finished:
        raise InputError(f"no trial of {results.sweep.name} has finished: there is nothing to show")
    lacks = unfinished(results)
    if lacks and not may_lack:
        raise InputError(f"{lacks} Finish it, or publish it as it is with --unfinished")
    others = _others(target, results.sweep.name)
    try:
        with replaced(target) as new:
            _copy(results, Store(str(new)), private)
            _derive(Results(results.sweep, Store(str(new))), new, target.parent, file, private)
            checksums.write(new)
            found = list(private.folders_in(new))
            for name in others:
                if (new / name).exists():
                    raise InputError(
                        f"{target / name} is a file of yours in the place of one of the "
                        "publication; move it away, or give it another name"
                    )
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(target / name, new / name)
            is_certified = _is_certified(new)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error}") from None
    remarks = [f"{name} names {folder}" for name, folder in found]
    if not is_certified:
        remarks.append(f"{CERTIFICATE} is of other rows or sources: have them audited anew")
    return remarks


def _is_certified(new: Path) -> bool:
    """Tell whether the certificate of an audit, if there is one, is of these rows and sources."""
    try:
        certificate = json.loads((new / CERTIFICATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    known = certificate.get("publication") if isinstance(certificate, dict) else None
    return bool(known == checksums.of_sources(checksums.read(new)))


def _others(target: Path, name: str) -> list[str]:
    """List the files of an earlier publication that it does not list itself.

    Raises:
        InputError: the target holds something else.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return []
    try:
        own = checksums.read(target).keys() | {checksums.FILE}
        is_same = stored_sweep(Store(str(target))).name == name
    except (InputError, StoreError):
        is_same = False
    if not is_same:
        raise InputError(f"{target} exists, and is no publication of {name}; name another folder")
    files = (path for path in target.rglob("*") if path.is_file())
    return sorted({str(path.relative_to(target)) for path in files} - own)


def _copy(results: Results, new: Store, private: Private) -> None:
    """Copy the rows of trials that have ended, and the files that belong to them."""
    snapshot, store = results.snapshot, results.store
    stored = snapshot.layout
    layout = Layout.of(results.sweep).widened(stored) if stored else Layout.of(results.sweep)
    failed = frozenset(snapshot.outcomes) - snapshot.finished
    for table in reversed(TABLES):
        hide = private.hidden_in if table == "trials" else _as_it_is
        sources = list(snapshot.index.assigned(table, snapshot.finished))
        copy_rows(new, snapshot.index, table, layout, sources, change=hide)
        schema = layout.schema(table)
        for part, trial_ids in snapshot.index.assigned(table, failed):
            rows = [schema.empty_table(), *snapshot.index.pieces(part, trial_ids, schema)]
            (trial_id,) = trial_ids
            content = to_parquet(hide(pa.concat_tables(rows)))
            new.files.write(rows_file(table, trial_id), content)
    write_schema(new, layout)
    if results.sweep.source is not None:
        new.files.write("sweep.yaml", results.sweep.source.text.encode())
    ends = snapshot.outcomes.values()
    environments = {end.environment_digest for end in ends if end.environment_digest}
    for name in (
        *(cost.FILE, first_look.FILE),
        *map(archive_file, sorted({end.code_digest for end in ends})),
        *map(environment_file, sorted(environments)),
    ):
        content = store.files.read(name)
        if content is not None:
            new.files.make_folder(str(Path(name).parent))
            new.files.write(name, content)


def _as_it_is(rows: pa.Table) -> pa.Table:
    return rows


def _derive(
    published: Results, new: Path, parent: Path, file: Path | None, private: Private
) -> None:
    """Write what follows from the published rows."""
    with (new / "tables.md").open("w", encoding="utf-8") as stream:
        tables.show(published, Console(file=stream), "markdown")
    if published.sweep.claims:
        with (new / "claims.json").open("w", encoding="utf-8") as stream:
            findings.show_findings(published.claims(), Console(file=stream), "json")
    for name in published.figures:
        for path in published.figure(name).save(new / "figures"):
            if path.suffix == ".png":
                path.unlink()  # the SVG shows the same at a tenth of the size
    # The page names the folder of the stores, which is not yet where it will be.
    page = published.report(file).replace(str(Files(str(new.parent))), str(Files(str(parent))))
    (new / "report.html").write_text(private.hidden(page), encoding="utf-8")
    (new / card.CARD).write_text(card.card(published, new), encoding="utf-8")
    (new / card.CITATION).write_text(card.citation(published, Path.cwd()), encoding="utf-8")
