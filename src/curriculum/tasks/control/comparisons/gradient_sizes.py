"""How long the gradients are over training, of all runs of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.page import finish, page, step_axis, wrapped
from curriculum.draw.plots.losses import boundary_note, mark_boundaries
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
        width = theme.width or 12
        across = len(PANELS) if width >= 9 else 2
        figure = page(theme, 12, 2.9 if across > 2 else 1.6 * len(PANELS) / across)
        panels = list(figure.subplots(-(-len(PANELS) // across), across, sharex=True, sharey=True).flat)
        style.log_scale(panels[0])
        panels[0].set_ylim(*style.log_limits([own for _, bands in found for panel in bands for own in panel], trim=1))
        last = max(run.schedule.last_step for run in runs)
        for place, (axes, title) in enumerate(zip(panels, PANELS, strict=True)):
            mark_boundaries(axes, runs, theme)
            for index, (steps, bands) in enumerate(found):
                color = theme.runs[index % len(theme.runs)]
                low, middle, high = (np.where(own > 0, own, np.nan) for own in bands[place])
                at, lowest, _ = style.envelope(steps, low, PIXELS)
                _, _, highest = style.envelope(steps, high, PIXELS)
                axes.fill_between(at, lowest, highest, color=color, alpha=0.2, lw=0, zorder=2)
                style.curve(axes, steps, middle, PIXELS, color, zorder=3)
            inches = width / across - 0.3
            axes.set_title(wrapped(figure, title, inches, theme.size), loc="left", fontsize=theme.size, pad=3)
            step_axis(axes, last, inches, theme, label=place >= len(PANELS) - across)
        labels = [f"{name} ({len(run.seeds)} seed{'s' if len(run.seeds) > 1 else ''})" for run, name in zip(runs, names, strict=True)]
        title = "Norms of the gradients on fixed test states: median over seeds, central 80%"
        return finish(figure, theme, title, style.run_lines(len(runs), theme), labels, " ".join(boundary_note(runs)))
