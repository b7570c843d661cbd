"""The schedules of several runs, property by property: those that move, or differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.page import NARROW, finish, page, step_axis, wrapped
from curriculum.draw.plots.losses import boundary_note, mark_boundaries
from curriculum.store.reader import Run

PIXELS = 900
DOTS = (0, (1, 1.5))


def draw(runs: Sequence[Run], run_names: Sequence[str], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a panel for each property, with the curves of all runs under the names that are given.

    A run whose sheet does not have a property is drawn at its default, where that is known. Properties that have one value in all
    runs and at all steps are listed below.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.schedule.properties))
    values = {name: [_values(run, name) for run in runs] for name in names}
    resting = [name for name in names if len({value for own in values[name] for value in _range(own)}) == 1 and len(names) > 1]
    moving = [name for name in names if name not in resting] or names[:1]
    last = max(run.schedule.last_step for run in runs)
    with style.themed(theme):
        width = theme.width or 10
        columns = 2 if len(moving) > 1 and width >= NARROW else 1
        rows = -(-len(moving) // columns)
        figure = page(theme, 10, 2.2 if rows == 1 else rows * 1.35)
        grid = figure.subplots(rows, columns, squeeze=False)
        inches = width / columns - 0.7
        for place, (axes, name) in enumerate(zip(grid.flat, moving, strict=False)):
            if all(track.space == "log" for run in runs for track in run.schedule.tracks if track.name == name):
                style.log_scale(axes)
            for index, (run, own) in enumerate(zip(runs, values[name], strict=True)):
                if own is not None:
                    # Where curves lie on each other the lower, wider one still shows.
                    lw = (1.4 + 1.1 * (len(runs) - 1 - index)) * (1 if width >= NARROW else 0.7)
                    ls = "-" if name in run.schedule.properties else DOTS
                    axes.plot(*_thinned(own), color=theme.runs[index % len(theme.runs)], lw=lw, ls=ls, zorder=3)
            axes.set_title(wrapped(figure, name, inches, theme.size), loc="left", fontsize=theme.size, pad=3)
            axes.margins(y=0.1)
            mark_boundaries(axes, runs, theme)
            step_axis(axes, last, inches, theme, label=place >= len(moving) - columns)
        for axes in list(grid.flat)[len(moving) :]:
            axes.set_visible(False)
        return finish(figure, theme, "Schedules", style.run_lines(len(runs), theme), run_names, _note(runs, run_names, values, resting))


def _note(
    runs: Sequence[Run], run_names: Sequence[str], values: dict[str, list[NDArray[np.float64] | None]], resting: Sequence[str]
) -> str:
    """Say what rests, and of which runs a property is not in the sheet."""
    resting_at = [f"{name} {next(own[0] for own in values[name] if own is not None):g}" for name in resting]
    notes = [f"The same at every step of all runs: {', '.join(resting_at)}."] if resting_at else []
    for name, own in values.items():
        without = [
            (run_name, found)
            for run, run_name, found in zip(runs, run_names, own, strict=True)
            if name not in run.schedule.properties and name not in resting
        ]
        if without:
            known = [found for _, found in without if found is not None]
            how = f" (dotted: its default, {known[0][0]:g})" if known else ""
            notes.append(f"{name} is not a column of {' and '.join(run_name for run_name, _ in without)}{how}.")
    return " ".join((*notes, *boundary_note(runs)))


def _values(run: Run, name: str) -> NDArray[np.float64] | None:
    """Give the values of a property `[T]`: where the sheet has none, the default that the run says; None where it says none."""
    if name in run.schedule.properties:
        return run.schedule.column(name)
    default = run.manifest.get("defaults", {}).get(name)
    return None if default is None else np.full(len(run.schedule), default)


def _range(values: NDArray[np.float64] | None) -> tuple[float | None, float | None]:
    return (None, None) if values is None else (float(values.min()), float(values.max()))


def _thinned(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Leave out steps within a pixel's width, but for the lowest and the highest value there and those at its ends."""
    if len(values) <= 4 * PIXELS:
        return np.arange(len(values)), values
    edges = np.unique(np.linspace(0, len(values), PIXELS + 1).astype(int))
    kept = {
        first + offset
        for first, end in pairwise(edges)
        for offset in (0, int(values[first:end].argmin()), int(values[first:end].argmax()), end - first - 1)
    }
    steps = np.array(sorted(kept))
    return steps, values[steps]
