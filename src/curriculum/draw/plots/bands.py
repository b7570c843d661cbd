"""How the error and the latents go over the steps: the median over seeds, and range of the central 80%."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.plots.losses import mark_boundaries
from curriculum.measure.bands import Curves
from curriculum.store.reader import Run

PIXELS = 900
LABEL = 28  # characters that fit beside a panel


def draw(
    runs: Sequence[Run],
    names: Sequence[str],
    found: Sequence[Curves],
    moving: Sequence[tuple[int, int]],
    measured: str,
    theme: style.Theme = style.LIGHT,
) -> Figure:
    """Draw the error and the drift speed over the steps, and the draw-up profile beside them, of runs under the names that are given.

    `moving` are the first and last steps of the stretches in which some property moves, `measured` says what the error
    is of.
    """
    last = max(run.schedule.last_step for run in runs)
    with style.themed(theme):
        figure = style.figure(12, 6)
        grid = figure.add_gridspec(2, 2, width_ratios=[3, 1], left=0.07, right=0.985, top=0.86, bottom=0.09, hspace=0.16, wspace=0.2)
        error = figure.add_subplot(grid[0, 0])
        speed = figure.add_subplot(grid[1, 0], sharex=error)
        profile = figure.add_subplot(grid[:, 1])
        for axes in (error, speed):
            style.log_scale(axes)
            for start, end in moving:
                axes.axvspan(start, end + 1, color=theme.band, lw=0, zorder=0)
            mark_boundaries(axes, runs, theme)
        lines = []
        for index, curves in enumerate(found):
            color = theme.runs[index % len(theme.runs)]
            _band(error, curves.steps, curves.error, color)
            if curves.speed.size:
                _band(speed, curves.motion_steps, curves.speed, color)
            profile.fill_between(curves.lags, curves.rise[0], curves.rise[2], color=color, alpha=0.2, lw=0)
            lines += profile.plot(curves.lags, curves.rise[1], color=color, marker="o", ms=3)
        error.set_ylabel(fill(measured, LABEL))
        speed.set_ylabel(fill("drift of the latents (per step)", LABEL))
        unmoved = [name for name, curves in zip(names, found, strict=True) if not curves.speed.size]
        if unmoved:
            text = f"too few steps to average: {', '.join(unmoved)}"
            speed.text(0.5, 0.5, text, transform=speed.transAxes, ha="center", va="center", color=theme.muted)
            if len(unmoved) == len(found):
                speed.set_yticks([], [])
                speed.minorticks_off()
        speed.set_xlabel("step (shaded: a property moved by 5% of its range within 200 steps; drift is averaged over 200 steps)")
        error.set_xlim(0, max(last, 1))
        error.tick_params(labelbottom=False)
        profile.set_xlabel("within this many steps")
        profile.set_title("largest rise (dex)", loc="left")
        profile.set_ylim(bottom=0)
        labels = [f"{name} ({len(run.seeds)} seed{'s' if len(run.seeds) > 1 else ''})" for run, name in zip(runs, names, strict=True)]
        figure.legend(lines, labels, loc="upper right", ncols=len(found), bbox_to_anchor=(0.985, 0.99))
        figure.suptitle("median over seeds, and range of the central 80%", x=0.07, y=0.97, ha="left", fontsize="large", fontweight="bold")
    return figure


def _band(axes: Axes, x: NDArray[np.int64], values: NDArray[np.float64], color: str) -> None:
    """Draw percentiles `[3, N]`; where points outnumber pixels the band is that of all points of a column."""
    at, low, _ = style.envelope(x, values[0], PIXELS)
    _, _, high = style.envelope(x, values[2], PIXELS)
    axes.fill_between(at, low, high, color=color, alpha=0.22, lw=0, zorder=2)
    style.curve(axes, x, values[1], PIXELS, color, zorder=3)
