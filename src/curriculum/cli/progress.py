"""Show the progress of a long task: a bar on a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from curriculum.console import losses_text, safe, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from curriculum.train.events import Chunk
    from curriculum.train.hooks import Hook

LINE_SHARE = 0.05  # of the work, or
LINE_SECONDS = 30.0  # this long, from one plain line to the next


class Bar:
    """A progress bar for `total` units of work, as a context."""

    def __init__(
        self, title: str, total: int, unit: str, patience: float = 0.0, clock: Callable[[], float] = time.monotonic, done: int = 0
    ):
        """Start with `done` units finished. Without a terminal, print nothing in the first `patience` seconds."""
        self.title = title
        self.total = total
        self.unit = unit
        self.patience = patience
        self.clock = clock
        self._began = self._said_at = clock()
        self._said = self._first = done
        self._rich: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.table import Column

            # Where the terminal is narrow the text gives way, not the bar.
            columns = (
                TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
                BarColumn(bar_width=16, table_column=Column(no_wrap=True, min_width=16)),
                MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(self.total)) + 1)),
                TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
                TextColumn("{task.fields[text]}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            )
            self._rich = Progress(*columns, console=Console(stderr=True), transient=True, expand=True)
            self._task = self._rich.add_task(safe(self.title), total=self.total, completed=self._first, text="")
            self._rich.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._rich is not None:
            self._rich.stop()

    def update(self, done: int, text: str = "") -> None:
        """Show that `done` units are finished."""
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, completed=done, text=safe(text))
            return
        now = self.clock()
        if now - self._began < self.patience:
            return
        if done - self._said >= LINE_SHARE * self.total or now - self._said_at >= LINE_SECONDS or done >= self.total > self._said:
            self._said, self._said_at = done, now
            say(f"{self.title}: {self.unit} {done:,} of {self.total:,} ({done / self.total:.0%})  {text}".rstrip())


def training_hook(bar: Bar) -> Hook:
    """Make a hook that shows step, phase, lr and every loss of a run."""
    from curriculum.sheet.schedule import RATE
    from curriculum.train.events import Chunk
    from curriculum.train.hooks import Hook

    def show(event: Chunk) -> None:
        losses = {"total": event.total, **event.terms}
        middle = {name: float(values[-1].nanquantile(0.5)) for name, values in losses.items()}
        phase = event.schedule.phase_at(event.step).name
        rate = event.schedule.at(event.step)[RATE]
        bar.update(event.step + 1, f"{phase}  lr {rate:.2e}  {losses_text(middle)}")

    return Hook(Chunk, show)
