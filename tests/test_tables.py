"""Tables of synthetic stores, whose every printed number is known."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from scipy import special
from support.synthetic import Outcome, make_probes, make_sweep, make_trials, results_of

from orchestrator.errors import ShowError
from orchestrator.results.tables import (
    Listing,
    Pivot,
    markdown,
    pivot,
    print_listing,
    print_text,
    show,
    tidy,
)
from orchestrator.spec.checks import check
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep
from orchestrator.spec.shown import Table

MEANS = {"convention": 0.5, "swap": 0.625}


def accuracy(trial: PlannedTrial) -> float:
    """Seeds at -1/64, 0 and 1/64 of the order's mean at the rate 0.01; less at 0.1."""
    mean = MEANS[trial.config.factors["order"]] - trial.config.search["lr"] + 0.01
    return mean + (trial.seed - 1) / 64


SWEEP = make_sweep()
TRIALS = make_trials(SWEEP, accuracy)


def printed(
    sweep: Sweep,
    trials: pd.DataFrame,
    probes: pd.DataFrame | None = None,
    format_: Any = "text",
    width: int = 80,
) -> str:
    out = io.StringIO()
    show(results_of(sweep, trials, probes), Console(file=out, width=width), format_)
    return out.getvalue()


def tidy_of(sweep: Sweep, trials: pd.DataFrame, probes: pd.DataFrame | None = None) -> pd.DataFrame:
    return tidy(results_of(sweep, trials, probes), sweep.tables[:1])


def pivot_of(sweep: Sweep, trials: pd.DataFrame, probes: pd.DataFrame | None = None) -> Pivot:
    return pivot(results_of(sweep, trials, probes), sweep.tables[0])


def table(**keys: Any) -> tuple[dict[str, Any]]:
    return ({"name": "main", **keys},)


def entries(shown: Pivot) -> list[list[str]]:
    return [[str(entry) for entry in row] for row in shown.entries]


def test_a_sweep_without_search_says_that_nothing_was_selected():
    def notes(**select: Any) -> str:
        sweep = make_sweep(search={}, select={"metric": "test_accuracy", **select})
        values = {"test_accuracy": 0.5, "best_test_accuracy": 0.5}
        trials = make_trials(sweep, lambda _: values)
        return "\n".join(pivot_of(sweep, trials).notes)

    assert "Each cell has one config, so that nothing was selected." in notes()
    assert "optimistic" not in notes()
    assert "at its best epoch. That is test data" in notes(at="best")


def test_tidy_has_one_exact_row_per_cell_and_value():
    frame = tidy_of(SWEEP, TRIALS)
    assert list(frame.columns) == [
        "dataset", "order", "metric", "mean", "std", "n", "ci_low", "ci_high",
        "complete", "status", "epochs_run", "selected_on", "lr", "config_id",
    ]  # fmt: skip
    assert frame["dataset"].tolist() == ["digits", "digits", "letters", "letters"]
    assert frame["order"].tolist() == ["convention", "swap"] * 2
    assert frame["mean"].tolist() == [0.5, 0.625] * 2
    assert frame["std"].tolist() == [1 / 64] * 4
    assert frame["n"].tolist() == [3] * 4
    half = 4.302652729911275 / 64 / math.sqrt(3)
    low, high = (
        [special.expit(special.logit(m) + sign * half / (m * (1 - m))) for m in MEANS.values()]
        for sign in (-1, 1)
    )
    assert frame["ci_low"].tolist() == pytest.approx(low * 2)
    assert frame["ci_high"].tolist() == pytest.approx(high * 2)
    assert frame["complete"].all()
    assert frame["lr"].tolist() == [0.01] * 4
    chosen = TRIALS[TRIALS["lr"] == 0.01]["config_id"].unique()
    assert frame["config_id"].tolist() == chosen.tolist()


