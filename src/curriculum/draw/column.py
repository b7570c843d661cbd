"""What one column of a video shows of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum.draw.film import Panel
from curriculum.sheet.schedule import RATE, Schedule


@dataclass(frozen=True)
class Reading:
    """A number of one seed that is shown beside its run's name: `values` `[F]` at `steps` `[F]`."""

    name: str
    unit: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def at(self, step: int, with_unit: bool = True) -> str:
        """Write the last value up to a step."""
        place = int(np.searchsorted(self.steps, step, side="right")) - 1
        value = float(self.values[place]) if place >= 0 else float("nan")
        if not np.isfinite(value):
            return f"{self.name}: {'not finite' if place >= 0 else '-'}"
        if self.unit == "%":
            return f"{self.name} {value:.1f}%"
        return f"{self.name} {value:#.3g} {self.unit if with_unit else ''}".rstrip()

    @property
    def longest(self) -> str:
        """Write about the longest that is shown."""
        return max((self.at(int(step)) for step in self.steps[:: max(1, len(self.steps) // 50)]), key=len, default="")


@dataclass(frozen=True)
class Column:
    """What one column shows: a run's `panel`, its schedule, its losses, and its present error.

    `losses` are the total and the terms `[T]` at `steps` `[T]`. `color` is that of its name, None the color of all text. Where there is
    no room for the `subtitle`, the `seed` is named alone.
    """

    name: str
    subtitle: str
    schedule: Schedule
    steps: NDArray[np.int64]
    losses: Mapping[str, NDArray[np.float32]]
    panel: Panel
    color: str | None = None
    reading: Reading | None = None
    seed: str = ""


def moving(columns: Sequence[Column]) -> list[str]:
    """List the properties that are drawn: those that move, or differ between the runs; all where none does."""
    names = list(dict.fromkeys(n for c in columns for n in c.schedule.properties if n != RATE))
    return [name for name in names if moves([c.schedule.column(name) for c in columns if name in c.schedule.properties])] or names


def moves(values: Sequence[NDArray[np.float64]]) -> bool:
    """Tell whether a property moves, or differs between runs; `values` are its own `[T]` in each."""
    return len({end for own in values for end in (float(own.min()), float(own.max()))}) > 1
