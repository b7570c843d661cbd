"""How each system is drawn, one file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import NDArray

from curriculum.draw.style import MOVING, Theme

Array = NDArray[np.float32]


@dataclass
class Stage(ABC):
    """A system on its way at every frame.

    `states` `[F, T + 1, N, D]` are those of N starts under the network of each frame, of which the first is in front; `times` `[F]` say
    how far on its way the system is shown. `dt` is the duration of a step. `limit` is how far the picture reaches.
    """

    states: Array
    times: NDArray[np.int64]
    dt: float
    limit: float = 1.0

    @abstractmethod
    def reach(self) -> float:
        """Give how far the picture must reach to hold nearly everything."""

    @abstractmethod
    def draw(self, axes: Axes, theme: Theme, unit: float) -> list[Artist]:
        """Draw once what stays, and return what moves; as `curriculum.draw.film.Panel` has it."""

    @abstractmethod
    def move(self, path: Array) -> None:
        """Move to states `[t + 1, N, D]`, the last of which are those to be shown."""

    def show(self, index: int) -> None:
        """Move to a frame."""
        time = int(self.times[index])
        self._clock.set_text(f"{time * self.dt:.2f} s")
        self.move(self.states[index, : time + 1])

    def clock(self, axes: Axes, theme: Theme) -> Text:
        """Add the system's own time to a panel."""
        self._clock = axes.text(0.985, 0.985, "", transform=axes.transAxes, ha="right", va="top", color=theme.muted, zorder=MOVING)
        return self._clock


def bare(axes: Axes, limit: float) -> None:
    """Prepare a square panel about the origin, without ticks."""
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