@pytest.mark.parametrize("metric", ["test_loss", "probe:final_accuracy"])
def test_only_intervals_of_accuracies_are_on_the_logit_scale(metric: str):
    """A metric of another name, and a probe of any, may be anything."""
    sweep = make_sweep(tables=table(values=(metric,)))
    trials = make_trials(sweep, lambda t: {"test_accuracy": 0.5, "test_loss": t.seed / 2})
    probes = make_probes(sweep, "final_accuracy", lambda t: [t.seed / 2])
    half = 4.302652729911275 / 2 / math.sqrt(3)
    frame = tidy_of(sweep, trials, probes)
    assert frame["ci_low"].tolist() == pytest.approx([0.5 - half] * 4)
    assert frame["ci_high"].tolist() == pytest.approx([0.5 + half] * 4)


def test_csv_and_json_hold_every_bit_and_nothing_else():
    def third(trial: PlannedTrial) -> float:
        return accuracy(trial) / 3

    sweep = make_sweep(tables=table(rows=("order",)))
    trials = make_trials(sweep, third)
    frame = tidy_of(sweep, trials)
    read = list(csv.DictReader(io.StringIO(printed(sweep, trials, format_="csv"))))
    assert list(read[0]) == list(frame.columns)
    for name in ("mean", "std", "ci_low", "ci_high"):
        assert [float(row[name]) for row in read] == frame[name].tolist()
    rows = json.loads(printed(sweep, trials, format_="json"))
    assert rows == frame.to_dict("records")


def test_two_tables_of_the_same_values_give_each_row_once():
    tables = ({"name": "a", "rows": ("order",)}, {"name": "b", "columns": ("order",)})
    assert len(printed(make_sweep(tables=tables), TRIALS, format_="csv").splitlines()) == 5


def test_a_store_without_trials_gives_empty_cells():
    nothing = make_trials(SWEEP, lambda _: None)
    for row in json.loads(printed(SWEEP, nothing, format_="json")):
        assert (row["n"], row["mean"], row["lr"], row["config_id"]) == (0, None, None, None)
        assert row["complete"] is False
    assert entries(pivot_of(SWEEP, nothing)) == [["—*", "—*"]] * 2
    assert "4 of 4 cells incomplete: 24 trials missing, 0 failed." in printed(SWEEP, nothing)


def test_a_store_whose_every_trial_failed_gives_empty_cells():
    failed = make_trials(SWEEP, lambda _: {"status": "failed"})
    assert entries(pivot_of(SWEEP, failed)) == [["—*", "—*"]] * 2
    assert "4 of 4 cells incomplete: 0 trials missing, 24 failed." in printed(SWEEP, failed)


def test_search_values_keep_their_types_beside_a_null():
    sweep = make_sweep(search={"lr": (0.01,), "clip": (None, 5)})
    trials = make_trials(sweep, lambda trial: 0.5 + (trial.config.search["clip"] is not None) / 4)
    nulls = make_trials(sweep, lambda trial: 0.5 - (trial.config.search["clip"] is not None) / 4)
    assert [row["clip"] for row in json.loads(printed(sweep, trials, format_="json"))] == [5] * 4
    assert [row["clip"] for row in json.loads(printed(sweep, nulls, format_="json"))] == [None] * 4


def test_text_shows_percent_deviation_and_n():
    lines = [line.strip() for line in printed(SWEEP, TRIALS).splitlines()]
    assert lines[0] == "main: test_accuracy (%)"
    assert lines[2] == "dataset       convention             swap"
    assert lines[4] == "digits    50.0 ± 1.6 (3)   62.5 ± 1.6 (3)"


def test_one_seed_has_no_deviation():
    sweep = SWEEP.with_seeds((1,))
    assert entries(pivot_of(sweep, TRIALS)) == [["50.00 (1)", "62.50 (1)"]] * 2
    assert tidy_of(sweep, TRIALS)["std"].isna().all()


def test_what_is_not_an_accuracy_is_not_in_percent():
    sweep = make_sweep(tables=table(rows=("dataset",), columns=("order",), values=("test_loss",)))
    trials = make_trials(sweep, lambda t: {"test_accuracy": accuracy(t), "test_loss": 0.25})
    assert entries(pivot_of(sweep, trials)) == [["0.2500 ± 0.0000 (3)"] * 2] * 2


