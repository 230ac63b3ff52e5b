"""The paper's measures on synthetic distributions, without a network: Figures 6, 11 and 12."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from trainables import activations
from trainables.contract import Trial, checked_by
from trainables.params import Params, validated
from trainables.probes.moments import ChannelMoments
from trainables.probes.units import saturation, skewness, sparsity

# Beta distributions on [-1, 1], as activation outputs of known shape. The paper does not name the
# distributions of its figure; these range from concentrated at 0 to saturated on one side.
_BETAS: Mapping[str, tuple[float, float]] = {
    "centred": (8, 8),
    "uniform": (1, 1),
    "two_sided": (0.2, 0.2),
    "skewed": (4, 1),
    "one_sided": (4, 0.2),
}
# Inputs at which Figure 6 plots the normalised activation.
_CURVE = torch.linspace(-4, 4, 65, dtype=torch.float64)
_SMOKE_SAMPLES = 1_000


class Distribution(Params):
    """The distribution to measure.

    Attributes:
        distribution: activated_normal, for the outputs of an activation on normal inputs; or
            centred, uniform, two_sided, skewed or one_sided, for outputs drawn from [-1, 1].
        activation: The activation of activated_normal.
        input_mean: Mean of its inputs.
        input_deviation: Their standard deviation.
        samples: Number of values drawn.
        seed: Seed of the draw.
    """

    distribution: Literal[
        "activated_normal", "centred", "uniform", "two_sided", "skewed", "one_sided"
    ]
    activation: str = "tanh"
    input_mean: float = 0
    input_deviation: PositiveFloat = 1
    samples: PositiveInt = 100_000
    seed: NonNegativeInt = 0


def check(params: Mapping[str, Any]) -> None:
    """Reject params that `measure` cannot run.

    Raises:
        ValueError: If a param is unknown, missing or invalid.
    """
    _activation(validated(Distribution, params))


@checked_by(check)
def measure(params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
    """Draw once and measure, as one epoch of a fraction of a second.

    Yields `saturation` (Eq. 2), `skewness` (absolute, Eq. 3) and `output_mean`,
    `output_deviation` of the activation's outputs, and `sparsity` (section 5.2) of those outputs
    after normalisation, like the block outputs of the order swap at initialisation. For
    activated_normal, rows of the probe `normalised_curve` give the activation followed by that
    normalisation at the inputs `at` (Figure 6).

    Args:
        params: The fields of `Distribution`.
        trial: Where the curve goes.

    Raises:
        ValueError: If a param is unknown, missing or invalid.
    """
    chosen = validated(Distribution, params)
    torch.set_num_threads(trial.threads)
    activation, bound = _activation(chosen)
    outputs = _outputs(chosen, activation, _SMOKE_SAMPLES if trial.smoke else chosen.samples)
    moments = ChannelMoments(1)
    moments.update(outputs)
    mean, deviation = moments.mean, moments.variance.sqrt()
    normalised = ChannelMoments(1)
    normalised.update((outputs - mean) / deviation)
    if chosen.distribution == "activated_normal":
        curve = (activation(_CURVE) - mean) / deviation
        for at, value in zip(_CURVE.tolist(), curve.tolist(), strict=True):
            trial.probe("normalised_curve", "activation", value, index=0, at=at)
    yield {
        "saturation": saturation(moments, bound),
        "skewness": skewness(moments) or 0.0,
        "sparsity": sparsity(normalised),
        "output_mean": float(mean),
        "output_deviation": float(deviation),
    }


def _activation(chosen: Distribution) -> tuple[nn.Module, float]:
    """The activation with its bound; that of outputs drawn directly is 1.

    Raises:
        ValueError: If the activation is unknown, or unbounded, so that its saturation is undefined.
    """
    params = {"activation": chosen.activation}
    bound = activations.bound(params)
    if bound is None:
        raise ValueError(f"activation: {chosen.activation} is unbounded and has no saturation")
    return activations.build(params), bound if chosen.distribution == "activated_normal" else 1.0


def _outputs(chosen: Distribution, activation: nn.Module, samples: int) -> Tensor:
    """The values to measure, as one channel: shape (samples, 1), float64."""
    rng = np.random.default_rng(chosen.seed)
    if chosen.distribution == "activated_normal":
        inputs = rng.normal(chosen.input_mean, chosen.input_deviation, (samples, 1))
        outputs: Tensor = activation(torch.from_numpy(inputs))
        return outputs
    drawn: npt.NDArray[np.float64] = rng.beta(*_BETAS[chosen.distribution], (samples, 1))
    return torch.from_numpy(2 * drawn - 1)
