"""Figures: their numbers exactly, their files roughly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import BarContainer
from matplotlib.patches import Patch
from support.synthetic import make_probes, make_sweep, make_trials, results_of

from orchestrator.errors import ShowError, SpecError
from orchestrator.results.figures import Panel, Plot, Point, Series, positions
from orchestrator.results.figures._draw import COLOURS, draw
from orchestrator.results.figures._fonts import USUAL, families_for
from orchestrator.spec.checks import check
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.loading import load_text
from orchestrator.spec.model import Sweep


def accuracy(trial: PlannedTrial) -> float:
    swap = trial.config.factors["order"] == "swap"
    return 0.5 + swap / 8 - trial.config.search["lr"] + 0.01 + (trial.seed - 1) / 64


def sweep_of(**figure: Any) -> Sweep:
    return make_sweep(figures=({"name": "shown"} | figure,))


def epochs_of(sweep: Sweep) -> pd.DataFrame:
    """Two epochs a trial, one for the last seed: half the accuracy, then all of it."""
    rows = [
        {
            "trial_id": trial.trial_id,
            "config_id": trial.config.config_id,
            "epoch": epoch,
            "step": None,
            "test_accuracy": accuracy(trial) * epoch / 2,
        }
        for trial in expand(sweep)
        for epoch in ((1,) if trial.seed == 2 else (2, 1))
    ]
    return pd.DataFrame(rows)


def plot_of(sweep: Sweep, probes: pd.DataFrame | None = None) -> Plot:
    none = make_probes(sweep, "none", lambda _: [0.0])
    trials = make_trials(sweep, accuracy)
    results = results_of(sweep, trials, none if probes is None else probes, epochs_of(sweep))
    return results.figure("shown")


def points(shown: Plot, row: int = 0, column: int = 0) -> dict[str, list[tuple[Any, ...]]]:
    return {
        series.label: [(p.x, p.y, p.std, p.n) for p in series.points]
        for series in shown.panels[row][column].series
    }


def test_curves_are_means_over_the_seeds_that_each_epoch_has():
    sweep = sweep_of(kind="curves", values=("test_accuracy",), where={"dataset": "digits"})
    shown = plot_of(sweep)
    (x1, y1, std1, n1), (x2, y2, std2, n2) = points(shown)["swap"]
    assert (x1, y1, n1) == (1, 31.25, 3)
    assert std1 == pytest.approx(100 / 64 / 2)
    assert (x2, y2, n2) == (2, pytest.approx(100 * (0.625 - 0.5 / 64)), 2)
    assert std2 == pytest.approx(100 / 64 / math.sqrt(2))
    assert shown.panels[0][0].y_label == "test accuracy (%)"


def test_epochs_and_bins_that_only_some_seeds_have_ascend():
    sweep = sweep_of(kind="curves", values=("test_accuracy",), where={"dataset": "digits"})
    epochs = epochs_of(sweep)
    epochs["epoch"] += epochs["trial_id"].map({t.trial_id: t.seed for t in expand(sweep)})
    results = results_of(sweep, make_trials(sweep, accuracy), epochs=epochs[::-1])
    assert [x for x, *_ in points(results.figure("shown"))["swap"]] == [1, 2, 3]

    sweep = sweep_of(kind="histogram", values=("probe:outputs",), where={"dataset": "digits"})
    probes = histogram(sweep)
    probes["at"] += probes["seed"] / 4
    drawn = points(plot_of(sweep, probes))["swap"]
    assert [x for x, *_ in drawn] == [-0.5, -0.25, 0, 0.5, 0.75, 1]


def test_curves_are_by_step_where_the_seeds_share_their_steps():
    sweep = sweep_of(kind="curves", values=("test_accuracy",))
    trials, epochs = make_trials(sweep, accuracy), epochs_of(sweep)
    seeds = epochs["trial_id"].map({t.trial_id: t.seed for t in expand(sweep)})
    for lag, label, xs in ((0, "step", [100, 200]), (7, "epoch", [1, 2])):
        steps = epochs.assign(step=100.0 * epochs["epoch"] + lag * seeds)
        shown = results_of(sweep, trials, epochs=steps).figure("shown")
        assert shown.panels[0][0].x_label == label
        assert [x for x, *_ in points(shown)["digits, swap"]] == xs


def test_factors_that_vary_tell_series_or_panels_apart():
    together = sweep_of(kind="curves", values=("test_accuracy",))
    shown = plot_of(together)
    assert list(points(shown)) == [
        "digits, convention",
        "digits, swap",
        "letters, convention",
        "letters, swap",
    ]
    apart = sweep_of(kind="curves", values=("test_accuracy",), panels="dataset")
    shown = plot_of(apart)
    assert [panel.title for panel in shown.panels[0]] == ["digits", "letters"]
    assert list(points(shown)) == ["convention", "swap"]


def test_labels_replace_names():
    labels = {"test_accuracy": "Accuracy", "swap": "Swap", "order": "Order", "digits": "Digits"}
    sweep = sweep_of(
        kind="bars", values=("test_accuracy",), x="order", panels="dataset", labels=labels
    )
    panel = plot_of(sweep).panels[0][0]
    assert (panel.title, panel.x_label, panel.y_label) == ("Digits", "Order", "Accuracy (%)")
    assert [point.x for point in panel.series[0].points] == ["convention", "Swap"]
    curves = sweep_of(kind="curves", values=("test_accuracy",), panels="dataset", labels=labels)
    assert list(points(plot_of(curves))) == ["convention", "Swap"]


@pytest.mark.parametrize(
    "keys",
    [{"kind": "curves"}, {"kind": "curves", "panels": "order"}, {"kind": "bars", "x": "order"}],
)
def test_values_that_would_look_alike_are_not_averaged_over(keys: dict[str, Any]):
    labels = {"convention": "Same", "swap": "Same"}
    sweep = sweep_of(values=("test_accuracy",), labels=labels, where={"dataset": "digits"}, **keys)
    with pytest.raises(ShowError, match="different values of `order` as `Same`; tell them apart"):
        plot_of(sweep)


def test_layers_of_different_networks_and_values_of_factors_stand_in_their_order():
    def panel(paths: list[str], names: str = "") -> Panel:
        series = [Series("", tuple(Point(name, 1.0, 0.0, 3) for name in path)) for path in paths]
        return Panel("", "", "", tuple(series), names=tuple(names))

    assert "".join(positions(panel(["ACF", "ABCDF", "XYF"]))) == "ABCDXYF"
    assert "".join(positions(panel(["C", "A", "AB"], names="ABCD"))) == "ABC"
    sweep = sweep_of(kind="relation", values=("test_accuracy",), x="dataset")
    first = expand(sweep)[0].config.cell_id
    trials = make_trials(sweep, lambda t: accuracy(t) if t.config.cell_id != first else None)
    shown = results_of(sweep, trials).figure("shown")
    assert [x for x, *_ in points(shown)["convention"]] == ["letters"]
    assert list(positions(shown.panels[0][0])) == ["digits", "letters"]


def test_layers_are_in_order_and_at_the_last_epoch():
    sweep = sweep_of(kind="layers", values=("probe:skewness",), where={"dataset": "digits"})
    early = make_probes(sweep, "skewness", lambda _: [9.0, 9.0, 9.0], epoch=1)
    late = make_probes(sweep, "skewness", lambda t: [3.0, t.seed, math.nan], epoch=2)
    shown = plot_of(sweep, pd.concat([late, early]).iloc[::-1])
    first, second, third = points(shown)["swap"]
    assert first == ("block0", 3.0, 0.0, 3)
    assert second == ("block1", 1.0, 1.0, 3)
    assert third[0] == "block2"
    assert math.isnan(third[1])


def test_bars_and_relations_stand_over_the_values_of_a_factor():
    for kind in ("bars", "relation"):
        sweep = sweep_of(kind=kind, values=("test_accuracy",), x="order", panels="dataset")
        shown = plot_of(sweep)
        std = pytest.approx(100 / 64)
        assert points(shown, column=1) == {
            "": [("convention", 50.0, std, 3), ("swap", 62.5, std, 3)]
        }


def test_a_relation_of_two_values_has_a_point_per_seed():
    sweep = sweep_of(kind="relation", values=("test_accuracy",), x="probe:skewness")
    probes = make_probes(
        sweep,
        "skewness",
        lambda t: [t.seed if t.config.factors["dataset"] == "digits" else math.nan, t.seed + 2.0],
    )
    shown = plot_of(sweep, probes)
    assert points(shown)["letters, swap"] == []
    found = [(x, y, n) for x, y, _, n in sorted(points(shown)["digits, swap"])]
    assert found == [(1.0, 60.9375, 1), (2.0, 62.5, 1), (3.0, 64.0625, 1)]
    assert shown.notes[0] == "One point per seed."


def test_seeds_of_one_x_have_a_point_each():
    sweep = sweep_of(kind="relation", values=("test_accuracy",), x="probe:skewness")
    shown = plot_of(sweep, make_probes(sweep, "skewness", lambda _: [2.0]))
    found = [(x, y, n) for x, y, _, n in sorted(points(shown)["digits, swap"])]
    assert found == [(2.0, 60.9375, 1), (2.0, 62.5, 1), (2.0, 64.0625, 1)]


def histogram(sweep: Sweep) -> pd.DataFrame:
    layers = make_probes(sweep, "outputs", lambda _: [0.0, 0.0])
    return pd.concat(
        layers.assign(unit=unit, at=at, value=at + unit) for unit in (0, 1) for at in (0.5, -0.5)
    )


def test_histograms_have_a_row_of_panels_per_layer_and_channel():
    keys = {"kind": "histogram", "values": ("probe:outputs",), "panels": "order"}
    sweep = sweep_of(**keys, where={"dataset": "digits"})
    shown = plot_of(sweep, histogram(sweep))
    assert [row[1].title for row in shown.panels] == [
        f"swap, block{layer}, channel {unit}" for layer in (0, 1) for unit in (0, 1)
    ]
    assert points(shown, row=3) == {"": [(-0.5, 0.5, 0.0, 3), (0.5, 1.5, 0.0, 3)]}
    chosen = sweep_of(**keys, where={"dataset": "digits"}, layers=("block1",), units=(0,))
    (row,) = plot_of(chosen, histogram(chosen)).panels
    assert row[0].title == "convention, block1, channel 0"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"layers": ("blokc1",)}, "`outputs` has no layer `blokc1`; it has `block0`, `block1`"),
        ({"units": (0, 7)}, "`outputs` has no channel `7`; it has `0`, `1`"),
    ],
)
def test_a_layer_or_channel_that_no_trial_has_is_told(keys: dict[str, Any], said: str):
    sweep = sweep_of(kind="histogram", values=("probe:outputs",), **keys)
    with pytest.raises(ShowError, match=said):
        plot_of(sweep, histogram(sweep))
    first = expand(sweep)[0].config.cell_id
    for done in ({first}, set()):  # while cells are empty, one of them may yet have it
        trials = make_trials(sweep, lambda t, d=done: 0.5 if t.config.cell_id in d else None)
        results_of(sweep, trials, histogram(sweep)).figure("shown")


def test_bins_without_a_finite_centre_are_not_drawn():
    sweep = sweep_of(kind="histogram", values=("probe:outputs",))
    probes = histogram(sweep)
    others = [probes.assign(at=at) for at in (math.inf, math.nan)]
    assert plot_of(sweep, pd.concat([probes, *others])).panels == plot_of(sweep, probes).panels


def test_too_many_panels_are_refused():
    sweep = sweep_of(kind="histogram", values=("probe:outputs",), panels="order")
    many = make_probes(sweep, "outputs", lambda _: [0.0] * 21).assign(at=0.0)
    with pytest.raises(ShowError, match="42 panels, and the limit is 40; select"):
        plot_of(sweep, many)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"kind": "curves", "values": ("train_loss",)}, "no metric `train_loss`; it has `test_a"),
        ({"kind": "layers", "values": ("probe:skew",)}, "no probe `skew`; it has `none`"),
        ({"kind": "histogram", "values": ("probe:none",)}, "`none` has no bins"),
    ],
)
def test_what_the_store_lacks_is_told(keys, said):
    sweep = sweep_of(**keys)
    with pytest.raises(ShowError, match=said):
        plot_of(sweep)


def test_empty_cells_have_no_points_and_are_counted():
    sweep = sweep_of(kind="curves", values=("test_accuracy",), title="Curves", panels="dataset")
    trials = make_trials(
        sweep, lambda t: accuracy(t) if t.config.factors["order"] != "swap" else None
    )
    shown = results_of(sweep, trials, epochs=epochs_of(sweep)).figure("shown")
    assert points(shown)["swap"] == []
    assert shown.notes[1:] == ("Selected in all cells: lr=0.01.", "2 of 4 cells incomplete.")
    assert shown.title == "Curves"


def test_cells_whose_every_config_diverged_are_counted():
    sweep = sweep_of(kind="curves", values=("test_accuracy",))
    trials = make_trials(
        sweep, lambda t: math.nan if t.config.factors["order"] == "swap" else accuracy(t)
    )
    shown = results_of(sweep, trials, epochs=epochs_of(sweep)).figure("shown")
    assert shown.notes[2] == "Nothing in 2 of 4 cells: no config is left that did not diverge."


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ({"kind": "curves", "values": ("test_accuracy",)}, "Test accuracy by epoch"),
        ({"kind": "layers", "values": ("probe:skewness",)}, "Skewness by layer"),
        (
            {"kind": "bars", "values": ("test_accuracy", "probe:skewness"), "x": "order"},
            "Test accuracy and skewness by order",
        ),
        ({"kind": "histogram", "values": ("probe:outputs",)}, "Distribution of outputs"),
    ],
)
def test_a_figure_says_what_it_draws(keys: dict[str, Any], title: str):
    sweep = sweep_of(**keys)
    probes = pd.concat([make_probes(sweep, "skewness", lambda _: [1.0]), histogram(sweep)])
    frame = epochs_of(sweep)
    results = results_of(sweep, make_trials(sweep, accuracy), probes, epochs=frame)
    assert results.figure("shown").title == title


def test_a_note_names_the_configs_that_are_drawn():
    sweep = sweep_of(kind="curves", values=("test_accuracy",))
    best = {("digits", "swap"): 0.1}

    def outcome(trial: PlannedTrial) -> float:
        values = trial.config.factors
        rate = best.get((values["dataset"], values["order"]), 0.01)
        return 0.9 if trial.config.search["lr"] == rate else 0.5

    shown = results_of(sweep, make_trials(sweep, outcome), epochs=epochs_of(sweep)).figure("shown")
    assert shown.notes[1] == (
        "Selected: digits, convention: lr=0.01; digits, swap: lr=0.1; "
        "letters, convention: lr=0.01; letters, swap: lr=0.01."
    )


def test_without_figures_there_are_curves_and_one_figure_per_layerwise_probe():
    sweep = make_sweep()
    probes = [make_probes(sweep, name, lambda _: [1.0]) for name in ("skewness", "Saturation")]
    frame = pd.concat([*probes, histogram(sweep)])
    figures = results_of(sweep, make_trials(sweep, accuracy), frame).figures
    assert [(name, f.kind, f.values) for name, f in figures.items()] == [
        ("curves", "curves", ("test_accuracy",)),
        ("layers-saturation", "layers", ("probe:Saturation",)),
        ("layers-skewness", "layers", ("probe:skewness",)),
    ]
    own = sweep_of(kind="curves", values=("test_loss",))
    assert results_of(own, make_trials(own, accuracy), frame).figures == {"shown": own.figures[0]}


def test_figures_of_probes_of_similar_or_long_names_have_names_of_their_own():
    sweep, long = make_sweep(), "x" * 70
    names = ["Skewness", "skewness", long, f"{long}y"]
    probes = pd.concat(make_probes(sweep, name, lambda _: [1.0]) for name in names)
    figures = results_of(sweep, make_trials(sweep, accuracy), probes).figures
    stem = f"layers-{'x' * 53}"
    assert [*figures] == ["curves", "layers-skewness", "layers-skewness-2", stem, f"{stem}-2"]
    assert [figure.values[0] for figure in figures.values()][1:] == [f"probe:{n}" for n in names]


def test_an_axis_of_numbers_does_not_repeat_its_name():
    sweep = make_sweep(
        factors={"order": ("convention", "swap"), "decay": (0, 0.5)},
        figures=({"name": "shown", "kind": "bars", "values": ("test_accuracy",), "x": "decay"},),
    )
    shown = plot_of(sweep)
    assert [x for x, *_ in points(shown)["swap"]] == ["0", "0.5"]
    assert shown.panels[0][0].x_label == "decay"


def test_figures_are_written_as_svg_and_png_with_the_same_bytes(tmp_path: Path):
    for keys in (
        {"kind": "curves", "values": ("test_accuracy",), "panels": "dataset"},
        {"kind": "bars", "values": ("test_accuracy",), "x": "order"},
    ):
        sweep = sweep_of(**keys)
        shown = plot_of(sweep)
        svg, png = shown.save(tmp_path / "a")
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "convention" in svg.read_text(encoding="utf-8")
        for again, before in zip(shown.save(tmp_path / "b"), (svg, png), strict=True):
            assert again.read_bytes() == before.read_bytes()


def test_a_panel_of_zeros_says_so_instead_of_drawing_them(tmp_path: Path):
    sweep = sweep_of(kind="layers", values=("probe:dead", "probe:alive"))
    probes = pd.concat(
        [
            make_probes(sweep, "dead", lambda _: [0.0, 0.0]),
            make_probes(sweep, "alive", lambda _: [0.0, 1.0]),
        ]
    )
    shown = plot_of(sweep, probes)
    assert [row[0].remark for row in shown.panels] == ["0 everywhere.", None]
    text = shown.save(tmp_path)[0].read_text()
    assert (text.count("0 everywhere."), text.count(">alive<")) == (1, 1)
    assert ">dead<" not in text


def test_a_panel_without_a_finite_value_says_so():
    point = Point("swap", math.nan, math.nan, 3)
    assert Panel("", "", "", (Series("", (point,)),)).remark == "No finite value."


def test_the_first_drawn_panel_of_a_row_has_numbers():
    sweep = sweep_of(kind="bars", values=("test_accuracy",), x="order", panels="dataset")
    trials = make_trials(
        sweep, lambda t: accuracy(t) if t.config.factors["dataset"] == "letters" else None
    )
    empty, drawn = draw(results_of(sweep, trials).figure("shown")).axes
    assert not empty.axison
    assert drawn.yaxis.get_tick_params()["labelleft"]


def test_one_seed_has_no_error_bar():
    sweep = make_sweep(
        seeds=(0,),
        figures=({"name": "shown", "kind": "bars", "values": ("test_accuracy",), "x": "order"},),
    )
    (axes,) = draw(plot_of(sweep)).axes
    bars = next(each for each in axes.containers if isinstance(each, BarContainer))
    assert bars.errorbar is not None
    caps = [y for line in bars.errorbar.lines[1] for y in np.asarray(line.get_ydata())]
    assert np.isnan(caps).all()


def test_one_epoch_has_a_whole_number_and_shows_the_deviation():
    sweep = sweep_of(kind="curves", values=("test_accuracy",), where={"dataset": "digits"})
    epochs = epochs_of(sweep)
    trials = make_trials(sweep, accuracy)
    shown = results_of(sweep, trials, epochs=epochs[epochs["epoch"] == 1]).figure("shown")
    (axes,) = draw(shown).axes
    low, high = axes.get_xlim()
    assert [x for x in axes.get_xticks() if low <= x <= high] == [1]
    ends = [line.get_segments()[0][:, 1] for line in axes.collections]
    bands = [series.points[0].band for series in shown.panels[0][0].series]
    assert np.array(ends) == pytest.approx(np.array(bands))


def test_a_legend_names_a_value_that_begins_with_an_underscore():
    for keys in ({"kind": "curves"}, {"kind": "bars", "x": "dataset"}):
        figure = {"name": "shown", "values": ("test_accuracy",), "where": {"dataset": "digits"}}
        factors = {"dataset": ("digits", "letters"), "order": ("_none", "swap")}
        drawn = draw(plot_of(make_sweep(factors=factors, figures=(figure | keys,))))
        assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["_none", "swap"]


def test_an_axis_of_epochs_has_whole_numbers(tmp_path: Path):
    text = plot_of(sweep_of(kind="curves", values=("test_accuracy",))).save(tmp_path)[0].read_text()
    shown = [tick in text for tick in (">1<", ">2<", ">1.2<", ">1.5<")]
    assert shown == [True, True, False, False]


@pytest.mark.parametrize("text", ["5 $ and 6 $", "$x^$", "激活函数", "активация ⊗ 😀", "שלום"])
def test_text_of_any_script_is_drawn_as_it_is(tmp_path: Path, text: str):
    """Without a warning, which would fail the test, also where no font has a character."""
    keys = {"values": ("test_accuracy",), "title": text, "labels": {"test_accuracy": text}}
    svg, png = plot_of(sweep_of(kind="curves", **keys)).save(tmp_path)
    assert svg.read_text().count(f">{text}<") >= 1
    assert png.stat().st_size > 0


def test_other_fonts_are_named_only_for_characters_that_the_usual_one_lacks():
    usual, other = characters(USUAL), characters("STIXGeneral")  # matplotlib brings both along
    lacking = chr(min(other - usual))
    assert families_for("plain, Ωμέγα, мир") == [USUAL]
    first, *others = families_for(f"plain {lacking}")
    assert first == USUAL
    assert [ord(lacking) in characters(name) for name in others] == [True]


def characters(family: str) -> set[int]:
    return set(font_manager.get_font(font_manager.findfont(family)).get_charmap())


@pytest.mark.parametrize("keys", [{"kind": "curves"}, {"kind": "bars", "x": "model"}])
def test_a_series_has_its_colour_in_every_panel_and_in_the_legend(keys: dict[str, Any]):
    factors = {"dataset": ("digits", "letters"), "order": ("nobn", "swap"), "model": ("a", "b")}
    lacking = ({"dataset": "letters", "order": "nobn"},)
    figure = {"name": "shown", "values": ("test_accuracy",), "panels": "dataset", **keys}
    where = {} if "x" in keys else {"model": "a"}
    figures = (figure | {"where": where},)
    figure = draw(plot_of(make_sweep(factors=factors, exclude=lacking, figures=figures)))
    panels = [
        dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True)) for axes in figure.axes
    ]
    assert [list(panel) for panel in panels] == [["nobn", "swap"], ["swap"]]
    colours = [colour_of(panel["swap"]) for panel in panels]
    legend = figure.legends[0]
    colours.append(colour_of(legend.legend_handles[1]))
    assert colours == [COLOURS[1]] * 3


def colour_of(drawn: Any) -> str:
    """Tell the colour of a line, of bars or of one bar."""
    if isinstance(drawn, BarContainer):
        drawn = drawn[0]
    colour = drawn.get_facecolor() if isinstance(drawn, Patch) else drawn.get_color()
    return to_hex(colour).upper()


def test_neighbouring_colours_differ_in_grey():
    greys = [np.dot((0.3, 0.59, 0.11), to_rgb(colour)) for colour in COLOURS]
    assert np.abs(np.diff(greys)).min() > 0.1


def test_figures_and_published_figures_are_read_from_a_file():
    text = """
