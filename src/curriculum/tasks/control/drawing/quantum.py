"""The probability density of a particle in its box, over that of the state to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from curriculum.draw.style import MOVING, Theme
from curriculum.tasks.control.drawing import Array, Stage


@dataclass
class QuantumStage(Stage):
    """The first start in front, the others faint. `places` `[P]` are the points, `goal` `[P]` is the density to be reached."""

    places: Array = field(default_factory=lambda: np.empty(0, np.float32))
    goal: Array = field(default_factory=lambda: np.empty(0, np.float32))

    def reach(self) -> float:
        return float(max(1.1 * self.goal.max(), np.nanquantile(_density(self.states), 0.999)))

    def draw(self, axes: Axes, theme: Theme, unit: float) -> list[Artist]:
        axes.set_xlim(0, self.places[0] + self.places[-1])
        axes.set_ylim(0, self.limit)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.fill_between(self.places, self.goal, color=theme.faint, alpha=0.5, lw=0, zorder=1)
        self._behind = [
            axes.plot([], [], color=theme.palette[0], lw=unit, alpha=0.25, zorder=MOVING)[0] for _ in range(self.states.shape[2] - 1)
        ]
        (self._front,) = axes.plot([], [], color=theme.palette[0], lw=2.5 * unit, zorder=MOVING)
        return [*self._behind, self._front, self.clock(axes, theme)]

    def move(self, path: Array) -> None:
        for line, density in zip([self._front, *self._behind], _density(path[-1]), strict=True):
            line.set_data(self.places, density)


def _density(states: Array) -> Array:
    real, imaginary = np.split(states, 2, axis=-1)
    return np.asarray(real**2 + imaginary**2)
