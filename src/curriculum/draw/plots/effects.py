"""The primary measures pair by pair: a dot for each seed, the estimate with its interval, and what means nothing."""

from __future__ import annotations

import math
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.measure import effects
from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import SCALED
from curriculum.measure.verdicts import CONTRADICTED, SUPPORTED, Verdict

LINE = 38  # characters that fit beside a row
WIDEST = 1e4  # a ratio beyond it, or its inverse, is drawn at the edge


def draw(found: Comparison, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a row for each measure and guard of each pair of runs."""
    order = [(pair.first, pair.other) for pair in found.pairs]
    rows = sorted((*found.verdicts, *found.guards), key=lambda verdict: order.index((verdict.first, verdict.other)))
    height = 0.62 * len(rows) + 1.3
    with style.themed(theme):
        figure = style.figure(10, height)
        grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, verdict in zip(grid, rows, strict=True):
            against = f" ({found.names[verdict.first]} against {found.names[verdict.other]})" if len(found.pairs) > 1 else ""
            unit = effects.difference_unit(verdict.effect, verdict.unit) if verdict.effect not in SCALED else ""
            _row(axes, verdict, f"{verdict.label}{', ' if unit else ''}{unit}{against}", theme)
        paired = all(verdict.estimate.paired for verdict in rows)
        same = len({verdict.estimate.n for verdict in rows}) == 1
        pairs = f"each of {rows[0].estimate.n} pairs" if same else "each pair"
        what = f"effect in {pairs} of seeds, and its intervals" if paired else "effects and their intervals"
        title = what.capitalize()
        if len(found.pairs) == 1:
            title = f"{found.names[rows[0].first]} against {found.names[rows[0].other]}: {what}"
        better = found.names[rows[0].first] if len({verdict.first for verdict in rows}) == 1 else "the first run"
        together = f"; thin: the same for all {found.tests} tests together" if found.tests > 1 else ""
        figure.suptitle(title, x=0.02, ha="left", fontsize="large", fontweight="bold")
        figure.text(
            0.02,
            0.12 / height,
            f"left of the line: better in {better}. Dots: pairs of seeds. Thick: {found.level} interval{together}. "
            "Gray: too small to matter.",
            color=theme.muted,
        )
        figure.subplots_adjust(left=0.34, right=0.72, top=1 - 0.55 / height, bottom=0.62 / height, hspace=1.0)
    return figure


def _heights(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose where in its row each dot is drawn: equal values are stacked, the others scattered."""
    heights = np.random.default_rng(0).uniform(-0.32, 0.32, len(values))
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        if count > 1:
            heights[values == value] = np.linspace(-0.36, 0.36, count)
    return heights


def _row(axes: Axes, verdict: Verdict, label: str, theme: style.Theme) -> None:
    ratio = verdict.effect in SCALED
    found = np.asarray(verdict.pair_effects)
    values = 10**found if ratio else found
    hues = {SUPPORTED: theme.palette[2], CONTRADICTED: theme.palette[1]}
    color = next((hue for side, hue in hues.items() if verdict.verdict.startswith(side)), theme.muted)
    if ratio:
        axes.set_xscale("log")
        values = np.clip(values, 1 / WIDEST, WIDEST)
    if verdict.margin is not None:
        axes.axvspan(*verdict.margin, color=theme.band, lw=0, zorder=0)
    axes.axvline(1 if ratio else 0, color=theme.ink, lw=0.8, zorder=1)
    axes.plot(values, _heights(values), "o", ms=3, color=color, alpha=0.4, mew=0, zorder=2)
    ends = [10**end if ratio else end for end in verdict.estimate.wide]
    axes.plot(ends, [0, 0], color=theme.ink, lw=0.9, zorder=3, solid_capstyle="butt")
    axes.plot([verdict.low, verdict.high], [0, 0], color=theme.ink, lw=2.2, zorder=3, solid_capstyle="butt")
    axes.plot(verdict.value, 0, "D", ms=5, color=theme.ink, mec=theme.back, mew=0.8, zorder=4)
    axes.set_ylim(-0.5, 0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if ratio:
        edge = max(max(v, 1 / v) for v in (*values, *ends, 1.3) if 0 < v < math.inf) * 1.1
        axes.set_xlim(1 / edge, edge)
        between = (0.5, 0.8, 1.25, 2) if edge < 3 else (0.25, 0.5, 2, 4) if edge < 30 else ()
        ticks = [t for t in (*(10.0**power for power in range(-4, 5)), *between) if 1 / edge <= t <= edge]
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"x{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        # Counts of most pairs are near 0 and of a few may be far from it.
        least = 2.0 if verdict.counts else 0.0
        reach = (*values[np.isfinite(values)], *(end for end in ends if math.isfinite(end)))
        edge = 1.2 if verdict.effect == "share" else max(least, *(abs(value) for value in reach)) * 1.15 or 1.0
        axes.set_xlim(-edge, edge)
        if edge > 12:
            axes.set_xscale("symlog", linthresh=2, linscale=0.6)
            sides = [t for t in (2, 10, 100, 1000) if t <= edge]
            axes.set_xticks([*(-t for t in reversed(sides)), 0, *sides])
        else:
            axes.xaxis.set_major_locator(FixedLocator([-1, -0.5, 0, 0.5, 1]) if edge == 1.2 else MaxNLocator(9, integer=edge > 2))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: "0" if not value else f"{100 * value:+.0f}" if verdict.effect == "share" else f"{value:+.3g}")
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
    if verdict.better == "higher":
        axes.invert_xaxis()
    axes.text(-0.04, 0.5, fill(label, LINE), transform=axes.transAxes, ha="right", va="center")
    axes.text(
        1.03, 0.5, f"{verdict.amount}\n{verdict.verdict}", transform=axes.transAxes, ha="left", va="center", color=color, fontweight="bold"
    )
