"""The losses of runs over the steps, on a log scale: the total and every component."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.store.reader import Run

PIXELS = 900  # columns of the envelope: about the panel's width in pixels


def draw(runs: Sequence[Run], run_names: Sequence[str], seed_indices: Sequence[int], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw one panel for the total and one for each term, all runs in each under the names that are given: one seed of each run."""
    data = [logged(run, index) for run, index in zip(runs, seed_indices, strict=True)]
    names = list(dict.fromkeys(name for _, values in data for name in values))
    last = max(run.schedule.last_step for run in runs)
    with style.themed(theme):
        figure = style.figure(10, 0.9 + 1.35 * len(names))
        rows = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(rows, names, strict=True):
            style.log_scale(axes)
            curves = [values[name] for _, values in data if name in values]
            axes.set_ylim(*style.log_limits(curves, trim=0.5))
            for index, (steps, values) in enumerate(data):
                if name in values and np.isfinite(values[name]).any():
                    color = theme.runs[index % len(theme.runs)]
                    style.curve(axes, steps, values[name], PIXELS, color)
            axes.set_ylabel(name)
            axes.set_xlim(0, max(last, 1))
            mark_boundaries(axes, runs, theme)
        if len(runs) == 1:
            style.bands(rows[0], runs[0].schedule.phases, theme, labels=True, width=150)
        if len(runs) > 1:
            rows[0].legend(
                style.run_lines(len(runs), theme), run_names, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(runs), borderaxespad=0.2
            )
        rows[-1].set_xlabel("step")
        named = [f"{run_name} (seed {run.seeds[index]})" for run, run_name, index in zip(runs, run_names, seed_indices, strict=True)]
        title = f"losses of {' and '.join(named)}; shaded: range within each pixel"
        figure.suptitle(title, x=0.09, y=1 - 0.12 / figure.get_figheight(), ha="left", fontsize="medium", fontweight="bold")
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.09, right=0.98, top=1 - 0.62 / height, bottom=0.5 / height, hspace=0.14)
        figure.align_ylabels(rows)
    return figure


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


def mark_boundaries(axes: Axes, runs: Sequence[Run], theme: style.Theme) -> None:
    """Mark where phases start: in gray for a single run, else in each run's color."""
    for index, run in enumerate(runs):
        color = theme.faint if len(runs) == 1 else theme.runs[index % len(theme.runs)]
        for phase in run.schedule.phases[1:]:
            axes.axvline(phase.start, color=color, lw=0.8, ls="-" if len(runs) == 1 else (0, (4, 3)), alpha=0.7, zorder=1)
