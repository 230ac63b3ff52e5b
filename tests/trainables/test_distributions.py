"""The paper's measures on distributions whose values are known in closed form."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats
from support.scripts import imported

from trainables.distributions import measure


def run(trial, **params):
    [metrics] = measure({"distribution": "activated_normal", "seed": 0, **params}, trial)
    return metrics


def test_a_uniform_distribution_is_half_saturated(make_trial):
    metrics = run(make_trial(), distribution="uniform")
    assert metrics["saturation"] == pytest.approx(0.5, abs=0.005)  # appendix A.3
    assert metrics["skewness"] < 0.02


@pytest.mark.parametrize(
    ("name", "beta"), [("centred", (8, 8)), ("two_sided", (0.2, 0.2)), ("one_sided", (4, 0.2))]
)
def test_drawn_outputs_have_the_moments_of_their_distribution(make_trial, name, beta):
    metrics = run(make_trial(), distribution=name, samples=200_000)
    mean, variance, skew = stats.beta.stats(*beta, moments="mvs")
    assert metrics["output_mean"] == pytest.approx(2 * mean - 1, abs=0.01)
    assert metrics["output_deviation"] == pytest.approx(2 * np.sqrt(variance), rel=0.01)
    assert metrics["skewness"] == pytest.approx(abs(skew), rel=0.03, abs=0.02)


def test_saturation_orders_the_distributions_of_figure_11(make_trial):
    names = ["centred", "uniform", "two_sided", "one_sided"]
    saturations = [run(make_trial(), distribution=name)["saturation"] for name in names]
    assert saturations == sorted(saturations)


def test_skewness_grows_with_the_mean_and_falls_on_both_sides_of_a_deviation(make_trial):
    # appendix A.4 and Figure 12
    peaks = []
    for mean in (0.5, 1, 2):
        values = [
            run(make_trial(), input_mean=mean, input_deviation=deviation)["skewness"]
            for deviation in (0.1, 0.5, 1, 2, 8)
        ]
        peaks.append(max(values))
        assert values[0] < peaks[-1] > values[-1]
    assert peaks == sorted(peaks)


def test_one_sided_saturation_becomes_sparse_by_normalisation(make_trial):
    one = run(make_trial(), input_mean=3, input_deviation=1)["sparsity"]
    both = run(make_trial(), input_mean=0, input_deviation=20)["sparsity"]
    assert one > 0.9 > 0.2 > both


def test_the_curve_is_the_normalised_activation(make_trial):
    trial = make_trial()
    metrics = run(trial, input_mean=1, activation="softsign")
    assert {row.probe for row in trial.rows} == {"normalised_curve"}
    at = np.array([row.at for row in trial.rows])
    expected = (at / (1 + np.abs(at)) - metrics["output_mean"]) / metrics["output_deviation"]
    np.testing.assert_allclose([row.value for row in trial.rows], expected, atol=1e-12)


def test_the_docs_draw_tanh_with_outputs_normalised_to_mean_0_and_deviation_1():
    script = imported(Path(__file__).parents[2] / "docs/functions.py")
    shapes, combined = Figure().subplots(1, 2)
    script.draw_shapes(shapes)
    script.draw_combined(combined)
    assert [line.get_label() for line in shapes.lines] == ["tanh", "lecun_tanh", "softsign"]
    curves = combined.lines[::2]
    assert len(curves) == 3
    for mean, curve in zip(script.INPUT_MEANS, curves, strict=True):
        drawn = stats.norm(mean).rvs(10_000, random_state=0)
        normalised = np.interp(drawn, *curve.get_data())
        assert normalised.mean() == pytest.approx(0, abs=0.05)
        assert normalised.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"distribution": "beta"}, "distribution: .*'centred'"),
        ({"activation": "relu"}, "relu is unbounded"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
        ({"input_deviation": 0}, "input_deviation: .*greater than 0"),
        ({"mean": 0}, "unknown param 'mean'.*input_mean"),
    ],
)
def test_check_rejects_what_cannot_be_measured(params, message):
    with pytest.raises(ValueError, match=message):
        measure.check({"distribution": "activated_normal", **params})
