"""Figures, one file each. A plot draws what was computed elsewhere; it computes no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from curriculum.store.reader import Run

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison


def draw_run(run: Run) -> None:
    """Draw the figures of a run into its folder: the timeline, the losses, the latents at phase ends if any, and the task's own.

    Those of one seed show the one whose final error is the median.
    """
    from curriculum import plugins
    from curriculum.draw import style
    from curriculum.draw.plots import latents, losses, timeline
    from curriculum.measure.trace import median_seeds

    sheet = run.manifest.get("sheet", "dopesheet.csv")
    style.save(timeline.draw(run.schedule, f"{run.name} ({sheet})"), run.figure("timeline.png"))
    (middle,) = median_seeds([run])
    if losses.any_logged([run], [middle]):
        style.save(losses.draw([run], [run.name], [middle]), run.figure("losses.png"))
    if run.phase_ends:
        style.save(latents.draw(run, middle), run.figure("latents.png"))
    for name in run.look.plots:
        style.save(plugins.find("figure", name)(run, middle), run.figure(f"{name.replace('_', '-')}.png"))


def draw_comparison(runs: Sequence[Run], found: Comparison, folder: Path, width: float | None = None, form: str = "png") -> None:
    """Draw the figures of a comparison: schedules, and losses, bands over the steps, final latents and effects where there are any.

    Also those of the task: a figure of a run may have a form for several, under the same name. `width` is in inches, by default one that
    suits a screen, and `form` is `png`, `svg` or `pdf`.
    """
    from curriculum import plugins
    from curriculum.draw import style
    from curriculum.draw.plots import bands, effects, finals, losses, schedules
    from curriculum.measure.bands import curves
    from curriculum.measure.trace import median_seeds

    names = found.names
    theme = style.for_print(style.with_runs(style.LIGHT, [run.color for run in found.runs]), width)
    middle = median_seeds(runs)
    if losses.any_logged(runs, middle):
        style.save(losses.draw(runs, names, middle, theme), folder / f"losses.{form}")
    style.save(schedules.draw(runs, names, theme), folder / f"schedules.{form}")
    measured = f"{found.final[0].title.removeprefix('final ')} ({found.final[0].unit})" if found.final else ""
    moving = [stretch for pair in found.pairs for stretch in pair.windows["transitions"]]
    if found.final or found.measures:
        style.save(bands.draw(runs, names, curves(runs), moving, measured, theme), folder / f"bands.{form}")
    ended = [i for i, run in enumerate(runs) if run.phase_ends]
    if ended:
        shown = finals.draw([runs[i] for i in ended], [names[i] for i in ended], [found.final_errors(i) for i in ended], theme)
        style.save(shown, folder / f"latents.{form}")
    if found.verdicts or found.guards:
        style.save(effects.draw(found, theme), folder / f"effects.{form}")
    for name in plugins.shipped_names("comparison figure"):
        if all(name in run.look.plots for run in runs):
            style.save(plugins.shipped("comparison figure", name)(runs, names, theme), folder / f"{name.replace('_', '-')}.{form}")
