"""Trials that diverged, or ran for other numbers of epochs, are marked wherever they show."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from rich.console import Console
from support.synthetic import make_sweep, make_trials, results_of

from orchestrator.results import Results
from orchestrator.results.claims.findings import show_findings
from orchestrator.results.marks import DIVERGED, UNEVEN, End, marks_of
from orchestrator.results.tables import show
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep

FIGURE = {"name": "shown", "kind": "bars", "values": ("test_accuracy",), "x": "order"}
CLAIM = {
    "name": "helps",
    "compare": {"order": ("swap", "convention")},
    "metric": "test_accuracy",
    "expect": "greater",
}
SWEEP = make_sweep(search={}, claims=(CLAIM,), figures=(FIGURE,))


def outcome(trial: PlannedTrial) -> dict[str, Any]:
    """In digits with swap a trial diverges; in letters with swap one runs two epochs of three."""
    dataset, order = trial.config.factors.values()
    ended = {"test_accuracy": 0.5 + trial.seed / 64, "epochs_run": 3}
    if (dataset, order, trial.seed) == ("digits", "swap", 1):
        return ended | {"status": "diverged", "epochs_run": 1}
    if (dataset, order, trial.seed) == ("letters", "swap", 2):
        return ended | {"epochs_run": 2}
    return ended


def results(sweep: Sweep = SWEEP) -> Results:
    return results_of(sweep, make_trials(sweep, outcome))


def printed(format_: Any) -> str:
    out = io.StringIO()
    show(results(), Console(file=out, width=100), format_)
    return out.getvalue()


NOTES = (
    "digits, swap: 1 of its 3 trials diverged, at epoch 1.",
    "letters, swap: its 3 trials ran 2 and 3 epochs.",
)


@pytest.mark.parametrize(
    ("format_", "diverged", "uneven"),
    [
        ("text", "(3)†", "(3)‡"),
        ("markdown", "(3)†", "(3)‡"),
        ("html", "(3)†", "(3)‡"),
        ("latex", r"(3)\dag{}", r"(3)\ddag{}"),
    ],
)
def test_a_table_marks_the_cell_and_its_note_says_why(
    format_: str, diverged: str, uneven: str
) -> None:
    text = printed(format_)
    assert text.count(diverged) == 1
    assert text.count(uneven) == 1
    for note in NOTES:
        assert note in text


def test_csv_and_json_say_how_the_trials_ended() -> None:
    from_csv = list(csv.DictReader(io.StringIO(printed("csv"))))
    for rows in (from_csv, json.loads(printed("json"))):
        assert [(row["status"], row["epochs_run"]) for row in rows] == [
            ("completed", "[3, 3, 3]"),
            ("diverged", "[3, 1, 3]"),
            ("completed", "[3, 3, 3]"),
            ("completed", "[3, 3, 2]"),
        ]


@pytest.mark.parametrize("format_", ["text", "markdown", "json"])
def test_claims_count_the_cells_that_are_marked(format_: Any) -> None:
    out = io.StringIO()
    show_findings(results().claims(), Console(file=out, width=400), format_)
    assert "1 of 4 cells with a trial that diverged" in out.getvalue()
    assert "1 of 4 cells with trials of different numbers of epochs" in out.getvalue()


def test_figures_count_the_cells_that_are_marked() -> None:
    notes = results().figure("shown").notes
    assert "1 of 4 cells with a trial that diverged." in notes
    assert "1 of 4 cells with trials of different numbers of epochs." in notes


def test_published_figures_stand_beside_marked_ones() -> None:
    published = {
        "source": "a paper",
        "columns": ("dataset", "order", "test_accuracy"),
        "rows": (("digits", "swap", 51), ("digits", "convention", 51)),
    }
    table = {"name": "main", "published": published}
    (pivot,) = results(make_sweep(search={}, tables=(table,))).tables()
    (listing,) = pivot.listings
    assert [row[2] for row in listing.rows] == ["51.6†", "51.6"]


def test_a_sweep_whose_trials_all_completed_alike_has_no_marks() -> None:
    plain = results_of(SWEEP, make_trials(SWEEP, lambda trial: trial.seed / 64))
    (pivot,) = plain.tables()
    assert not {DIVERGED, UNEVEN} & set(str(pivot))
    assert not any("diverged" in note for note in pivot.notes)


def test_a_mark_belongs_to_the_selected_config_alone() -> None:
    def at_one_rate(trial: PlannedTrial) -> dict[str, Any]:
        slow = trial.config.search["lr"] == 0.01
        ended = {"test_accuracy": 0.25 if slow else 0.5, "epochs_run": 1 if slow else 3}
        return ended | {"status": "diverged" if slow else "completed"}

    sweep = make_sweep()
    (pivot,) = results_of(sweep, make_trials(sweep, at_one_rate)).tables()
    assert DIVERGED not in str(pivot)


def test_a_trial_whose_selection_metric_is_not_finite_still_puts_its_config_out() -> None:
    def lost(trial: PlannedTrial) -> dict[str, Any]:
        value = math.nan if trial.seed == 1 else 0.5
        status = "diverged" if trial.seed == 1 else "completed"
        return {"test_accuracy": value, "status": status}

    (pivot,) = results_of(SWEEP, make_trials(SWEEP, lost)).tables()
    assert {entry.mean for row in pivot.entries for entry in row if entry} == {"—"}
    assert DIVERGED not in str(pivot)


@pytest.mark.parametrize(
    ("ends", "remarks"),
    [
        ([("completed", 3), ("completed", 3)], []),
        ([("diverged", 1), ("diverged", 1)], ["2 of its 2 trials diverged, at epoch 1"]),
        (
            [("diverged", 2), ("completed", 3), ("diverged", 1)],
            ["2 of its 3 trials diverged, at epochs 1 and 2"],
        ),
        (
            [("diverged", 1), ("completed", 3), ("completed", 4)],
            ["1 of its 3 trials diverged, at epoch 1", "its 2 trials ran 3 and 4 epochs"],
        ),
        ([], []),
    ],
)
def test_remarks_say_what_a_reader_has_to_know(
    ends: list[tuple[str, int]], remarks: list[str]
) -> None:
    by_id = {str(index): End(*end) for index, end in enumerate(ends)}
    assert [text for _, text in marks_of(by_id, by_id).remarks()] == remarks
