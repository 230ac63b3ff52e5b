"""How a running sweep looks: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.errors import CorruptFileError
from orchestrator.running.progress import FailedTrial, Progress, Running

_SHOWN_TRIALS = 12
_SECONDS_BETWEEN_LINES = 5


class Display:
    """Shows a sweep on standard error, so that standard output is the table's alone."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def warn(self, error: CorruptFileError) -> None:
        """Tell of an unreadable file of the store."""
        self.say(f"warning: {error}; its trials count as missing")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(text), soft_wrap=True)

    def checking(self, trials: int) -> AbstractContextManager[object]:
        """Show, on a terminal, that the configs are being checked."""
        return self.console.status(f"checking what {trials:,} trials will run")

    @contextmanager
    def following(self, progress: Progress) -> Iterator[None]:
        """Show a sweep while the block runs."""
        if self.console.is_terminal:
            with Live(
                get_renderable=lambda: _live(progress), console=self.console, refresh_per_second=4
            ):
                yield
        else:
            with self._lines(progress):
                yield
        for failure in _last_failures(progress):
            self.say(_failure_line(failure))

    @contextmanager
    def _lines(self, progress: Progress) -> Iterator[None]:
        end = threading.Event()

        def report() -> None:
            told, seconds = 0, 0
            while not end.wait(1):
                seconds += 1
                for failure in progress.failures[told:]:
                    told += 1
                    if failure.again:  # the others are listed at the end
                        self.say(_failure_line(failure))
                if seconds % _SECONDS_BETWEEN_LINES == 0:
                    self.say(_line(progress))

        thread = threading.Thread(target=report, name="progress lines", daemon=True)
        self.say(_line(progress))
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            self.say(_line(progress))


def duration(seconds: float) -> str:
    """Write seconds as people say them: ``45 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours / 24:.1f} days"


def _counts(progress: Progress) -> str:
    parts = [f"{progress.done:,} of {progress.total:,} trials done"]
    if not progress.begun:
        parts.append("starting")
    if progress.reused:
        parts.append(f"{progress.reused:,} reused")
    if progress.running:
        parts.append(f"{len(progress.running):,} running")
    if progress.given_up:
        parts.append(f"{progress.given_up:,} failed")
    left = progress.seconds_left()
    if left is not None:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def _line(progress: Progress) -> str:
    with progress.lock:
        return f"{progress.sweep.name}: {_counts(progress)}"


def _live(progress: Progress) -> RenderableType:
    with progress.lock:
        head = Text(f"{progress.sweep.name}  ", style="bold")
        head.append(_counts(progress), style="not bold")
        bar = Padding(ProgressBar(total=max(progress.total, 1), completed=progress.done), 0)
        running = list(progress.running.values())
        table = _running_table(progress.sweep.select.metric, running[:_SHOWN_TRIALS])
        more = len(running) - _SHOWN_TRIALS
        lines: list[RenderableType] = [head, bar, table]
        if more > 0:
            lines.append(Text(f"and {more:,} more running", style="dim"))
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
        value = item.metrics.get(metric)
        table.add_row(
            escape(_described(item)), str(item.trial.seed), str(item.epoch), _number(value)
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _described(item: Running) -> str:
    config = item.trial.config
    return " ".join(str(value) for value in {**config.factors, **config.search}.values())


def _last_failures(progress: Progress) -> list[FailedTrial]:
    return [failure for failure in progress.failures if not failure.again]


def _failure_line(failure: FailedTrial) -> str:
    config = failure.trial.config
    params = {**config.factors, **config.search, "seed": failure.trial.seed}
    named = ", ".join(f"{name}={value}" for name, value in params.items())
    verdict = "failed, is tried again" if failure.again else "failed"
    reason = failure.text.splitlines()[0] if failure.text else "no message"
    return f"trial {failure.trial.trial_id} ({named}) {verdict}: {reason}; see {failure.log}"