def test_several_values_label_the_columns():
    values = ("test_accuracy", "test_loss")
    sweep = make_sweep(tables=table(rows=("dataset",), columns=("order",), values=values))
    trials = make_trials(sweep, lambda t: {"test_accuracy": accuracy(t), "test_loss": 0.25})
    assert pivot_of(sweep, trials).columns == (
        ("test_accuracy (%)", "convention"),
        ("test_accuracy (%)", "swap"),
        ("test_loss", "convention"),
        ("test_loss", "swap"),
    )


def test_factors_that_a_table_leaves_out_label_its_rows():
    shown = pivot_of(make_sweep(tables=table(columns=("order",))), TRIALS)
    assert shown.corner == ("dataset",)
    assert shown.rows == (("digits",), ("letters",))


def test_a_factor_of_one_value_that_a_table_leaves_out_is_noted():
    factors = {"depth": (16,), "order": ("convention", "swap")}
    sweep = make_sweep(factors=factors, tables=table(rows=("order",)))
    shown = pivot_of(sweep, make_trials(sweep, accuracy))
    assert shown.corner == ("order",)
    assert "All cells: depth 16." in shown.notes


def test_excluded_cells_are_blank_and_the_order_is_that_of_the_file():
    sweep = make_sweep(exclude=({"dataset": "digits", "order": "convention"},))
    shown = pivot_of(sweep, make_trials(sweep, accuracy))
    assert shown.columns == (("convention",), ("swap",))
    assert shown.entries[0][0] is None
    assert [str(entry) for entry in shown.entries[1]] == ["50.0 ± 1.6 (3)", "62.5 ± 1.6 (3)"]
    assert "| digits |  | 62.5" in markdown(shown)


def test_incomplete_cells_are_marked_and_counted():
    def outcome(trial: PlannedTrial) -> Outcome:
        if trial.config.factors == {"dataset": "digits", "order": "swap"} and trial.seed == 2:
            return None
        if trial.config.factors["dataset"] == "letters" and trial.config.search["lr"] == 0.1:
            return {"status": "failed", "test_accuracy": None}
        return accuracy(trial)

    shown = pivot_of(SWEEP, make_trials(SWEEP, outcome))
    assert entries(shown) == [
        ["50.0 ± 1.6 (3)", "61.7 ± 1.1 (2)*"],
        ["50.0 ± 1.6 (3)*", "62.5 ± 1.6 (3)*"],
    ]
    assert "* 3 of 4 cells incomplete: 2 trials missing, 6 failed." in shown.notes


def test_cells_whose_every_config_diverged_are_counted():
    def outcome(trial: PlannedTrial) -> Outcome:
        lost = trial.config.factors["order"] == "swap"
        return {"status": "diverged", "test_accuracy": math.nan} if lost else accuracy(trial)

    shown = pivot_of(SWEEP, make_trials(SWEEP, outcome))
    assert entries(shown) == [["50.0 ± 1.6 (3)", "—"]] * 2
    assert "— in 2 of 4 cells, where every config diverged." in shown.notes


def test_a_value_that_is_not_finite_in_one_seed_shows_as_such():
    sweep = make_sweep(tables=table(rows=("dataset",), columns=("order",), values=("test_loss",)))

    def outcome(trial: PlannedTrial) -> Outcome:
        return {"test_accuracy": accuracy(trial), "test_loss": math.nan if trial.seed else 0.5}

    assert entries(pivot_of(sweep, make_trials(sweep, outcome))) == [["nan (3)", "nan (3)"]] * 2


