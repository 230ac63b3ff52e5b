"""Draws functions that the papers plot: `python docs/functions.py` writes docs/functions.png.

Figure 13 (left) of "Batch Normalization and Bounded Activation Functions" shows bounded
activations. Figure 6 shows tanh followed by the normalisation of its outputs, as in Swap at
initialisation, on normal inputs of which some are drawn as dots. Their means are ours.
"""

from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from orchestrator.results.figures._draw import COLOURS, DASHES, STYLE
from trainables import activations

BOUNDED = ("tanh", "lecun_tanh", "softsign")
INPUT_MEANS = (0.0, 1.0, 2.0)
SAMPLES, DOTS = 100_000, 40
"""Normal inputs of deviation 1 whose outputs are normalised, and how many of them are drawn."""


def main() -> None:
    """Draw both figures side by side."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2), layout="constrained")
        shapes, combined = figure.subplots(1, 2)
        draw_shapes(shapes)
        draw_combined(combined)
        figure.savefig(Path(__file__).with_name("functions.png"), dpi=120)


def draw_shapes(axes: Axes) -> None:
    """Draw the bounded activations: Figure 13, left."""
    x = torch.linspace(-6, 6, 241)
    for name, colour, dash in zip(BOUNDED, COLOURS, DASHES, strict=False):
        y = activations.build({"activation": name})(x)
        axes.plot(x.numpy(), y.numpy(), dash, color=colour, label=name)
    axes.set(title="Figure 13: bounded activations", xlabel="x", ylabel="f(x)")
    axes.legend()


def draw_combined(axes: Axes) -> None:
    """Draw tanh with normalised outputs, and samples of its inputs: Figure 6."""
    x = torch.linspace(-4, 5, 241)
    noise = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(0))
    for mean, colour, dash in zip(INPUT_MEANS, COLOURS, DASHES, strict=False):
        inputs = mean + noise
        label = f"inputs of mean {mean:g}"
        axes.plot(x.numpy(), normalised(x, inputs).numpy(), dash, color=colour, label=label)
        dots = inputs[:DOTS]
        axes.plot(
            dots.numpy(), normalised(dots, inputs).numpy(), "o", color=colour, alpha=0.4, ms=4
        )
    axes.set(title="Figure 6: tanh, then normalisation", xlabel="x", ylabel="normalised tanh(x)")
    axes.legend()


def normalised(x: Tensor, inputs: Tensor) -> Tensor:
    """Return tanh of x, normalised by mean and deviation of tanh of the inputs."""
    outputs = inputs.tanh()
    return (x.tanh() - outputs.mean()) / outputs.std(correction=0)


if __name__ == "__main__":
    main()
