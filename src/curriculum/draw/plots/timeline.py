"""The schedule of a sheet over its steps: the properties, `lr` apart, keys, phases and actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from curriculum.draw import style
from curriculum.draw.page import finish, page, step_axis
from curriculum.sheet.easings import Array
from curriculum.sheet.schedule import RATE, Schedule
from curriculum.sheet.tracks import Track

LABEL = 22  # characters that fit beside a panel
SHARED_RANGE = 20  # properties whose peaks differ by more get panels of their own


def draw(schedule: Schedule, title: str, derivatives: bool = False, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a schedule; with `derivatives` also its velocity and acceleration.

    Properties with the same value at every step are listed below; where all of them are such, the first one is drawn.
    """
    resting = [name for name in schedule.properties if len(np.unique(schedule.column(name))) == 1]
    groups = [moving for group in panels(schedule) if (moving := [name for name in group if name not in resting])]
    if not groups:
        groups, resting = [resting[:1]], resting[1:]
    extra: list[tuple[str, Callable[[str], Array]]] = []
    if derivatives:
        extra = [("velocity", schedule.velocity), ("acceleration", schedule.acceleration)]
    heights = [1.4 if RATE in group and len(groups) > 1 else 2.3 for group in groups] + [1.8] * len(extra)
    with style.themed(theme):
        figure = page(theme, 10, 0.7 + sum(heights))
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        for axes, group in zip(rows, groups, strict=False):
            lines = draw_values(axes, schedule, group, theme)
            if len(group) > 1:
                legend = axes.legend(lines, group, loc="upper left", bbox_to_anchor=(1.005, 1.0), borderaxespad=0)
                for line in legend.get_lines():
                    line.set_linewidth(2)
        for axes, (kind, read) in zip(rows[len(groups) :], extra, strict=True):
            _draw_derivative(axes, schedule, kind, read, theme)
        style.bands(rows[0], schedule.phases, theme, labels=True, width=125)
        for axes in rows[1:]:
            style.bands(axes, schedule.phases, theme)
        _draw_actions(rows[-1], schedule, theme)
        step_axis(rows[-1], schedule.last_step, 8, theme)
        rows[-1].xaxis.labelpad = 8
        figure.align_ylabels(rows)
        listed = ", ".join(f"{name} {schedule.column(name)[0]:g}" for name in resting)
        return finish(figure, theme, title, note=f"The same at every step: {listed}." if resting else "")


def panels(schedule: Schedule) -> list[list[str]]:
    """Group properties that can share a vertical axis: log spaces apart, very different peaks apart, `lr` last."""
    linear = [t for t in schedule.tracks if t.space == "linear" and t.name != RATE]
    peaks = {track.name: float(np.abs(schedule.column(track.name)).max()) for track in linear}
    groups: list[list[str]] = []
    smallest = 0.0
    for name in sorted(peaks, key=lambda name: peaks[name]):
        if not groups or (smallest > 0 and peaks[name] > smallest * SHARED_RANGE):
            groups.append([])
            smallest = 0.0
        smallest = smallest or peaks[name]
        groups[-1].append(name)
    order = list(schedule.properties)
    groups = [sorted(group, key=order.index) for group in reversed(groups)]
    log = [t.name for t in schedule.tracks if t.space == "log" and t.name != RATE]
    return [*groups, *([log] if log else []), *([[RATE]] if RATE in order else [])]


def draw_values(
    axes: Axes,
    schedule: Schedule,
    names: Sequence[str],
    theme: style.Theme,
    keys: bool = True,
    lw: float = 1.4,
    names_in_order: Sequence[str] = (),
) -> list[Line2D]:
    """Draw some properties into a panel, with their keys marked; return their curves.

    `names_in_order` are all that have a color, by default the schedule's; it keeps colors the same where
    several schedules are drawn.
    """
    steps = np.arange(len(schedule))
    tracks = {track.name: track for track in schedule.tracks}
    lines = []
    for index, name in enumerate(names):
        color = theme.ink if name == RATE else style.color_of(name, names_in_order or _colored(schedule), theme)
        # Curves often lie on each other, at 0 or at 1: the lower ones are wider, so that they still show.
        width = lw * (1 + 0.22 * (len(names) - 1 - index))
        lines += axes.plot(steps, schedule.column(name), color=color, lw=width, zorder=3)
        if keys:
            _draw_keys(axes, schedule, tracks[name], color, theme)
    if names and all(tracks[name].space == "log" for name in names):
        style.log_scale(axes)
    else:
        axes.margins(y=0.08)
        if len(np.unique([schedule.column(name) for name in names])) == 1:
            axes.set_ylim(*sorted((0.0, 1.2 * schedule.column(names[0])[0] or 1.0)))
    axes.set_ylabel(fill(names[0], LABEL) if len(names) == 1 else "value")
    axes.set_xlim(0, max(schedule.last_step, 1))
    return lines


def _colored(schedule: Schedule) -> list[str]:
    return [name for name in schedule.properties if name != RATE]


def _draw_keys(axes: Axes, schedule: Schedule, track: Track, color: str, theme: style.Theme) -> None:
    keys = [(step, value) for step, value in track.keys if step <= schedule.last_step]
    if keys:
        at, values = zip(*keys, strict=True)
        axes.plot(at, values, "o", color=color, ms=3.6, mec=theme.back, mew=0.6, zorder=4, clip_on=False)


def _draw_derivative(axes: Axes, schedule: Schedule, kind: str, read: Callable[[str], Array], theme: style.Theme) -> None:
    """Draw each property's derivative as a share of its own largest: they differ by many orders."""
    steps = np.arange(len(schedule))
    for name in (*([RATE] if RATE in schedule.properties else []), *_colored(schedule)):
        values = read(name)
        peak = np.abs(values).max()
        if peak > 0:
            color = theme.ink if name == RATE else style.color_of(name, _colored(schedule), theme)
            axes.plot(steps, values / peak, color=color, lw=1, zorder=3)
    axes.axhline(0, color=theme.faint, lw=0.7, zorder=1)
    axes.set_ylim(-1.1, 1.1)
    axes.set_ylabel(f"{kind}\n(share of peak)")


def _draw_actions(axes: Axes, schedule: Schedule, theme: style.Theme) -> None:
    """Tick each action below the last panel, with its name."""
    for step, name in schedule.actions:
        axes.annotate(
            name,
            (step, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -17),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize="small",
            color=theme.cursor,
            arrowprops={"arrowstyle": "-|>", "color": theme.cursor, "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )
