"""How the error, the scores and the latents go over the steps: the median over seeds, and range of the central 80%."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.page import NARROW, finish, page, step_axis, wrapped
from curriculum.draw.plots.losses import boundary_note, mark_boundaries
from curriculum.measure.bands import Curves
from curriculum.store.reader import Run

PIXELS = 900
FIRST = 0.1  # of the steps, in which a score may lie below its panel
DRIFT = "drift of the latents (per step, averaged over 200 steps)"
RISE = "largest rise of the error (dex)"


def draw(
    runs: Sequence[Run],
    names: Sequence[str],
    found: Sequence[Curves],
    moving: Sequence[tuple[int, int]],
    measured: str,
    theme: style.Theme = style.LIGHT,
) -> Figure:
    """Draw the error, each score and the drift speed over the steps, and the draw-up profile beside them, or below on a narrow page.

    `names` are those of the runs, `moving` the first and last steps of the stretches in which some property moves, and `measured`
    says what the error is of. Runs without latents have no drift; those of a training loop of a user's own have scores alone.
    """
    last = max(run.schedule.last_step for run in runs)
    scores = list(dict.fromkeys(name for curves in found for name in curves.scores))
    latents = any(run.has_latents for run in runs)
    followed = [measured] if any(len(curves.steps) for curves in found) else []
    titles = [*followed, *scores, *([DRIFT] if latents else [])]
    with style.themed(theme):
        width = theme.width or 12
        beside = bool(followed) and width >= NARROW
        below = bool(followed) and not beside
        high = 1.5 if below else 2.7 if len(titles) == 1 else 2.1
        figure = page(theme, 12, 2.1 * max(len(titles), 2) if beside else high * (len(titles) + below))
        grid = figure.add_gridspec(len(titles) + below, 2 if beside else 1, width_ratios=[3, 1] if beside else None)
        first = figure.add_subplot(grid[0, 0])
        rows = [first, *(figure.add_subplot(grid[row, 0], sharex=first) for row in range(1, len(titles)))]
        inches = width * (0.75 if beside else 1) - 0.9
        scored = rows[len(followed) :]
        for axes, title in zip(rows, titles, strict=True):
            axes.set_title(wrapped(figure, title, inches, theme.size), loc="left", fontsize=theme.size, pad=3)
            for start, end in moving:
                axes.axvspan(start, end + 1, color=theme.band, lw=0, zorder=0)
            mark_boundaries(axes, runs, theme)
        for index, curves in enumerate(found):
            color = theme.runs[index % len(theme.runs)]
            for axes, name in zip(scored, scores, strict=False):
                if name in curves.scores:
                    _band(axes, *curves.scores[name], color)
        if followed:
            style.log_scale(first)
            for index, curves in enumerate(found):
                _band(first, curves.steps, curves.error, theme.runs[index % len(theme.runs)])
            _profile(figure.add_subplot(grid[:, 1] if beside else grid[-1, 0]), found, theme, width / 4 - 0.6 if beside else inches)
        for axes, name in zip(scored, scores, strict=False):
            axes.set_ylim(*_limits([curves.scores[name] for curves in found if name in curves.scores], last))
        if latents:
            _drift(rows[-1], names, found, theme)
        step_axis(rows[-1], last, inches, theme)
        for axes in rows[:-1]:
            axes.tick_params(labelbottom=False)
        lines = style.run_lines(len(found), theme)
        labels = [f"{name} ({len(run.seeds)} seed{'s' if len(run.seeds) > 1 else ''})" for run, name in zip(runs, names, strict=True)]
        notes = ["Shaded: a property moves by 5% of its range within 200 steps."] if moving else []
        return finish(
            figure, theme, "Median over seeds, and range of the central 80%", lines, labels, " ".join((*notes, *boundary_note(runs)))
        )


def _profile(axes: Axes, found: Sequence[Curves], theme: style.Theme, inches: float) -> None:
    """Draw the largest rise of the error of each run within some steps."""
    for index, curves in enumerate(found):
        color = theme.runs[index % len(theme.runs)]
        axes.fill_between(curves.lags, curves.rise[0], curves.rise[2], color=color, alpha=0.2, lw=0)
        axes.plot(curves.lags, curves.rise[1], color=color, marker="o", ms=3)
    axes.set_xlabel("within this many steps")
    axes.set_title(wrapped(cast(Figure, axes.get_figure()), RISE, inches, theme.size), loc="left", fontsize=theme.size, pad=3)
    axes.set_ylim(bottom=0)


def _limits(curves: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]], last: int) -> tuple[float, float]:
    """Find limits that hold the bands of a score but for its first steps, whose change would hide every difference."""
    late = [values[:, steps >= FIRST * last] for steps, values in curves]
    kept = [own if own.size else values for own, (_, values) in zip(late, curves, strict=True)]
    finite = [own[np.isfinite(own)] for own in kept if np.isfinite(own).any()] or [np.zeros(1)]
    low, high = min(float(own.min()) for own in finite), max(float(own.max()) for own in finite)
    return low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)


def _drift(axes: Axes, names: Sequence[str], found: Sequence[Curves], theme: style.Theme) -> None:
    """Draw how fast the latents of each run drift; runs that are too short for that are named."""
    style.log_scale(axes)
    for index, curves in enumerate(found):
        if curves.speed.size:
            _band(axes, curves.motion_steps, curves.speed, theme.runs[index % len(theme.runs)])
    unmoved = [name for name, curves in zip(names, found, strict=True) if not curves.speed.size]
    if unmoved:
        text = f"too few steps to average:\n{', '.join(unmoved)}"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=theme.muted)
        if len(unmoved) == len(found):
            axes.set_yticks([], [])
            axes.minorticks_off()


def _band(axes: Axes, x: NDArray[np.int64], values: NDArray[np.float64], color: str) -> None:
    """Draw percentiles `[3, N]`; where points outnumber pixels the band is that of all points of a column."""
    at, low, _ = style.envelope(x, values[0], PIXELS)
    _, _, high = style.envelope(x, values[2], PIXELS)
    axes.fill_between(at, low, high, color=color, alpha=0.22, lw=0, zorder=2)
    style.curve(axes, x, values[1], PIXELS, color, zorder=3)
