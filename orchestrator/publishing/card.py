"""The texts that present a publication: a dataset card, and how to cite it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from orchestrator.columns import FINISHED, TABLES
from orchestrator.labels import counted, seed_ranges
from orchestrator.results import Results
from orchestrator.results.report import unfinished

CARD = "README.md"
CITATION = "CITATION.cff"
_SOFTWARE = "orch-sweeps"
_FILES = {
    "trials, epochs, probes": "Parquet tables: a row per trial, per epoch, per measurement",
    "tables.md": "the tables of the sweep",
    "claims.json": "the verdicts on its claims",
    "figures": "its figures",
    "report.html": "all of these on one page",
    "sweep.yaml": "the sweep file",
    "code": "the sources that the trials ran, by digest, and the versions of their packages",
    "looks.json": "what was declared before the first look at the claims",
    "cost.json": "CPU- and GPU-hours",
    "SHA256SUMS": "a checksum per file",
}
"""What each file of a publication is, if it is there."""


def card(results: Results, folder: Path) -> str:
    """Write the dataset card: front matter that `datasets` reads, and what is in the folder.

    Args:
        results: of the published store.
        folder: what is published so far.
    """
    name = results.sweep.name
    configs = [
        {"config_name": table, "data_files": _files(folder, table), "default": table == "trials"}
        for table in TABLES
    ]
    matter = _yaml({"pretty_name": name, "tags": [_SOFTWARE], "configs": configs})
    return f"---\n{matter}---\n\n" + "\n\n".join(_paragraphs(results, folder)) + "\n"


def _paragraphs(results: Results, folder: Path) -> Iterator[str]:
    sweep, trials = results.sweep, results.trials
    yield f"# {sweep.name}"
    if sweep.description:
        yield sweep.description
    if lacks := unfinished(results):
        yield f"**{lacks}**"
    finished = trials[trials["status"].isin(FINISHED)]
    yield (
        f"{counted(len(finished), 'trial')} of {counted(len(results.selections), 'cell')}, with "
        f"the seeds {seed_ranges(finished['seed'].unique())}, on "
        f"{_listed(finished['processor'])}; {results.cost} in all. "
        f"Written by {_SOFTWARE} {version(_SOFTWARE)}."
    )
    yield "| | |\n| --- | --- |\n" + "\n".join(
        f"| {_names(files)} | {what} |"
        for files, what in _FILES.items()
        if files == "SHA256SUMS" or (folder / files.split(",")[0]).exists()
    )
    yield ('```python\nimport pandas as pd\n\ntrials = pd.read_parquet("trials")\n```')
    commands = [
        "sha256sum --check SHA256SUMS",
        "orch table sweep.yaml     # computes the tables anew",
    ]
    if sweep.claims:
        commands.append("orch claims sweep.yaml    # and the verdicts")
    if (folder / "code").exists():
        commands.append("orch audit .              # runs random trials again, from their sources")
    yield "\n".join(["```sh", *commands, "```"])


def _files(folder: Path, table: str) -> list[str]:
    """List the files with rows: `datasets` cannot read one without."""
    paths = sorted(folder.joinpath(table).glob("*.parquet"))
    return [f"{table}/{path.name}" for path in paths if pq.read_metadata(path).num_rows]


def _names(files: str) -> str:
    return ", ".join(f"`{name}`" for name in files.split(", "))


def _listed(values: Any) -> str:
    known = sorted({str(value) for value in values.dropna()})
    return " and ".join(known) or "processors that it does not name"


def citation(results: Results, working: Path) -> str:
    """Write how to cite the publication, by the authors of the working folder's own CITATION.cff.

    Args:
        results: of the published store.
        working: the working folder.
    """
    name = results.sweep.name
    return _yaml(
        {
            "cff-version": "1.2.0",
            "message": "If you use these results, please cite them as below.",
            "type": "dataset",
            "title": f"Results of the sweep {name}",
            "authors": _cited(working) or [{"name": f"The authors of {name}"}],
            "date-released": f"{datetime.now(UTC):%Y-%m-%d}",
            "references": [
                {
                    "type": "software",
                    "title": _SOFTWARE,
                    "version": version(_SOFTWARE),
                    "authors": [{"name": f"The {_SOFTWARE} authors"}],
                }
            ],
        }
    )


def authors(folder: Path) -> list[str]:
    """Name the authors that a folder's CITATION.cff lists; none without one."""
    parts = ("given-names", "name-particle", "family-names", "name")
    named = (
        " ".join(str(each[part]) for part in parts if each.get(part)) for each in _cited(folder)
    )
    return [name for name in named if name]


def _cited(folder: Path) -> list[dict[str, Any]]:
    try:
        written = YAML(typ="safe", pure=True).load(folder / CITATION)
    except (OSError, YAMLError):
        return []
    found = written.get("authors") if isinstance(written, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _yaml(content: dict[str, Any]) -> str:
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(content, stream)
    return stream.getvalue()