name: paper
trainable: somewhere:train
seeds: [0]
factors: {dataset: [digits, letters], order: [convention, swap]}
select: {metric: test_accuracy}
tables:
  - name: main
    rows: [dataset]
    columns: [order]
    best: max
    precision: 1
    percent: true
    published:
      source: A paper, Table 1
      columns: [dataset, order, test_accuracy]
      rows: [[digits, convention, 91.75], [digits, swap, null]]
figures:
  - {name: bars, kind: bars, values: [test_accuracy], x: order, panels: dataset}
  - {name: outputs, kind: histogram, values: ["probe:outputs"], layers: [block1], units: [0, 1]}
  - {name: by-sparsity, kind: relation, values: [test_accuracy], x: "probe:sparsity",
     where: {dataset: digits}, title: A title, labels: {"probe:sparsity": Sparsity}}
"""
    sweep = load_text(text, "paper.yaml")
    assert [figure.kind for figure in sweep.figures] == ["bars", "histogram", "relation"]
    assert sweep.figures[1].units == (0, 1)
    assert sweep.tables[0].published is not None
    assert sweep.tables[0].published.rows[1] == ("digits", "swap", None)
    with pytest.raises(SpecError, match=r"line 19: `figures\[0\].x`: unknown factor `ordr`"):
        load_text(text.replace("x: order", "x: ordr"), "paper.yaml")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"kind": "layers", "values": ("test_loss",)}, "shows probes"),
        ({"kind": "curves", "values": ("probe:skewness",)}, "shows metrics"),
        ({"kind": "bars", "values": ("test_loss",)}, "`x` is required for"),
        ({"kind": "curves", "values": ("test_loss",), "x": "order"}, "`x` is required for"),
        ({"kind": "bars", "values": ("test_loss",), "x": "ordr"}, "did you mean `order`"),
        ({"kind": "curves", "values": ("test_loss",), "panels": "data"}, "did you mean `dataset`"),
        ({"kind": "curves", "values": ("test_loss",), "where": {"order": "x"}}, "unknown value"),
        (
            {"kind": "curves", "values": ("test_loss",), "units": (1,)},
            "only allowed for",
        ),
        ({"kind": "curves", "values": ("a_loss",), "labels": {"swop": "S"}}, "did you mean `swap`"),
    ],
)
def test_figures_are_checked(keys, said):
    (problem,) = check(sweep_of(**keys))
    assert said in problem.text
