"""Publishes the results of sweeps under docs/results, and writes the list of them.

Run ``python docs/publish.py results/NAME`` after sweeps/NAME.yaml has finished, or before with
``--unfinished``: `orch publish` writes docs/results/NAME, and the list is updated. The text about
the sweep, ``about.md``, is written by hand. Without a store, all that is published is derived again
from its own rows.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import click
import pandas as pd

from orchestrator import Results, open_store
from orchestrator.results.claims.judge import members_of
from orchestrator.results.claims.sequential import UNDECIDED, decide

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
LIMIT = 5_000_000
"""Largest size of a published sweep in bytes."""
OVERVIEW = re.compile(r"(<!-- overview.*? -->\n).*?(<!-- end -->)", re.DOTALL)
"""The overview within the list of published sweeps."""
PAUSE = 10.0
"""Seconds without a running trial that count as an interruption of the sweep."""
SLOTS = 2
"""Trials that the machine ran concurrently, on one core each."""


@click.command()
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--unfinished", is_flag=True, help="Publish sweeps that lack trials as well.")
def main(stores: tuple[Path, ...], unfinished: bool) -> None:
    """Publish some sweeps, or derive all again."""
    for store in stores or [RESULTS / name for name in published()]:
        publish(store, *["--unfinished"] * unfinished)
    index = RESULTS / "index.md"
    index.write_text(OVERVIEW.sub(rf"\g<1>{overview()}\g<2>", index.read_text()))


def published() -> list[str]:
    """List the published sweeps."""
    return sorted(path.parent.name for path in RESULTS.glob("*/sweep.yaml"))


def publish(store: Path, *options: str) -> None:
    """Publish a sweep by `orch publish`."""
    target = RESULTS.relative_to(ROOT) / store.name
    words = [
        f"sweeps/{store.name}.yaml",
        str(target),
        "--store",
        str(store.absolute().parent),
        *options,
    ]
    subprocess.run([sys.executable, "-m", "orchestrator", "publish", *words], check=True, cwd=ROOT)
    size = sum(path.stat().st_size for path in (ROOT / target).rglob("*"))
    if size > LIMIT:
        sys.exit(f"{target} has {size:,} bytes; the limit is {LIMIT:,}")


def overview() -> str:
    """Write one line per published sweep, and how many verdicts hold over all of them."""
    lines = [
        "| sweep | trials | of the full grid | reused | hours of a slot | trials per hour "
        "| slots busy | audited | claims supported | refuted | undecided |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(line, published())]) + f"\n\n{over_all()}\n"


def over_all() -> str:
    """Count the verdicts that hold if the claims of all sweeps are judged as one family."""
    verdicts = [claim["verdict"] for name in published() for claim in judged(name)]
    stores = map(opened, published())
    members = [member for store in stores for member in members_of(store, store.sweep.claims)]
    outcomes = decide([member.reduced.evidence for member in members]).outcomes[0]
    held = Counter(v for v, outcome in zip(verdicts, outcomes, strict=True) if outcome != UNDECIDED)
    counts = [
        f"{held[verdict]} of {verdicts.count(verdict)} {verdict}"
        for verdict in ("supported", "refuted")
    ]
    return (
        "In each file verdicts are corrected over its own claims. Corrected over all "
        f"{len(verdicts)} claims of these files, {' and '.join(counts)} verdicts hold."
    )


@cache
def opened(name: str) -> Results:
    """Open a published sweep, once."""
    return open_store(RESULTS / name)


def judged(name: str) -> list[dict[str, Any]]:
    """Read the verdicts on the claims of one sweep."""
    return list(json.loads((RESULTS / name / "claims.json").read_text()))


def line(name: str) -> str:
    """Write the row of one sweep in the overview."""
    results = opened(name)
    trials, wanted = results.trials, results.wanted
    verdicts = Counter(claim["verdict"] for claim in judged(name))
    asked = len(wanted.trials) - len(results.missing)  # others were, before the file was edited
    run_here = trials[trials["reused_from"].isna()]
    cells = [
        f"[{name}]({name}/about.md)",
        f"{asked} of {wanted.in_all}" if results.missing else str(len(trials)),
        f"{len(trials) / wanted.full_grid:.0%}",
        str(len(trials) - len(run_here)),
        *(pace(run_here) if len(run_here) else ["", "", ""]),
        audited(name),
        *(str(verdicts[verdict]) for verdict in ("supported", "refuted", "undecided")),
    ]
    return f"| {' | '.join(cells)} |"


def audited(name: str) -> str:
    """Say what the certificate of a published sweep says, if it has one."""
    file = RESULTS / name / "certificate.json"
    if not file.exists():
        return "no"
    certificate = json.loads(file.read_text())
    return ", ".join(f"{n} {what}" for what, n in certificate["outcomes"].items() if n)


def pace(trials: pd.DataFrame) -> list[str]:
    """Compute hours of trials, trials per hour and utilisation of the slots, without pauses."""
    ended = trials.sort_values("ended_at")
    starts = ended["ended_at"] - pd.to_timedelta(ended["seconds"], unit="s")
    idle = (starts[::-1].cummin()[::-1] - ended["ended_at"].cummax().shift()).dt.total_seconds()
    pauses = idle[idle > PAUSE]
    span = (ended["ended_at"].max() - starts.min()).total_seconds() - pauses.sum()
    busy = trials["seconds"].sum()
    return [
        f"{busy / 3600:.2f}",
        f"{3600 * len(trials) / span:.0f}",
        f"{busy / (SLOTS * span):.1%}",
    ]


if __name__ == "__main__":
    main()
