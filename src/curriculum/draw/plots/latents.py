"""The latent space at the end of every phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.page import finish, lines_high, page, wrapped
from curriculum.measure.geometry import orientation, principal_axes
from curriculum.store.reader import Run

MOST_PLAIN = 3  # dimensions of latents that are shown as they are
MOST_CLASSES = 10  # in a legend; from there on, colors repeat
Limits = tuple[tuple[float, float], tuple[float, float]]


def draw(run: Run, seed_index: int = 0, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a row for each phase: the first axis against each of the next, up to three. A plane has a column for each phase."""
    ends = run.phase_ends
    phases = run.schedule.phases[: sum(key.endswith(".latents") for key in ends)]
    latents = [points(ends, k, seed_index) for k in range(len(phases))]
    shown, titles = along(latents, run.look.circles, 4)
    pairs = [(0, d) for d in range(1, len(titles))]
    box = limits([z[:, list(pair)] for z in shown for pair in pairs], run.look.circles)
    with style.themed(theme):
        rows, columns = (1, len(phases)) if len(pairs) == 1 else (len(phases), len(pairs))
        usual = (2.3 if rows * columns > 2 else 4.5) * columns
        figure = page(theme, usual, 1, layout="compressed")
        side = (figure.get_figwidth() - 0.6) / columns - 0.15
        heads = [
            wrapped(figure, f"{phase.name or 'training'}, end of step {phase.end:,}", side if rows == 1 else columns * side, theme.size)
            for phase in phases
        ]
        figure.set_figheight(rows * (side * aspect(box) + 0.5 + max(lines_high(head, theme.size) for head in heads)))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).reshape(len(phases), len(pairs))
        for row, (head, z) in enumerate(zip(heads, shown, strict=True)):
            for axes, (x, y) in zip(grid[row], pairs, strict=True):
                frame(axes, box, theme, side, run.look.circles)
                scatter(axes, z[:, [x, y]], ends, row, theme, side)
                if rows == 1 or row == rows - 1:
                    axes.set_xlabel(wrapped(figure, titles[x], side, theme.size - 1), labelpad=1, fontsize=theme.size - 1)
                axes.set_ylabel(wrapped(figure, titles[y], side * aspect(box), theme.size - 1), labelpad=1, fontsize=theme.size - 1)
            grid[row][0].set_title(head, loc="left", fontsize=theme.size)
        seed = f", seed {run.seeds[seed_index]}" if len(run.seeds) > 1 else ""
        title = f"{run.name}: latent space at the end of {'each phase' if len(phases) > 1 else 'the run'}{seed}"
        return finish(figure, theme, title, *key(ends, theme), note=explained([run]))


def points(ends: Mapping[str, np.ndarray], phase: int, seed_index: int) -> np.ndarray:
    """Read the latents `[N, L]` at the end of a phase; a plane of them is turned as the task says that it truly lies."""
    z, targets = ends[f"{phase}.latents"][seed_index], ends.get(f"{phase}.targets")
    return np.asarray(z if targets is None or z.shape[1] != 2 else z @ orientation(z, targets))


def along(latents: Sequence[np.ndarray], circles: Sequence[float], count: int = 2) -> tuple[list[np.ndarray], list[str]]:
    """Choose the axes along which latents `[N, L]` of several moments are shown: give them along these, and the axes' titles.

    They are the dimensions themselves. Of more than three, they are the principal axes of all moments together, unless the task draws
    circles: it then has a plane of its own in mind.
    """
    size = latents[0].shape[-1]
    if size == 1:
        return [np.column_stack([z, np.zeros(len(z))]) for z in latents], ["z0", ""]
    if size <= MOST_PLAIN or circles:
        return [z[:, :count] for z in latents], [f"z{d}" for d in range(min(size, count))]
    found = principal_axes(np.concatenate(latents)[None], min(count, MOST_PLAIN))
    return [found.project(z) for z in latents], found.titles()


def scatter(axes: Axes, z: np.ndarray, ends: Mapping[str, np.ndarray], phase: int, theme: style.Theme, side: float = 2.75) -> None:
    """Draw latents `[N, 2]` at the end of a phase in their colors, joined where the task joins them, on `side` inches."""
    if f"{phase}.edges" in ends:
        axes.add_collection(LineCollection(z[ends[f"{phase}.edges"]], colors=theme.muted, linewidths=0.6 * min(1, side / 2), zorder=2))
    labels = ends.get(f"{phase}.labels")
    colors = ends[f"{phase}.colors"] if labels is None else style.class_colors(labels)
    size = min(16.0, 16 * (side / 2.5) ** 1.5)
    axes.scatter(z[:, 0], z[:, 1], c=colors, s=size, edgecolors=theme.faint, linewidths=0.3 * min(1, side / 2), zorder=3)


def key(ends: Mapping[str, np.ndarray], theme: style.Theme) -> tuple[list[Any], list[str]]:
    """Make a legend of the classes by which points are colored, as far as each has a color of its own; else an empty one."""
    labels = [own for name, own in ends.items() if name.endswith(".labels")]
    return class_key(np.concatenate(labels) if labels else np.empty(0), theme)


def class_key(labels: NDArray[Any], theme: style.Theme) -> tuple[list[Any], list[str]]:
    """Make a legend of some classes `[N]`; an empty one where there are too many to tell apart."""
    classes = np.unique(labels.astype(np.int64))
    if not 0 < len(classes) <= MOST_CLASSES:
        return [], []
    marks = [Line2D([], [], ls="", marker="o", color=color, ms=5) for color in style.class_colors(classes)]
    return marks, [f"class {classes[0]}", *map(str, classes[1:])]


def explained(runs: Sequence[Run]) -> str:
    """Say what circles, lines and colors mean, of runs whose points are drawn."""
    run = runs[0]
    notes = []
    if run.look.circles:
        radii = " and ".join(f"{radius:g}" for radius in run.look.circles)
        notes.append(f"Circle{'s' if len(run.look.circles) > 1 else ''}: radius {radii}.")
    if any(name.endswith(".edges") for name in run.phase_ends):
        notes.append("Lines join neighbors.")
    if not any(name.endswith(".labels") for name in run.phase_ends):
        notes.append("Each input has the same color in every panel.")
    return " ".join(notes)


def limits(shown: Sequence[np.ndarray], circles: Sequence[float] = ()) -> Limits:
    """Find limits of both axes that hold all points `[N, 2]` and every circle, for all panels."""
    finite = np.concatenate([z[np.isfinite(z).all(axis=1)] for z in shown] or [np.zeros((0, 2))])
    ends = np.array([[-radius, -radius] for radius in circles] + [[radius, radius] for radius in circles]).reshape(-1, 2)
    held = np.concatenate([finite, 1.02 * ends])
    if not len(held):
        return (-1.0, 1.0), (-1.0, 1.0)
    low, high = held.min(axis=0), held.max(axis=0)
    # No panel is a slit: each side is at least half of the other.
    least = max(float((high - low).max()) / 2, 1e-6)
    middle, half = (low + high) / 2, np.maximum(high - low, least) / 2 * 1.06
    (left, bottom), (right, top) = middle - half, middle + half
    return (float(left), float(right)), (float(bottom), float(top))


def squared(box: Limits) -> Limits:
    """Widen limits to a square."""
    half = max(high - low for low, high in box) / 2
    (left, right), (bottom, top) = box
    return ((left + right) / 2 - half, (left + right) / 2 + half), ((bottom + top) / 2 - half, (bottom + top) / 2 + half)


def aspect(box: Limits) -> float:
    """Give the height of a panel with some limits, as a part of its width."""
    (left, right), (bottom, top) = box
    return (top - bottom) / (right - left)


def frame(axes: Axes, box: Limits, theme: style.Theme, side: float, circles: Sequence[float] = ()) -> None:
    """Prepare a panel of about `side` inches with equal scales, with circles of some radii about the origin."""
    axes.set_xlim(*box[0])
    axes.set_ylim(*box[1])
    axes.set_aspect("equal")
    for radius in circles:
        axes.add_patch(Circle((0, 0), radius, fill=False, ec=theme.faint, lw=0.9, zorder=1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))
        axis.set_major_locator(MaxNLocator(max(1, min(5, int(side / 0.4))), steps=[1, 2, 5, 10]))


def apart(values: Sequence[float]) -> Iterator[str]:
    """Write numbers with as many significant digits, two to four, as tell those apart that differ by more than some ten-thousandths."""
    different = [(one, other) for one, other in combinations(values, 2) if abs(one - other) > 5e-4 * max(abs(one), abs(other))]
    digits = next((n for n in (2, 3) if all(f"{one:.{n}g}" != f"{other:.{n}g}" for one, other in different)), 4)
    return (f"{value:.0f}" if abs(value) >= 10**digits else f"{value:#.{digits}g}".removesuffix(".") for value in values)