def test_the_selection_is_said_with_its_optimism():
    said = "Per cell, the config with the largest mean test_accuracy at its last epoch."
    assert f"{said} That is test data" in " ".join(pivot_of(SWEEP, TRIALS).notes)
    honest = make_sweep(select={"metric": "val_loss", "mode": "min", "at": "best"})
    trials = make_trials(honest, lambda _: {"val_loss": 1.0, "best_val_loss": 0.5})
    notes = " ".join(pivot_of(honest, trials).notes)
    assert "the config with the smallest mean val_loss at its best epoch." in notes
    assert "test data" not in notes


def test_a_value_selected_at_its_best_epoch_shows_that_epoch():
    sweep = make_sweep(select={"metric": "val_loss", "mode": "min", "at": "best"})
    trials = make_trials(sweep, lambda _: {"val_loss": 1.0, "best_val_loss": 0.5})
    assert tidy_of(sweep, trials)["mean"].tolist() == [0.5] * 4


def test_selected_search_values_are_listed_per_cell():
    (listing,) = pivot_of(SWEEP, TRIALS).listings
    assert listing.header == ("dataset", "order", "lr", "ahead of runner-up by")
    assert listing.rows[1] == ("digits", "swap", "0.01", "9.00 points")
    without = make_sweep(search={})
    assert pivot_of(without, make_trials(without, lambda _: 0.5)).listings == ()


def test_a_lead_within_noise_is_said_to_be():
    def close(trial: PlannedTrial) -> float:
        return [0.5, 0.7, 0.6][trial.seed] if trial.config.search["lr"] == 0.1 else 0.59

    def lead_of(sweep: Sweep) -> str:
        return pivot_of(sweep, make_trials(sweep, close)).listings[0].rows[0][-1]

    assert lead_of(SWEEP) == "1 points (within noise)"
    tied = make_trials(SWEEP, lambda t: 0.1 + 0.2 if t.config.search["lr"] == 0.1 else 0.3)
    assert pivot_of(SWEEP, tied).listings[0].rows[0][-1] == "0.00 points (within noise)"
    assert lead_of(SWEEP.with_seeds((1,))) == "11.00 points (one seed)"
    assert lead_of(make_sweep(search={"lr": (0.1,)})) == "—"


def test_the_optimism_of_selecting_and_reporting_on_the_same_seeds_is_estimated():
    def swapping(trial: PlannedTrial) -> float:
        first = trial.config.search["lr"] == 0.1
        return [0.6, 0.5, 0.4][trial.seed] if first else [0.4, 0.5, 0.5][trial.seed]

    # Selected: 0.1 with a mean of 0.5. Left out 0: 0.01 reports 0.4; 1: 0.1 reports 0.5;
    # 2: 0.1 reports 0.4.
    notes = pivot_of(SWEEP, make_trials(SWEEP, swapping)).notes
    assert any("worse by 7 points on average over 4 cells (at most 7" in n for n in notes)


def test_the_optimism_of_a_race_is_said_to_be_that_of_the_configs_left() -> None:
    raced = make_sweep(race={"keep": 0.5, "at_least": 2}, search={"lr": (0.1, 0.01, 0.001)})
    trials = make_trials(raced, lambda t: 0.5 + t.config.search["lr"])
    (note,) = (n for n in pivot_of(raced, trials).notes if n.startswith("Selecting"))
    assert note.startswith("Selecting among the configs left in the race on all seeds but one")
    assert note.endswith("(at most 0.00 points). What the race dropped flatters beyond that.")


def test_precision_and_percent_are_as_the_table_says():
    raw = make_sweep(tables=table(rows=("dataset",), percent=False, precision=3))
    assert entries(pivot_of(raw, TRIALS))[0] == ["0.500 ± 0.016 (3)"]
    sides = {"rows": ("dataset",), "columns": ("order",)}
    sweep = make_sweep(tables=table(**sides, values=("probe:sparsity",), percent=True, precision=0))
    shown = pivot_of(sweep, TRIALS, make_probes(sweep, "sparsity", lambda _: [0.25, 0.75]))
    assert entries(shown)[0] == ["50 ± 0 (3)", "50 ± 0 (3)"]
    assert shown.title == "main: probe:sparsity (%)"


