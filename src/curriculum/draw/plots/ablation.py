"""What each part of a sheet carries of the difference between two runs: a row for each, with its interval and the seeds."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from curriculum.draw import style
from curriculum.draw.page import EDGE, NARROW, finish, page, wrapped
from curriculum.measure import effects
from curriculum.measure.ablation import Ablation, Contribution
from curriculum.measure.effects import SCALED
from curriculum.measure.verdicts import ALPHA

ROW = 0.34  # inches


def draw(found: Ablation, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw the whole effect, the parts, the largest first, and their interaction."""
    parts = sorted(found.parts, key=lambda own: -abs(found.scaled(own.value)))
    rows = [found.total, *parts, found.interaction]
    with style.themed(theme):
        figure = page(theme, 8, ROW * len(rows) + 1.0)
        room = 0.3 * figure.get_figwidth()
        axes = figure.subplots()
        _scale(axes, found, rows, figure.get_figwidth() < NARROW)
        heights = [0.0, *(-1.35 - place for place in range(len(parts))), -1.7 - len(parts)]
        for own, at in zip(rows, heights, strict=True):
            _row(axes, found, own, at, theme)
        axes.axvline(1 if found.effect in SCALED else 0, color=theme.ink, lw=0.8, zorder=1)
        axes.set_ylim(heights[-1] - 0.7, 0.7)
        labels = [f"{found.names[0]} against {found.names[1]}", *(own.part for own in rows[1:])]
        axes.set_yticks(heights, [wrapped(figure, label, room, theme.size - 1) for label in labels])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        unit = "" if found.effect in SCALED else f" ({effects.difference_unit(found.effect, found.unit)})"
        side = "left" if found.better == "lower" else "right"
        label = f"{found.label}{unit}; {side} of the line: better in {found.names[0]}"
        axes.set_xlabel(wrapped(figure, label, figure.get_figwidth() - 2 * EDGE - room, theme.size))
        note = (
            f"Diamond: mean of both ways; thick: its 95% interval; thin: the same for all {len(parts) + 1} rows together. "
            f"Dots: {len(found.seeds)} seeds. "
            f"\N{WHITE UP-POINTING TRIANGLE}: the part of {found.names[0]} put into {found.names[1]}; "
            f"\N{WHITE DOWN-POINTING TRIANGLE}: the same part taken out of {found.names[0]}."
        )
        title = f"{found.names[0]} against {found.names[1]}: what each part carries"
        return finish(figure, theme, title, note=note)


def _row(axes: Axes, found: Ablation, own: Contribution, at: float, theme: style.Theme) -> None:
    whole = own is found.total
    strong = whole or own.p_corrected <= ALPHA
    better = (found.scaled(own.value) < 0) == (found.better == "lower")
    color = theme.muted if not strong else theme.palette[2] if better else theme.palette[1]
    values = np.asarray([effects.unscaled(value, found.effect) for value in own.values])
    heights = at + np.random.default_rng(0).uniform(-0.22, 0.22, len(values))
    axes.plot(values, heights, "o", ms=2.5, color=color, alpha=0.3, mew=0, zorder=2)
    if not whole:
        axes.plot(own.wide, [at, at], color=theme.ink, lw=0.9, zorder=3, solid_capstyle="butt")
    axes.plot([own.low, own.high], [at, at], color=theme.ink, lw=2.2, zorder=3, solid_capstyle="butt")
    axes.plot(own.value, at, "D", ms=5, color=theme.ink, mec=theme.back, mew=0.8, zorder=5)
    for value, marker in ((own.alone, "^"), (own.without, "v")):
        if math.isfinite(value):
            axes.plot(value, at, marker, ms=5, mfc=theme.back, mec=theme.ink, mew=0.8, zorder=4)
    share = found.share(own)
    percent = "" if whole or math.isnan(share) else f" ({share:.0%})"
    axes.text(
        1.02,
        at,
        f"{found.amount(own.value)}{percent}",
        transform=axes.get_yaxis_transform(),
        va="center",
        ha="left",
        color=color if strong else theme.ink,
        fontweight="bold" if strong else "normal",
    )


def _scale(axes: Axes, found: Ablation, rows: list[Contribution], narrow: bool) -> None:
    """Choose the range: all intervals and estimates, and nearly all seeds."""
    ends = [end for own in rows for end in (own.low, own.high, *own.wide, own.value, own.alone, own.without) if math.isfinite(end)]
    seeds = [effects.unscaled(value, found.effect) for own in rows for value in np.quantile(own.values, [0.02, 0.98])]
    if found.effect in SCALED:
        axes.set_xscale("log")
        edge = max(max(end, 1 / end) for end in (*ends, *seeds, 1.1) if end > 0) * 1.1
        axes.set_xlim(1 / edge, edge)
        between = (0.9, 1.1) if edge < 1.5 else (0.5, 0.7, 1.4, 2) if edge < 4 else (0.2, 0.5, 2, 5) if edge < 30 else ()
        ticks = [tick for tick in (*(10.0**power for power in range(-6, 7)), *between) if 1 / edge <= tick <= edge]
        axes.set_xticks([tick for tick in ticks if tick in (1, min(ticks), max(ticks))] if narrow else ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"x{value:g}"))
    else:
        edge = max((abs(end) for end in (*ends, *seeds)), default=1.0) * 1.1 or 1.0
        axes.set_xlim(-edge, edge)
        axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 9))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if not value else f"{value:+.3g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
