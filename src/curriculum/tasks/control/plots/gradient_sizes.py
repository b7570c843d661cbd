"""How long the gradients of the three rules are while a network is trained, and how far they agree."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from curriculum.draw import style
from curriculum.store.names import STEPS
from curriculum.store.reader import Run

RULES = ("regular", "modified", "combined")


def draw(run: Run, seed_index: int, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw the norm of each gradient over the steps, before clipping, and below it their cosine and the share that is kept.

    The seed in front is strong, the others are faint.
    """
    norms, cosine, kept = (run.traces[f"gradient.{name}"] for name in ("norms", "cosine", "kept"))
    steps = run.traces[f"gradient.norms.{STEPS}"]
    with style.themed(theme):
        figure = style.figure(10, 5.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
        style.log_scale(upper)
        upper.set_ylim(*style.log_limits([norms[..., rule] for rule in range(len(RULES))], trim=1))
        panels = [(upper, norms[..., rule], theme.palette[rule]) for rule in range(len(RULES))]
        panels += [(lower, cosine, theme.palette[3]), (lower, kept, theme.palette[4])]
        for axes, values, color in panels:
            axes.plot(steps, np.where(values > 0, values, np.nan) if axes is upper else values, color=color, lw=0.6, alpha=0.2)
            axes.plot(steps, values[:, seed_index], color=color, lw=1.4)
        for axes, names, first in ((upper, RULES, 0), (lower, ("cosine", "share kept"), 3)):
            lines = [Line2D([], [], color=theme.palette[first + place], lw=2) for place in range(len(names))]
            axes.legend(lines, names, loc="upper left", bbox_to_anchor=(1.005, 1.0), borderaxespad=0)
            style.bands(axes, run.schedule.phases, theme, labels=axes is upper, width=125)
        upper.set_ylabel("norm of the gradient")
        lower.set_ylim(-1.05, 1.05)
        lower.set_xlabel("step")
        lower.set_xlim(0, max(run.schedule.last_step, 1))
        title = f"{run.name}: gradients on fixed test states, seed {run.seeds[seed_index]}; faint: all seeds"
        figure.suptitle(title, x=0.085, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(left=0.085, right=0.85, top=0.88, bottom=0.1, hspace=0.12)
    return figure