def test_a_table_without_the_selection_metric_leaves_its_unit_alone():
    keys = {"rows": ("dataset",), "columns": ("order",), "values": ("test_loss",), "precision": 0}
    sweep = make_sweep(tables=table(**keys))
    trials = make_trials(sweep, lambda t: {"test_accuracy": accuracy(t), "test_loss": 2.5})
    assert pivot_of(sweep, trials).listings[0].rows[0][-1] == "9.00 points"


def bold(shown: Pivot) -> list[list[bool]]:
    return [[entry is not None and entry.bold for entry in row] for row in shown.entries]


def test_the_best_side_of_each_row_is_bold():
    sides = {"rows": ("dataset",), "columns": ("order",)}
    assert bold(pivot_of(make_sweep(tables=table(**sides, best="max")), TRIALS)) == [[0, 1]] * 2
    assert bold(pivot_of(make_sweep(tables=table(**sides, best="min")), TRIALS)) == [[1, 0]] * 2
    assert bold(pivot_of(SWEEP, TRIALS)) == [[0, 0]] * 2


def test_without_columns_the_best_of_each_column_is_bold_and_ties_all_are():
    sweep = make_sweep(tables=table(rows=("dataset", "order"), best="max"))
    shown = pivot_of(sweep, TRIALS)
    assert bold(shown) == [[0], [1], [0], [1]]
    assert "| digits | swap | **62.5 ± 1.6 (3)** |" in markdown(shown)


def test_published_figures_stand_beside_ours():
    published = {
        "source": "a paper, Table 1",
        "columns": ("dataset", "order", "test_accuracy"),
        "rows": (("digits", "convention", 49), ("digits", "swap", 63.5), ("letters", "swap", None)),
    }
    sweep = make_sweep(tables=table(rows=("dataset",), columns=("order",), published=published))
    _, listing = pivot_of(sweep, TRIALS).listings
    assert listing.title == "test_accuracy (%) beside a paper, Table 1"
    assert listing.header == ("dataset", "order", "ours", "published", "difference")
    assert listing.rows == (
        ("digits", "convention", "50.0", "49", "+1.0"),
        ("digits", "swap", "62.5", "63.5", "-1.0"),
    )
    nothing = make_trials(sweep, lambda _: None)
    assert pivot_of(sweep, nothing).listings[1].rows[0][2:] == ("—", "49", "—")


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        (("data", "test_accuracy"), ("digits", 1), "did you mean `dataset`"),
        (("dataset", "test_accuracy"), ("digit", 1), "did you mean `digits`"),
        (("dataset", "test_accuracy"), ("digits",), "expected 2 values"),
        (("dataset", "test_accuracy"), ("digits", "x"), "expected a number or null"),
    ],
)
def test_published_figures_are_checked(columns, row, said):
    published = {"source": "a paper", "columns": columns, "rows": (row,)}
    (problem,) = check(make_sweep(tables=table(published=published)))
    assert said in problem.text


PROBED = make_sweep(tables=table(rows=("dataset",), columns=("order",), values=("probe:skewness",)))


def test_published_params_stand_beside_those_of_the_selected_config():
    published = {
        "source": "a paper",
        "columns": ("dataset", "order", "test_accuracy", "lr", "weight_decay"),
        "rows": (("digits", "swap", 51, 0.1, None), ("digits", "convention", None, 0.01, 5e-4)),
    }
    sweep = make_sweep(fixed={"weight_decay": 0.0005}, tables=table(published=published))
    shown = pivot_of(sweep, make_trials(sweep, accuracy))
    *_, listing = shown.listings
    assert listing.title == "Selected beside a paper"
    assert listing.header == ("dataset", "order", "lr", "published", "weight_decay", "published")
    assert listing.rows == (
        ("digits", "swap", "0.01", "0.1", "0.0005", "—"),
        ("digits", "convention", "0.01", "0.01", "0.0005", "0.0005"),
    )


