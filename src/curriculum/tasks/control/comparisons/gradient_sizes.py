"""How long the gradients are over training, of all runs of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.plots.losses import mark_boundaries
from curriculum.store.reader import Run
from curriculum.tasks.control.curves import size_bands

PANELS = ("as the sheet asks", "regular", "modified", "combined")
PIXELS = 400


def draw(runs: Sequence[Run], names: Sequence[str], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw the norm that each run's sheet asks for, and those of the three rules on the weights of the same step, before clipping.

    Lines are medians over seeds, bands the range of the central 80%.
    """
    found = [size_bands(run) for run in runs]
    with style.themed(theme):
        figure = style.figure(12, 4.1)
        panels = list(figure.subplots(1, len(PANELS), sharex=True, sharey=True))
        style.log_scale(panels[0])
        panels[0].set_ylim(*style.log_limits([own for _, bands in found for panel in bands for own in panel], trim=1))
        for place, (axes, title) in enumerate(zip(panels, PANELS, strict=True)):
            mark_boundaries(axes, runs, theme)
            for index, (steps, bands) in enumerate(found):
                color = theme.runs[index % len(theme.runs)]
                low, middle, high = (np.where(own > 0, own, np.nan) for own in bands[place])
                at, lowest, _ = style.envelope(steps, low, PIXELS)
                _, _, highest = style.envelope(steps, high, PIXELS)
                axes.fill_between(at, lowest, highest, color=color, alpha=0.2, lw=0, zorder=2)
                style.curve(axes, steps, middle, PIXELS, color, zorder=3)
            axes.set_title(title, loc="left")
            axes.set_xlabel("step")
        panels[0].set_xlim(0, max(1, *(run.schedule.last_step for run in runs)))
        panels[0].set_ylabel("norm of the gradient")
        labels = [f"{name} ({len(run.seeds)} seed{'s' if len(run.seeds) > 1 else ''})" for run, name in zip(runs, names, strict=True)]
        figure.legend(style.run_lines(len(runs), theme), labels, loc="lower center", ncols=len(runs), bbox_to_anchor=(0.525, 0.0))
        title = "gradients on fixed test states: median over seeds, central 80%"
        figure.suptitle(title, x=0.06, y=0.975, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(left=0.06, right=0.99, top=0.83, bottom=0.2, wspace=0.07)
    return figure
