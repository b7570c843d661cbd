"""Where the learned dynamics lead from every state of the map, under four actions."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.plots.latents import frame, limits
from curriculum.measure.geometry import orientation
from curriculum.store.reader import Run

SIDE = 3.8  # inches of a panel


def draw(run: Run, seed_index: int, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw the map with its lattice once for each action, and an arrow from every state to where the model moves it."""
    latents, moves = run.exhibits["map.latents"][seed_index], run.exhibits["arrows.moves"][seed_index]
    linear, edges, colors = run.fixed["map.linear"], run.fixed["map.edges"], run.fixed["map.colors"]
    if latents.shape[1] == linear.shape[1] == 2:
        turn = orientation(latents, linear)
        latents, moves = latents @ turn, moves @ turn
    latents, moves = latents[:, :2], moves[..., :2]
    box = limits([latents, *(latents + moves)])
    with style.themed(theme):
        figure = style.figure(8.2, 8.8)
        for axes, action, arrows in zip(figure.subplots(2, 2).flat, run.fixed["arrows.actions"], moves, strict=True):
            frame(axes, box, theme, SIDE)
            axes.add_collection(LineCollection(latents[edges], colors=theme.faint, linewidths=0.5, zorder=1))
            axes.scatter(latents[:, 0], latents[:, 1], c=colors, s=7, linewidths=0, zorder=2)
            axes.quiver(*latents.T, *arrows.T, color=theme.ink, angles="xy", scale_units="xy", scale=1, width=0.0028, zorder=3)
            axes.set_title(f"action ({', '.join(f'{part:g}' for part in np.asarray(action))})", loc="left")
        title = f"{run.name}, seed {run.seeds[seed_index]}: learned dynamics on the latent map"
        figure.suptitle(title, x=0.03, y=0.985, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(left=0.05, right=0.985, top=0.92, bottom=0.035, wspace=0.12, hspace=0.14)
    return figure