def test_a_probe_is_its_mean_over_layers_at_the_last_epoch():
    early = make_probes(PROBED, "skewness", lambda _: [100.0, 100.0, 100.0], epoch=1)
    late = make_probes(PROBED, "skewness", lambda t: [1.0, 2.0, 3.0 + 3 * t.seed], epoch=2)
    other = make_probes(PROBED, "saturation", lambda _: [0.5], epoch=3)
    frame = tidy_of(PROBED, TRIALS, pd.concat([late, early, other]))
    assert frame["mean"].tolist() == [3.0] * 4
    assert frame["std"].tolist() == [1.0] * 4


def test_a_table_of_one_layer_and_one_of_the_mean_are_told_apart():
    mean, largest, first = (
        Table(name=layers, rows=("dataset", "order"), values=("probe:skewness",), layers=layers)
        for layers in ("mean", "max", "block0")
    )
    sweep = make_sweep(tables=(mean, largest, first))
    probes = make_probes(sweep, "skewness", lambda _: [1.0, 3.0])
    frame = tidy(results_of(sweep, TRIALS, probes), sweep.tables)
    shown = frame.groupby("metric")["mean"].unique().map(list).to_dict()
    assert shown == {
        "probe:skewness": [2.0],
        "probe:skewness (max)": [3.0],
        "probe:skewness (block0)": [1.0],
    }
    of_max, of_first = (
        pivot_of(make_sweep(tables=(one,)), TRIALS, probes) for one in (largest, first)
    )
    assert "Probes are the largest over layers at the last epoch." in of_max.notes
    assert "Probes are of block0 at the last epoch." in of_first.notes


def test_a_layer_weighs_the_same_whatever_its_number_of_units():
    probes = make_probes(PROBED, "skewness", lambda _: [1.0, 2.0])
    more = probes[probes["layer"] == "block0"].assign(unit=1, value=3.0)
    assert tidy_of(PROBED, TRIALS, pd.concat([probes, more]))["mean"].tolist() == [2.0] * 4


def test_a_probe_that_is_nan_in_a_layer_or_lacks_in_a_trial_shows_as_such():
    nan = make_probes(PROBED, "skewness", lambda _: [1.0, math.nan])
    assert tidy_of(PROBED, TRIALS, nan)["mean"].isna().all()
    one_unit = nan[nan["layer"] == "block1"].assign(unit=1, value=2.0)
    assert tidy_of(PROBED, TRIALS, pd.concat([nan, one_unit]))["mean"].isna().all()
    probes = make_probes(PROBED, "skewness", lambda _: [1.0, 2.0])
    lacking = tidy_of(PROBED, TRIALS, probes[probes["seed"] > 0])
    assert lacking["mean"].isna().all()
    assert lacking["n"].tolist() == [3] * 4


def test_a_cell_that_never_took_a_probe_shows_a_dash_and_what_it_means():
    def values(trial: PlannedTrial) -> list[float]:
        return [1.0] if trial.config.factors["order"] == "swap" else []

    shown = pivot_of(PROBED, TRIALS, make_probes(PROBED, "skewness", values))
    assert entries(shown) == [["—", "1.0000 ± 0.0000 (3)"]] * 2
    assert "— where the selected config did not take the probe." in shown.notes


def test_values_that_the_store_lacks_are_told_with_those_that_exist():
    sweep = make_sweep(tables=table(values=("train_loss",)))
    with pytest.raises(ShowError, match="no metric `train_loss`; it has `test_accuracy`"):
        tidy_of(sweep, TRIALS)
    probes = make_probes(PROBED, "saturation", lambda _: [0.5])
    with pytest.raises(ShowError, match="no probe `skewness`; it has `saturation`"):
        tidy_of(PROBED, TRIALS, probes)
    with pytest.raises(ShowError, match="no probe `skewness`; it has none"):
        tidy_of(PROBED, TRIALS, probes.head(0))


MANY = make_sweep(
    factors={"order": ("convention", "swap"), "width": tuple(range(1000, 1024))},
    tables=table(rows=("order",), columns=("width",)),
)


