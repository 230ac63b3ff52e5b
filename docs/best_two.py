"""Writes the sweep of ImageNet's two best configs of each cell, at full length.

Run ``python docs/best_two.py results/table1_imagenet_short`` once that sweep has finished: it
writes ``sweeps/table1_imagenet_best2.yaml``, whose 16 trials have their ids of table1.yaml. Then
``python docs/reference.py`` lists it in the documentation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from orchestrator import Results, open_store

FILE = Path(__file__).parents[1] / "sweeps/table1_imagenet_best2.yaml"
CONFIGS = 2
HEAD = """\
# The ImageNet cells of Table 1 in all 100 epochs, for the two configs of each cell that were best
# after 30, in table1_imagenet_short.yaml.
#
# 16 trials, 1,600 epochs, 100 EFLOP: about 1,300 GPU-hours, 1,300 of them on ImageNet.
# Hours are for one A100 at 15 % of its 156 TFLOP/s (tf32), 5 % for mobilenet, and at most 2,000
# steps a second; a training image counts three forward passes, a test image one.
extends: table1_imagenet_short.yaml
name: table1_imagenet_best2
description: The two best configs of each cell on ImageNet.
fixed: {epochs: 100, lr_drops: [30, 60]}
"""


def main() -> None:
    """Write the sweep file."""
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/best_two.py STORE, such as results/table1_imagenet_short")
    short = open_store(sys.argv[1])
    if short.missing:
        sys.exit(f"{sys.argv[1]}: {len(short.missing)} trials have not finished; run its sweep on")
    FILE.write_text(best_two(short))


def best_two(short: Results) -> str:
    """Write a file that has the short sweep's two best configs of each cell as its search."""
    factors, search = list(short.sweep.factors), list(short.sweep.search)
    ranked = short.trials.sort_values("test_accuracy", ascending=False, kind="stable")
    axis = ", ".join(search)
    chosen = [
        (dict(zip(factors, cell, strict=True)), {axis: rows[search].head(CONFIGS).values.tolist()})
        for cell, rows in ranked.groupby(factors, observed=True)
    ]
    variants = "".join(
        f"  - {{when: {json.dumps(cell)}, search: {json.dumps(configs)}}}\n"
        for cell, configs in chosen
    )
    return (
        f"{HEAD}search: {json.dumps(chosen[0][1])}    # the cells' own are below\nvariants:\n"
        f"  - {{when: {{order: swap}}, fixed: {{lr_drops: [60, 90]}}}}\n{variants}"
    )


if __name__ == "__main__":
    main()
