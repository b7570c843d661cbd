"""The latent spaces that runs end with: of the best, the median and the worst seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.plots.latents import frame, limit_of, points, scatter
from curriculum.store.reader import Run

KINDS = ("best", "median", "worst")


def draw(runs: Sequence[Run], names: Sequence[str], errors: Sequence[Sequence[float]], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a row for each run under the name that is given; `errors` are the final errors by which its seeds are ranked."""
    picked, last_phases = [], []
    for run, own in zip(runs, errors, strict=True):
        ends = run.phase_ends
        last = sum(key.endswith(".latents") for key in ends) - 1
        order = np.argsort(own)
        seeds = [int(order[0]), int(order[(len(order) - 1) // 2]), int(order[-1])] if len(order) > 1 else [0]
        picked.append([(seed, points(ends, last, seed)) for seed in seeds])
        last_phases.append(last)
    limit = limit_of([z[:, :2] for row in picked for _, z in row], [radius for run in runs for radius in run.look.circles])
    columns = max(len(row) for row in picked)
    with style.themed(theme):
        figure = style.figure(3 * columns + 0.6, 3.2 * len(runs) + 0.9)
        grid = figure.subplots(len(runs), columns, squeeze=False)
        for run, name, own, row, last, cells in zip(runs, names, errors, picked, last_phases, grid, strict=True):
            for kind, (index, z), axes in zip(KINDS if len(row) > 1 else ("",), row, cells, strict=False):
                frame(axes, limit, theme, run.look.circles)
                scatter(axes, z, run.phase_ends, last, theme)
                axes.set_title(f"{name}\n{kind} seed {run.seeds[index]}, error {own[index]:.2g}".replace("\n ", "\n"), loc="left")
        figure.suptitle(
            "latent spaces at the end of training (z0, z1)",
            x=0.02,
            y=1 - 0.2 / figure.get_figheight(),
            ha="left",
            fontsize="large",
            fontweight="bold",
        )
        height, width = figure.get_figheight(), figure.get_figwidth()
        figure.subplots_adjust(
            left=0.35 / width, right=1 - 0.1 / width, top=1 - 0.85 / height, bottom=0.3 / height, wspace=0.18, hspace=0.34
        )
    return figure
