"""Drivers and evaders on their plane, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from curriculum.draw.style import MOVING, Theme
from curriculum.tasks.control.drawing import Array, Stage, bare


@dataclass
class GuidanceStage(Stage):
    """The first start alone. `drivers` is their number; a cross marks where the evaders should be."""

    drivers: int = 2

    def reach(self) -> float:
        places = self.states[:, :, 0, : self.states.shape[-1] // 2]
        return float(np.nanquantile(np.abs(places), 0.95)) * 1.2

    def draw(self, axes: Axes, theme: Theme, unit: float) -> list[Artist]:
        bare(axes, self.limit)
        axes.plot([0], [0], "+", color=theme.muted, ms=14 * unit, zorder=1)
        count = self.states.shape[-1] // 4
        driving, fleeing = theme.palette[1], theme.palette[0]
        colors = [driving] * self.drivers + [fleeing] * (count - self.drivers)
        self._ways = LineCollection([], colors=colors, linewidths=0.9 * unit, alpha=0.6, zorder=MOVING)
        axes.add_collection(self._ways, autolim=False)
        (self._driving,) = axes.plot([], [], "^", color=driving, ms=8 * unit, zorder=MOVING)
        (self._fleeing,) = axes.plot([], [], "o", color=fleeing, ms=6 * unit, zorder=MOVING)
        return [self._ways, self._driving, self._fleeing, self.clock(axes, theme)]

    def move(self, path: Array) -> None:
        places = path[:, 0, : path.shape[-1] // 2].reshape(len(path), -1, 2)
        self._ways.set_segments(list(places.swapaxes(0, 1)))
        self._driving.set_data(*places[-1, : self.drivers].T)
        self._fleeing.set_data(*places[-1, self.drivers :].T)
