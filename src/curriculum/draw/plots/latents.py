"""The latent space at the end of every phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from curriculum.draw import style
from curriculum.measure.geometry import orientation
from curriculum.store.reader import Run


def draw(run: Run, seed_index: int = 0, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a row for each phase: dimensions 0-1, 0-2 and 0-3, each point in its own color. A plane has a column for each phase."""
    ends = run.phase_ends
    phases = run.schedule.phases[: sum(key.endswith(".latents") for key in ends)]
    latents = [points(ends, k, seed_index) for k in range(len(phases))]
    pairs = [(0, d) for d in range(1, min(latents[0].shape[-1], 4))]
    limit = limit_of(latents, run.look.circles)
    with style.themed(theme):
        rows, columns = (1, len(phases)) if len(pairs) == 1 else (len(phases), len(pairs))
        side = 2.75 if rows * columns > 2 else 4.5
        figure = style.figure(side * columns + 0.6, side * rows + 0.75)
        grid = figure.subplots(rows, columns, squeeze=False).reshape(len(phases), len(pairs))
        for row, (phase, z) in enumerate(zip(phases, latents, strict=True)):
            for axes, (x, y) in zip(grid[row], pairs, strict=True):
                frame(axes, limit, theme, run.look.circles)
                scatter(axes, z[:, [x, y]], ends, row, theme)
                axes.set_xlabel(f"z{x}", labelpad=1)
                axes.set_ylabel(f"z{y}", labelpad=-4)
            grid[row][0].set_title(f"{phase.name or 'training'}, end of step {phase.end}", loc="left")
        seed = f", seed {run.seeds[seed_index]}" if len(run.seeds) > 1 else ""
        height, width = figure.get_figheight(), figure.get_figwidth()
        title = f"{run.name}: latent space at the end of {'each phase' if len(phases) > 1 else 'the run'}{seed}"
        figure.suptitle(title, x=0.02, y=1 - 0.16 / height, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(
            left=0.55 / width, right=1 - 0.12 / width, top=1 - 0.7 / height, bottom=0.42 / height, wspace=0.24, hspace=0.3
        )
    return figure


def points(ends: Mapping[str, np.ndarray], phase: int, seed_index: int) -> np.ndarray:
    """Read the latents `[N, L]` at the end of a phase; a plane of them is turned as the task says that it truly lies."""
    z, targets = ends[f"{phase}.latents"][seed_index], ends.get(f"{phase}.targets")
    return np.asarray(z if targets is None or z.shape[1] != 2 else z @ orientation(z, targets))


def scatter(axes: Axes, z: np.ndarray, ends: Mapping[str, np.ndarray], phase: int, theme: style.Theme) -> None:
    """Draw latents `[N, 2]` at the end of a phase in their colors, joined where the task joins them."""
    if f"{phase}.edges" in ends:
        axes.add_collection(LineCollection(z[ends[f"{phase}.edges"]], colors=theme.muted, linewidths=0.6, zorder=2))
    axes.scatter(z[:, 0], z[:, 1], c=ends[f"{phase}.colors"], s=16, edgecolors=theme.faint, linewidths=0.3, zorder=3)


def limit_of(latents: Sequence[np.ndarray], circles: Sequence[float] = ()) -> float:
    """Find one limit for all panels: half the side of a square that holds every point and every circle."""
    finite = [np.abs(z[np.isfinite(z)]) for z in latents]
    reach = [*(1.15 * radius for radius in circles), *(float(z.max()) * 1.06 for z in finite if z.size)]
    return max(reach, default=0.0) or 1.0


def frame(axes: Axes, limit: float, theme: style.Theme, circles: Sequence[float] = ()) -> None:
    """Prepare a square panel, with circles of some radii about the origin."""
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_aspect("equal")
    for radius in circles:
        axes.add_patch(Circle((0, 0), radius, fill=False, ec=theme.faint, lw=0.9, zorder=1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4 if limit > 1.5 else 2, integer=limit > 1))
