"""A cart and its poles, seen by a camera that goes along with the cart, and the way of the poles' tips about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from curriculum.draw.style import MOVING, Theme
from curriculum.tasks.control.drawing import Array, Stage, bare

FAINT = 0.3
MARK = 0.5  # meters between the marks on the ground


@dataclass
class CartPoleStage(Stage):
    """The first start in front, with the way of its tips about the cart; the poles of the others faint on the same cart.

    `length` is that of a pole.
    """

    length: float = 1.0

    def reach(self) -> float:
        return 1.25 * self.length

    def draw(self, axes: Axes, theme: Theme, unit: float) -> list[Artist]:
        bare(axes, self.limit)
        axes.axhline(0, color=theme.faint, lw=unit, zorder=1)
        colors = [theme.palette[k % len(theme.palette)] for k in range(self._poles)]
        self._ground = LineCollection([], colors=theme.faint, linewidths=unit, zorder=MOVING)
        self._behind = LineCollection([], colors=colors, linewidths=1.5 * unit, alpha=FAINT, zorder=MOVING)
        self._ways = LineCollection([], colors=colors, linewidths=unit, alpha=0.7, zorder=MOVING)
        self._rods = LineCollection([], colors=colors, linewidths=5 * unit, capstyle="round", zorder=MOVING)
        for lines in (self._ground, self._behind, self._ways, self._rods):
            axes.add_collection(lines, autolim=False)
        width, height = 0.17 * self.length, 0.09 * self.length
        axes.fill_between([-width, width], -height, height, color=theme.muted, lw=0, zorder=2)
        self._place = axes.text(0.015, 0.985, "", transform=axes.transAxes, ha="left", va="top", color=theme.muted, zorder=MOVING)
        return [self._ground, self._behind, self._ways, self._rods, self._place, self.clock(axes, theme)]

    @property
    def _poles(self) -> int:
        return int(self.states.shape[-1]) // 2 - 1

    def move(self, path: Array) -> None:
        tips = self._tips(path)
        rods = np.stack([np.zeros_like(tips[-1]), tips[-1]], -2)  # [N, n, 2, 2]
        self._behind.set_segments(list(rods[1:].reshape(-1, 2, 2)))
        self._ways.set_segments(list(tips[:, 0].swapaxes(0, 1)))
        self._rods.set_segments(list(rods[0]))
        place = float(path[-1, 0, 0])
        marks = np.arange(-self.limit - place % MARK, self.limit + MARK, MARK) + self.limit % MARK
        self._ground.set_segments([[(mark, 0.0), (mark, -0.04 * self.limit)] for mark in marks])
        self._place.set_text(f"cart at {place:+.1f} m")

    def _tips(self, path: Array) -> Array:
        """Give where each tip is, seen from its cart: `[t + 1, N, n, 2]`."""
        angles = path[..., 1 : self._poles + 1]
        return np.asarray(self.length * np.stack([np.sin(angles), np.cos(angles)], -1), dtype=np.float32)