@pytest.mark.parametrize("width", [40, 80, 120, 1000])
def test_text_never_drops_a_column_and_fits_the_width(width):
    text = printed(MANY, make_trials(MANY, accuracy), width=width)
    assert all(str(value) in text for value in MANY.factors["width"])
    assert text.count("50.0 ± 1.6 (3)") == 24
    assert max(map(len, text.splitlines())) <= width


def test_values_are_shown_as_they_are_not_as_markup():
    odd = ("[red]", (100, 150), True, 1, None, "a|b*")
    sweep = make_sweep(factors={"odd": odd}, tables=table(rows=("odd",)))
    trials = make_trials(sweep, lambda _: 0.5)
    shown = pivot_of(sweep, trials)
    labels = ['"[red]"', "[100, 150]", "true", "1", "null", "a|b*"]
    assert [row[0] for row in shown.rows] == labels
    assert all(label in printed(sweep, trials) for label in labels)
    assert r"| a\|b\* | 50.00" in markdown(shown)
    assert "[100, 150]" in tidy_of(sweep, trials)["odd"].tolist()


def test_a_column_of_a_number_or_null_says_what_it_is_of():
    sweep = make_sweep(
        factors={"decay": (None, 0.5), "way": ("up",)}, tables=table(columns=("decay", "way"))
    )
    shown = pivot_of(sweep, make_trials(sweep, lambda _: 0.5))
    assert shown.columns == (("decay null", "up"), ("decay 0.5", "up"))


def test_markdown_has_the_table_the_notes_and_the_selected_values():
    assert markdown(pivot_of(SWEEP, TRIALS)) == (
        "### main: test_accuracy (%)\n\n"
        "| dataset | convention | swap |\n"
        "| --- | ---: | ---: |\n"
        "| digits | 50.0 ± 1.6 (3) | 62.5 ± 1.6 (3) |\n"
        "| letters | 50.0 ± 1.6 (3) | 62.5 ± 1.6 (3) |\n\n"
        "Mean ± sample standard deviation over seeds (number of seeds).\n\n"
        "Per cell, the config with the largest mean test_accuracy at its last epoch. "
        "That is test data: the papers' protocol, and optimistic.\n\n"
        "Selecting on all seeds but one and reporting on that one is worse by 0.0 points "
        "on average over 4 cells (at most 0.0 points).\n\n"
        "Selected:\n\n"
        "| dataset | order | lr | ahead of runner-up by |\n"
        "| --- | --- | --- | --- |\n"
        "| digits | convention | 0.01 | 9.00 points |\n"
        "| digits | swap | 0.01 | 9.00 points |\n"
        "| letters | convention | 0.01 | 9.00 points |\n"
        "| letters | swap | 0.01 | 9.00 points |\n"
    )


def test_what_was_selected_stands_once_below_the_first_table():
    sweep = make_sweep(tables=(*table(rows=("dataset",)), *table(name="more", rows=("dataset",))))
    for format_ in ("text", "markdown"):
        above, _, below = printed(sweep, TRIALS, format_=format_).partition("Selected")
        assert "main: test_accuracy" in above
        assert "more: test_accuracy" in below
        assert "Selected" not in below


def test_print_text_prints_one_table():
    out = io.StringIO()
    print_text(pivot_of(SWEEP, TRIALS), Console(file=out, width=80))
    assert out.getvalue() == printed(SWEEP, TRIALS)


@pytest.mark.parametrize("width", [24, 25, 30, 40])
def test_a_listing_that_is_too_wide_is_folded_between_words_alone(width: int) -> None:
    rows = (("convention", "0.1393 ± 0.0034"), ("swap", "0.283 ± 0.013"))
    out = io.StringIO()
    listing = Listing("folded", ("order", "before or after"), rows)
    print_listing(listing, Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).split())
    assert {"convention", "swap", "0.1393", "0.0034", "0.283", "0.013", "before", "after"} <= words
