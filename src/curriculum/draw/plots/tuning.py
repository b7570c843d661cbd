"""What each arm of an experiment reached with each factor of a column: a curve for each arm, with its seeds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from curriculum.draw import style
from curriculum.draw.page import finish, page, wrapped
from curriculum.measure.tuned import Search


def draw(found: Search, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw the median over seeds of each arm against the factor, a dot for each seed, and a ring around the best."""
    with style.themed(theme):
        figure = page(theme, 6.5, 3.2 if theme.width is None else 2.4)
        axes = figure.subplots()
        axes.set_xscale("log")
        if found.logarithmic:
            style.log_scale(axes)
        beside = np.linspace(-1, 1, len(found.arms)) * 0.012 * np.log(max(found.grid) / min(found.grid)) if len(found.arms) > 1 else [0.0]
        for place, (values, medians, best) in enumerate(zip(found.values, found.medians, found.best, strict=True)):
            color = theme.runs[place % len(theme.runs)]
            at = np.asarray(found.grid) * np.exp(beside[place])
            for x, own in zip(at, values, strict=True):
                known = [value for value in own if np.isfinite(value)]
                axes.plot([x] * len(known), known, "o", ms=3, color=color, alpha=0.35, mew=0)
            axes.plot(at, np.where(np.isfinite(medians), medians, np.nan), color=color, lw=1.6, marker="o", ms=4)
            axes.plot(at[best], medians[best], "o", ms=11, mfc="none", mec=color, mew=1.4)
        for x, count in _lost(found):
            axes.annotate(f"{count}\u2020", (x, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=theme.muted)
        axes.xaxis.set_major_locator(FixedLocator(list(found.grid)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"x{value:g}"))
        axes.set_xlabel(f"factor of {found.column}")
        label = f"{found.label} ({found.unit})" if found.unit else found.label
        axes.set_title(
            wrapped(figure, label, figure.get_figwidth() - 0.8, theme.size), loc="left", fontsize=theme.size, pad=12 if _lost(found) else 3
        )
        seeds = f"{len(found.seeds)} seed{'' if len(found.seeds) == 1 else 's'}"
        lost = ". \u2020: diverged" if _lost(found) else ""
        note = f"Lines: median of {seeds}; dots: seeds; ring: the best factor, {found.better} is better{lost}"
        title = f"Each arm with {found.column} times a factor"
        return finish(figure, theme, title, style.run_lines(len(found.arms), theme), found.arms, note)


def _lost(found: Search) -> list[tuple[float, int]]:
    """Count the seeds that diverged, of all arms, at each factor where any did."""
    counts = [sum(int((~np.isfinite(arm[place])).sum()) for arm in found.values) for place in range(len(found.grid))]
    return [(factor, count) for factor, count in zip(found.grid, counts, strict=True) if count]
