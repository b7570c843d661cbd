"""The picture of which the video is made: a column for each run, drawn once and then moved.

What changes from frame to frame is on top of everything else, so that a frame can be drawn on a
stored background and still equals a full drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.film import Look, Panel
from curriculum.draw.plots.timeline import draw_values, panels
from curriculum.draw.style import MOVING
from curriculum.sheet.schedule import RATE, Schedule

FONT = 12.5 / 900  # of the picture's height
MOST_COLUMNS = 4
LEGEND: dict[str, Any] = {"alignment": "left", "handlelength": 1.4}


@dataclass(frozen=True)
class Column:
    """What one column shows: a run's `panel`, its schedule and its losses.

    `losses` are the total and the terms `[T]` at `steps` `[T]`. `color` is that of its name, None the color of all text.
    """

    name: str
    subtitle: str
    schedule: Schedule
    steps: NDArray[np.int64]
    losses: Mapping[str, NDArray[np.float32]]
    panel: Panel
    color: str | None = None


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a column are, in pixels from its left and the picture's top."""

    left: float
    right: float
    square: float
    square_left: float
    square_top: float
    panels: tuple[tuple[float, float], ...]


class Scene:
    """The picture at any frame. `figure` is a matplotlib figure, `moving` what changes in it."""

    def __init__(self, columns: Sequence[Column], frames: Sequence[int], look: Look):
        """Draw everything for frames at the steps `frames` `[F]`."""
        self.columns = columns
        self.frames = frames
        self.look = look
        self.theme = style.THEMES[look.theme]
        self.moving: list[Artist] = []
        self._cursors: list[list[Line2D]] = []
        self._bars: list[list[Axes]] = []
        self._steps: list[Text] = []
        self._phases: list[Text] = []
        self._last = max(column.schedule.last_step for column in columns)
        self._properties = list(dict.fromkeys(n for c in columns for n in c.schedule.properties if n != RATE))
        self._terms = list(dict.fromkeys(n for c in columns for n in c.losses if n != "total"))
        self._names = list(dict.fromkeys([*self._properties, *self._terms]))  # each has one color in the whole picture
        with style.themed(self.theme, size=FONT * look.height * 72 / 100):
            self.figure = style.figure(look.width / 100, look.height / 100, dpi=100)
            for index in range(len(columns)):
                self._draw_column(index)
            self._share_limits()
            self._draw_legends()
        self.show(0)

    def show(self, index: int) -> bool:
        """Move everything to a frame; tell whether more changed than `moving`, as where a phase starts."""
        step, before = self.frames[index], [text.get_text() for text in self._phases]
        for number, column in enumerate(self.columns):
            at = min(step, column.schedule.last_step)
            column.panel.show(index)
            for cursor in self._cursors[number]:
                cursor.set_xdata([at, at])
            ended = " (end)" if step > column.schedule.last_step else ""
            self._steps[number].set_text(f"{at:,}")
            self._phases[number].set_text(f"{column.schedule.phase_at(at).name}{ended}   step")
        return before != [text.get_text() for text in self._phases]

    def _layout(self) -> _Layout:
        width, height = self.look.width / len(self.columns), self.look.height
        unit = height / 900
        margin_left, margin_right = 64 * unit, 22 * unit
        strip = 34 * unit if self._narrow() else 0.0
        square = min(420 * unit, width - margin_left - margin_right)
        top = 62 * unit
        room = height - strip - 42 * unit - (top + square + 36 * unit)
        gap = 14 * unit
        shares = (0.38, 0.17, 0.45)
        heights = [(room - 2 * gap) * share for share in shares]
        tops = [top + square + 36 * unit]
        for own in heights[:-1]:
            tops.append(tops[-1] + own + gap)
        spare = width - margin_left - margin_right - square
        return _Layout(
            left=margin_left,
            right=width - margin_right,
            square=square,
            square_left=margin_left + (spare / 2 if self._narrow() else min(spare / 2, 110 * unit)),
            square_top=top,
            panels=tuple(zip(tops, heights, strict=True)),
        )

    def _narrow(self) -> bool:
        """Tell whether a column has no room for its legend beside the latent space."""
        return len(self.columns) > 2 or self.look.width / len(self.columns) < 0.8 * self.look.height

    def _axes(self, index: int, left: float, top: float, width: float, height: float) -> Axes:
        x = index * self.look.width / len(self.columns) + left
        box = (x / self.look.width, 1 - (top + height) / self.look.height, width / self.look.width, height / self.look.height)
        return self.figure.add_axes(box)

    def _draw_column(self, index: int) -> None:
        column, layout, theme = self.columns[index], self._layout(), self.theme
        unit = self.look.height / 900
        square = self._axes(index, layout.square_left, layout.square_top, layout.square, layout.square)
        moving = column.panel.draw(square, theme, unit)
        bars = [self._axes(index, layout.left, top, layout.right - layout.left, height) for top, height in layout.panels]
        for axes in bars:
            style.bands(axes, column.schedule.phases, theme)
        shown = [name for group in panels(column.schedule) for name in group if name != RATE]
        draw_values(bars[0], column.schedule, shown, theme, keys=False, lw=1.3 * unit, names_in_order=self._names)
        draw_values(bars[1], column.schedule, [RATE] if RATE in column.schedule.properties else [], theme, keys=False, lw=1.3 * unit)
        pixels = int(layout.right - layout.left)
        style.log_scale(bars[2])
        for name in reversed(["total", *self._terms]):
            if name in column.losses and np.isfinite(column.losses[name]).any():
                color = style.color_of(name, self._names, theme)
                style.curve(bars[2], column.steps, column.losses[name], pixels, color, lw=0.9 * unit)
        for axes, label in zip(bars, ("schedule", RATE, "loss"), strict=True):
            axes.set_xlim(0, max(self._last, 1))
            axes.set_ylabel(label)
            axes.yaxis.set_label_coords(-40 * unit / (layout.right - layout.left), 0.5)
        for axes in bars[:-1]:
            axes.tick_params(labelbottom=False)
        bars[-1].set_xlabel("step", labelpad=1)
        cursors = [
            axes.plot([0, 0], [0, 1], transform=axes.get_xaxis_transform(), color=theme.cursor, lw=1.4 * unit, zorder=MOVING)[0]
            for axes in bars
        ]
        head = self._axes(index, layout.left, 12 * unit, layout.right - layout.left, 42 * unit)
        head.set_axis_off()
        size = 15 * unit * 72 / 100
        head.text(0, 0.62, column.name, fontsize=size * 1.25, fontweight="bold", va="center", color=column.color)
        head.text(0, 0.05, column.subtitle, fontsize=size * 0.72, va="center", color=theme.muted)
        # The step changes with every frame, what stands before it seldom: its place is kept free.
        step = head.text(1, 0.5, f"{self._last:,}", fontsize=size, ha="right", va="center", zorder=MOVING)
        room = step.get_window_extent(self.figure.canvas.get_renderer()).width / head.bbox.width  # type: ignore[attr-defined]
        phase = head.text(1 - room - 0.012, 0.5, "", fontsize=size, ha="right", va="center")
        self._cursors.append(cursors)
        self._steps.append(step)
        self._phases.append(phase)
        self.moving += [*moving, *cursors, step]
        self._bars.append(bars)

    def _share_limits(self) -> None:
        """Give the same panel the same limits in every column."""
        for row in range(2):
            if len({bars[row].get_yscale() for bars in self._bars}) > 1:
                continue  # one in a log space, one not: no limits suit both
            lows, highs = zip(*(bars[row].get_ylim() for bars in self._bars), strict=True)
            low, high = min(lows), max(highs)
            if self._bars[0][row].get_yscale() == "linear" and 0 < low < high < 1.2 * low:
                low = 0.0  # a property that rests needs no ticks of four digits
            for bars in self._bars:
                bars[row].set_ylim(low, high)
        limits = style.log_limits([values for column in self.columns for values in column.losses.values()], trim=2)
        for bars in self._bars:
            bars[2].set_ylim(*limits)

    def _draw_legends(self) -> None:
        """Name the curves: beside the latent space where there is room, else once along the bottom."""
        theme, layout = self.theme, self._layout()
        props, losses = self._properties, ["total", *self._terms]
        lines = {name: Line2D([], [], color=style.color_of(name, self._names, theme)) for name in (*props, *losses)}
        if self._narrow():
            columns = min(len(lines), max(4, math.floor(self.look.width / self.look.height * 7)))
            self.figure.legend(
                list(lines.values()), list(lines), loc="lower center", ncols=columns, borderaxespad=0.2, handlelength=1.2, columnspacing=1.2
            )
            return
        for index in range(len(self.columns)):
            beside = self._axes(index, layout.square_left + layout.square, layout.square_top, 1, layout.square)
            beside.set_axis_off()
            upper, lower = ([lines[name] for name in names] for names in (props, losses))
            first = beside.legend(upper, props, loc="upper left", bbox_to_anchor=(18, 1), title="schedule", **LEGEND)
            beside.add_artist(first)
            beside.legend(lower, losses, loc="lower left", bbox_to_anchor=(18, 0), title="loss", **LEGEND)
