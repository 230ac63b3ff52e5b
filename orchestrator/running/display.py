"""Displays a running sweep: live on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.errors import CorruptFileError
from orchestrator.labels import assignments, counted, duration, label
from orchestrator.running.progress import FailedTrial, Progress, Running
from orchestrator.store.store import warn_of_corrupt_file

_SHOWN_TRIALS = 12
_SECONDS_BETWEEN_LINES = 5
_SECONDS_WITHOUT_CHANGE = 600
"""Seconds after which a line that says the same is printed again."""


class Display:
    """Shows a sweep on standard error; standard output is for the tables.

    Args:
        quiet: print nothing, and report unreadable files as Python warnings.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, quiet=quiet)

    def warn(self, error: CorruptFileError) -> None:
        """Warn about an unreadable file in the store."""
        if self.console.quiet:
            warn_of_corrupt_file(error)
        self.say(f"warning: {error}; its trials count as missing")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(text), soft_wrap=True)

    def checking(self, trials: int) -> AbstractContextManager[object]:
        """Show, on a terminal, that the configs are being checked."""
        if not self.console.is_terminal:  # a notebook would keep an empty output cell
            return nullcontext()
        return self.console.status(f"checking the configs of {counted(trials, 'trial')}")

    @contextmanager
    def following(self, progress: Progress) -> Iterator[None]:
        """Show a sweep while the block runs."""
        if self.console.is_terminal or _in_notebook_with_widgets(self.console):
            with Live(
                get_renderable=lambda: _live(progress), console=self.console, refresh_per_second=4
            ):
                yield
        else:
            with self._lines(progress):
                yield
        for failure in _last_failures(progress):
            self.say(_failure_line(failure))
        for reason, trials in progress.not_run.items():
            self.say(f"{counted(trials, 'trial')} not run: {reason}")

    @contextmanager
    def _lines(self, progress: Progress) -> Iterator[None]:
        reported, said, seconds = 0, _counts(progress), 0
        quiet: set[str] = set()

        def report() -> None:
            nonlocal reported, said, seconds
            for failure in progress.failures[reported:]:
                reported += 1
                if failure.retried:  # the others are listed at the end
                    self.say(_failure_line(failure))
            for running in progress.quiet():
                if running.trial.trial_id not in quiet:
                    quiet.add(running.trial.trial_id)
                    self.say(_quiet_line(running, progress))
            seconds += 1
            counts = _counts(progress)
            pause = _SECONDS_BETWEEN_LINES if counts != said else _SECONDS_WITHOUT_CHANGE
            if seconds >= pause:
                said, seconds = counts, 0
                self.say(_line(progress))

        self.say(_line(progress))
        try:
            with progress.clock.repeating(report, 1, "progress lines"):
                yield
        finally:
            self.say(_line(progress))


def _in_notebook_with_widgets(console: Console) -> bool:
    """Whether rich can redraw its output, for which it needs ipywidgets in a notebook."""
    return console.is_jupyter and find_spec("ipywidgets") is not None


def _counts(progress: Progress) -> str:
    parts = [f"{progress.done:,} of {counted(progress.total, 'trial')} done"]
    if not progress.has_started:
        parts.append("starting")
    if progress.reused:
        parts.append(f"{progress.reused:,} reused")
    if progress.running:
        parts.append(f"{len(progress.running):,} running")
    if progress.given_up:
        parts.append(f"{progress.given_up:,} failed")
    if progress.not_run:
        parts.append(f"{progress.not_run.total():,} not run after an edit")
    return ", ".join(parts)


def _and_time(progress: Progress) -> str:
    left = progress.seconds_left()
    return _counts(progress) + ("" if left is None else f", about {duration(left)} left")


def _line(progress: Progress) -> str:
    with progress.lock:
        return f"{progress.sweep.name}: {_and_time(progress)}"


def _live(progress: Progress) -> RenderableType:
    with progress.lock:
        header = Text(f"{progress.sweep.name}  ", style="bold")
        header.append(_and_time(progress), style="not bold")
        bar = Padding(ProgressBar(total=max(progress.total, 1), completed=progress.done), 0)
        running = list(progress.running.values())
        table = _running_table(progress.sweep.select.metric, running[:_SHOWN_TRIALS])
        more = len(running) - _SHOWN_TRIALS
        lines: list[RenderableType] = [header, bar, table]
        if more > 0:
            lines.append(Text(f"and {more:,} more running", style="dim"))
        lines += [Text(_quiet_line(item, progress), style="red") for item in progress.quiet()[:3]]
        lines += [
            Text(_failure_line(failure), style="red", no_wrap=True, overflow="ellipsis")
            for failure in progress.failures[-3:]
        ]
        return Group(*lines)


def _running_table(metric: str, running: list[Running]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("running", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column(escape(metric), justify="right", no_wrap=True)
    for item in running:
        value = _number(item.selected)
        table.add_row(escape(_config(item)), str(item.trial.seed), str(item.epoch), value)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _config(item: Running) -> str:
    return " ".join(map(label, item.trial.config.selectors.values()))


def _last_failures(progress: Progress) -> list[FailedTrial]:
    return [failure for failure in progress.failures if not failure.retried]


def _quiet_line(item: Running, progress: Progress) -> str:
    """Say that a trial may hang, and where to look."""
    now, trial = progress.clock.monotonic(), item.trial
    params = assignments(trial.selectors)
    since = f"epoch {item.epoch}" if item.epoch else "its start"
    return (
        f"trial {trial.trial_id} ({params}) is quiet: nothing in the {duration(now - item.heard)} "
        f"since {since}; see {progress.log_name(trial.trial_id)}"
    )


def _failure_line(failure: FailedTrial) -> str:
    params = assignments(failure.trial.selectors)
    verdict = "failed and will be retried" if failure.retried else "failed"
    reason = failure.text.splitlines()[0] if failure.text else "no message"
    return f"trial {failure.trial.trial_id} ({params}) {verdict}: {reason}; see {failure.log}"
