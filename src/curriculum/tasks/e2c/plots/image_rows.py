"""What a model sees and foresees: images, their reconstruction, what comes next, and its prediction."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.store.reader import Run

ROWS = ("seen", "reconstructed", "next", "predicted", "error")


def draw(run: Run, seed_index: int, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a column for each of some fixed pairs of images; frames of one image stand side by side."""
    true, decoded = run.fixed["rows.images"], run.exhibits["rows.decoded"][seed_index]
    rows = [true[:, 0], decoded[:, 0], true[:, 1], decoded[:, 1], decoded[:, 1] - true[:, 1]]
    columns, frames = true.shape[0], true.shape[2]
    with style.themed(theme):
        figure = style.figure(1.15 * columns * frames + 1.2, 1.15 * len(rows) + 0.7)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for name, images, cells in zip(ROWS, rows, grid, strict=True):
            for image, axes in zip(images, cells, strict=True):
                wide = np.concatenate(list(image), axis=1)
                if name == "error":
                    axes.imshow(wide, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
                else:
                    axes.imshow(wide, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
            cells[0].set_ylabel(name, rotation=0, ha="right", va="center")
        width, height = figure.get_figwidth(), figure.get_figheight()
        title = f"{run.name}, seed {run.seeds[seed_index]}: images of fixed pairs at the end of training"
        figure.suptitle(title, x=0.1 / width, y=1 - 0.12 / height, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(left=1.1 / width, right=1 - 0.1 / width, top=1 - 0.5 / height, bottom=0.1 / height, wspace=0.06, hspace=0.06)
    return figure
