"""The losses of runs over the steps, on a log scale: the total and every component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.page import NARROW, finish, page, step_axis, wrapped
from curriculum.measure.trace import ranked_by
from curriculum.store.reader import Run

DASHES: tuple[float, tuple[float, float]] = (0, (4, 3))
PIXELS = 900  # columns of the envelope: about the panel's width in pixels
ROW = 11  # points of a row of phases' names
EARLY = 0.6  # of the steps: a term that ends before that has an axis of its own
TOTAL, WEIGHED = "total", "total (the sum of the terms times their weights)"


def draw(runs: Sequence[Run], run_names: Sequence[str], seed_indices: Sequence[int], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw one panel for the total and one for each term, all runs in each under the names that are given: one seed of each run."""
    data = [logged(run, index) for run, index in zip(runs, seed_indices, strict=True)]
    names = shown_losses(data)
    last = max(run.schedule.last_step for run in runs)
    ends = {name: _end(name, data) for name in names}
    with style.themed(theme):
        width = theme.width or 10
        columns = 2 if width >= NARROW and len(names) > 2 else 1
        # The total is as wide as the page; the terms stand below it.
        wide = columns > 1 and len(names) % 2 == 1
        rows = -(-(len(names) + wide) // columns)
        figure = page(theme, 10, 2.4 if rows == 1 else rows * (1.55 if width >= NARROW else 1.25))
        grid = figure.add_gridspec(rows, columns)
        cells = [grid[0, :]] if wide else []
        cells += [grid[row, column] for row in range(wide, rows) for column in range(columns)]
        panels = [figure.add_subplot(cell) for cell in cells[: len(names)]]
        for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
            style.log_scale(axes)
            curves = [values[name] for _, values in data if name in values]
            axes.set_ylim(*style.log_limits(curves, trim=0.5))
            for index, (steps, values) in enumerate(data):
                if name in values and np.isfinite(values[name]).any():
                    shown = steps <= ends[name]
                    style.curve(axes, steps[shown], values[name][shown], PIXELS, theme.runs[index % len(theme.runs)])
            early = ends[name] < EARLY * last
            title = WEIGHED if name == TOTAL and not any(run.tracked for run in runs) else name
            title = f"{title} (until step {ends[name]:,})" if early else title
            inches = (width if columns == 1 or (wide and not place) else width / 2) - 0.8
            labelled = 0
            if len(runs) == 1 and not place:
                labelled = style.bands(axes, runs[0].schedule.phases, theme, labels=True, width=15 * inches)
            axes.set_title(wrapped(figure, title, inches, theme.size), loc="left", fontsize=theme.size, pad=3 + ROW * labelled)
            mark_boundaries(axes, runs, theme)
            bottom = place >= len(names) - columns
            step_axis(axes, round(1.03 * ends[name]) if early else last, inches, theme, label=bottom)
        return finish(figure, theme, *_said(runs, run_names, seed_indices, theme))


def _said(
    runs: Sequence[Run], names: Sequence[str], seed_indices: Sequence[int], theme: style.Theme
) -> tuple[str, Sequence[Any], Sequence[str], str]:
    """Give the title, the legend and the note: which seeds are shown, what is drawn, and what the lines mean."""
    seeds = [run.seeds[index] for run, index in zip(runs, seed_indices, strict=True)]
    same = len(set(seeds)) == 1
    several = any(len(run.seeds) > 1 for run in runs)
    title = f"Losses of {names[0]}" if len(runs) == 1 else "Losses"
    title += f", seed {seeds[0]}" if same and (several or len(runs) == 1) else ""
    labels = [] if len(runs) == 1 else list(names) if same else [f"{name} (seed {seed})" for name, seed in zip(names, seeds, strict=True)]
    notes = ["Shaded: the range within each pixel."]
    if len(runs[0].seeds) > 1:
        notes.insert(0, f"Seed {seeds[0]} has the median {ranked_by(runs[0])} of {names[0]}'s {len(runs[0].seeds)} seeds.")
    if not any(run.tracked for run in runs):
        notes.append("Terms are as the task computes them, before their weights.")
    notes += boundary_note(runs)
    return title, style.run_lines(len(runs), theme) if labels else [], labels, " ".join(notes)


def shown_losses(data: Sequence[tuple[NDArray[np.int64], Mapping[str, NDArray[np.float32]]]]) -> list[str]:
    """List the losses that are drawn: the total and the terms, but not a total that is its only term."""
    names = list(dict.fromkeys(name for _, values in data for name in values))
    if len(names) == 2 and names[0] == TOTAL:
        only = names[1]
        if all(only in values and np.array_equal(values[TOTAL], values[only], equal_nan=True) for _, values in data):
            return [only]
    return names


def _end(name: str, data: Sequence[tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]]) -> int:
    """Find the last step at which any run has a value of a loss."""
    there = [steps[np.isfinite(values[name])] for steps, values in data if name in values]
    return max((int(own[-1]) for own in there if len(own)), default=0)


def logged(run: Run, seed_index: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]:
    """Read the losses of one seed, as `Run.losses` does.

    What a training loop logged now and then is joined by lines. Its judged metrics of which more is better are left out, unless there
    is nothing else.
    """
    steps, values = run.losses(seed_index)
    if not run.tracked:
        return steps, values
    found = {}
    for name, own in values.items():
        there = np.isfinite(own)
        if there.any():
            inside = (steps >= steps[there][0]) & (steps <= steps[there][-1])
            found[name] = np.where(inside, np.interp(steps, steps[there], own[there]), np.nan).astype(np.float32)
    # An accuracy is no loss, and flat on their log scale: the bands of a comparison show it.
    judged = run.manifest["look"]["scores"]
    losses = {name: own for name, own in found.items() if name not in judged or judged[name]["better"] == "lower"}
    return steps, losses or found


def any_logged(runs: Sequence[Run], seed_indices: Sequence[int]) -> bool:
    """Tell whether there is a loss to draw, of one seed of each run: a training loop of a user's own may log nothing."""
    found = (logged(run, index) for run, index in zip(runs, seed_indices, strict=True))
    return any(len(steps) and values for steps, values in found)


def mark_boundaries(axes: Axes, runs: Sequence[Run], theme: style.Theme) -> None:
    """Mark where phases start: in gray where they do in all runs, else in each run's color."""
    starts = [{phase.start for phase in run.schedule.phases[1:]} for run in runs]
    shared = set.intersection(*starts)
    for start in sorted(shared):
        axes.axvline(start, color=theme.faint, lw=0.8, ls="-" if len(runs) == 1 else DASHES, zorder=1)
    for index, own in enumerate(starts):
        color = theme.runs[index % len(theme.runs)]
        for start in sorted(own - shared):
            axes.axvline(start, color=color, lw=0.8, ls=(3.5 * (index % 2), DASHES[1]), alpha=0.7, zorder=1)


def boundary_note(runs: Sequence[Run]) -> list[str]:
    """Say what `mark_boundaries` draws, if anything."""
    starts = [{phase.start for phase in run.schedule.phases[1:]} for run in runs]
    if not any(starts):
        return []
    if len(runs) == 1:
        return ["Gray lines: a phase starts."]
    every, some = bool(set.intersection(*starts)), len({frozenset(own) for own in starts}) > 1
    how = "in gray where it does in all runs, else in the color of its run" if every and some else "in the color of its run" if some else ""
    return [f"Dashed: a phase starts{', ' if how else ''}{how}."]
