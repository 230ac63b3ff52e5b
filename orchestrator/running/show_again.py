"""Shows a trial that ran twice: both curves, and whether they are equal."""

from __future__ import annotations

from rich.console import Console
from rich.filesize import decimal

from orchestrator.labels import counted
from orchestrator.results.tables import Listing, print_listing
from orchestrator.running.again import Again

_ROWS = 10
"""How many of the first epochs, and of the last, are shown."""


def print_again(found: Again, console: Console) -> None:
    """Print both curves, and whether they are equal."""
    compared = found.compared
    runs = (compared.stored.epochs, compared.now.epochs)
    frames = [epochs.set_index("epoch")[found.metric] for epochs in runs]
    epochs = sorted({*frames[0].index, *frames[1].index})
    hidden = len(epochs) - 2 * _ROWS
    shown = [*epochs[:_ROWS], *epochs[-_ROWS:]] if hidden > 0 else epochs
    rows = tuple(
        (str(epoch), *(repr(float(f[epoch])) if epoch in f.index else "—" for f in frames))
        for epoch in shown
    )
    print_listing(Listing(found.metric, ("epoch", "stored", "again"), rows), console)
    if hidden > 0:
        console.print(f"{counted(hidden, 'epoch')} between them not shown")
    if compared.is_equal:
        which = "its one epoch" if len(epochs) == 1 else f"all {len(epochs):,} epochs"
        console.print(f"equal to the bit in all metrics and {which}")
    else:
        which = f" in {', '.join(compared.differing)}" if compared.differing else ""
        console.print(f"not equal: from epoch {compared.differs_from} on{which}")
    if found.artifact is not None:
        told = ", ".join(f"{path} ({decimal(size)})" for path, size in found.artifact.items())
        told = f"kept: {told}" if told else "nothing to keep: the trial has left nothing in `keep`"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    for note in compared.conditions:
        console.print(f"• {note}", markup=False, highlight=False)
    if epochs_before := compared.went_on_after:
        console.print(f"• the stored run went on after epochs {epochs_before}", highlight=False)
