"""The latent spaces that runs end with: of the best, the median and the worst seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.draw.page import finish, lines_high, page, text_width, wrapped
from curriculum.draw.plots.latents import along, apart, aspect, explained, frame, key, limits, points, scatter, squared
from curriculum.store.reader import Run

KINDS = ("best", "median", "worst")
OUTGROWN = 4  # times the smallest extent of latents: from there on, panels have scales of their own
ROOMY = 1.5  # inches of a panel, above which its title has the usual size


def draw(runs: Sequence[Run], names: Sequence[str], errors: Sequence[Sequence[float]], theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a row for each run under the name that is given; `errors` are the final errors by which its seeds are ranked."""
    picked, last_phases = [], []
    for run, own in zip(runs, errors, strict=True):
        ends = run.phase_ends
        last = sum(name.endswith(".latents") for name in ends) - 1
        order = np.argsort(own)
        seeds = [int(order[0]), int(order[(len(order) - 1) // 2]), int(order[-1])] if len(order) > 1 else [0]
        picked.append([(seed, *along([points(ends, last, seed)], run.look.circles)) for seed in seeds])
        last_phases.append(last)
    circles = list(dict.fromkeys(radius for run in runs for radius in run.look.circles))
    boxes = [limits([z], run.look.circles) for run, row in zip(runs, picked, strict=True) for _, (z,), _ in row]
    spans = [max(high - low for low, high in own) for own in boxes]
    # Latents that have grown far beyond the others would leave a dot of these.
    alone = max(spans) > OUTGROWN * min(spans)
    shared = limits([z for row in picked for _, (z,), _ in row], circles)
    box = squared(shared) if alone else shared
    written = apart([own[seed] for own, row in zip(errors, picked, strict=True) for seed, _, _ in row])
    columns = max(len(row) for row in picked)
    with style.themed(theme):
        figure = page(theme, 3 * columns + 0.6, 1, layout="compressed")
        side = (figure.get_figwidth() - 0.6) / columns - 0.12
        small = theme.size if side > ROOMY else theme.size - 1
        said = [
            (kind, f"seed {run.seeds[index]}", f"error {next(written)}")
            for run, row in zip(runs, picked, strict=True)
            for kind, (index, _, _) in zip(KINDS if len(row) > 1 else ("",), row, strict=False)
        ]
        # All titles are broken in the same way, so that they stand at the same height.
        ways = [[form.format(*own).strip() for own in said] for form in ("{} {}, {}", "{} {}\n{}", "{}\n{}\n{}")]
        broken = next(
            (way for way in ways if all(text_width(figure, line, small) <= side for own in way for line in own.split("\n"))), ways[-1]
        )
        heads = iter(broken)
        above = [wrapped(figure, name, figure.get_figwidth() - 0.7, small) for name in names]
        figure.set_figheight(len(runs) * (side * aspect(box) + 0.7) + sum(lines_high(name, small) for name in above))
        grid = figure.subplots(len(runs), columns, squeeze=False, sharex=not alone, sharey=not alone)
        own_boxes = map(squared, boxes)
        brief = side <= ROOMY
        for place, (run, name, row, last) in enumerate(zip(runs, above, picked, last_phases, strict=True)):
            for column, (_, (z,), titles) in enumerate(row):
                axes = grid[place, column]
                titles = [title.replace(" of variance", "") for title in titles] if brief else titles
                frame(axes, next(own_boxes) if alone else box, theme, side, run.look.circles)
                scatter(axes, z, run.phase_ends, last, theme, side)
                axes.set_title(f"{name}\n{next(heads)}" if not column else next(heads), loc="left", fontsize=small)
                # Principal axes are each panel's own, dimensions are those of all.
                if titles[0].startswith("PC") or place == len(runs) - 1:
                    axes.set_xlabel(wrapped(figure, titles[0], side, theme.size - 1), labelpad=1, fontsize=theme.size - 1)
                if titles[1].startswith("PC") or not column:
                    axes.set_ylabel(wrapped(figure, titles[1], side * aspect(box), theme.size - 1), labelpad=1, fontsize=theme.size - 1)
            for axes in grid[place, len(row) :]:
                axes.set_visible(False)
        principal = any(title.startswith("PC") for row in picked for _, _, titles in row for title in titles)
        notes = [
            "Each panel has a scale of its own." if alone else "",
            "PC: principal components, with their shares of the variance." if principal and brief else "",
            explained(runs),
        ]
        note = " ".join(filter(None, notes))
        return finish(figure, theme, "Latent spaces at the end of training", *key(runs[0].phase_ends, theme), note=note)
