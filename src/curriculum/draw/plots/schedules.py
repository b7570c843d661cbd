"""The schedules of several runs, property by property."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.plots.losses import mark_boundaries
from curriculum.store.reader import Run


def draw(runs: Sequence[Run], run_names: Sequence[str], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a panel for each property, with the curves of all runs that have it under the names that are given."""
    names = list(dict.fromkeys(name for run in runs for name in run.schedule.properties))
    last = max(run.schedule.last_step for run in runs)
    columns = 2 if len(names) > 3 else 1
    rows = -(-len(names) // columns)
    with style.themed(theme):
        figure = style.figure(10, 0.95 + 1.45 * rows)
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes, name in zip(grid.flat, names, strict=False):
            for index, run in enumerate(runs):
                if name in run.schedule.properties:
                    color = theme.runs[index % len(theme.runs)]
                    # Where curves lie on each other the lower, wider one still shows.
                    width = 1.4 + 1.4 * (len(runs) - 1 - index)
                    axes.plot(np.arange(len(run.schedule)), run.schedule.column(name), color=color, lw=width, zorder=3)
            axes.set_title(name, loc="left", fontsize="medium", pad=3)
            axes.set_xlim(0, max(last, 1))
            axes.margins(y=0.1)
            mark_boundaries(axes, runs, theme)
        for axes in list(grid.flat)[len(names) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("step")
        figure.legend(style.run_lines(len(runs), theme), run_names, loc="upper right", ncols=len(runs), bbox_to_anchor=(0.985, 1.0))
        figure.suptitle("schedules", x=0.07, ha="left", fontsize="large", fontweight="bold")
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.6 / height, bottom=0.5 / height, hspace=0.38, wspace=0.14)
    return figure
