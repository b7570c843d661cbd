"""Figures of the page for a browser that runs no scripts: those that `draw` makes of a comparison or of a run, each with its text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curriculum.console import number
from curriculum.draw import style
from curriculum.measure.bands import curves
from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import level
from curriculum.measure.ends import ends
from curriculum.measure.pairing import names_of
from curriculum.measure.trace import median_seeds
from curriculum.store.experiment import arm_of
from curriculum.store.reader import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BYTES = 700_000  # of all figures of a page
RESOLUTIONS = (100, 85, 70, 55, 40, 30)  # dots per inch, of which the first is taken at which they are no more


@dataclass(frozen=True)
class StaticFigure:
    """A figure as PNG, with its title and a text that stands in for it."""

    title: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class _Drawn:
    title: str
    alt: str
    figure: Figure


def static_figures(runs: Sequence[Run], found: Comparison | None) -> list[StaticFigure]:
    """Draw the figures of a comparison, or of a single run where `found` is None, at a moderate size.

    Raises `RunError` where a run is damaged.
    """
    figures: list[StaticFigure] = []
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes; the text beside the figure has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn = list(_of_run(runs[0]) if found is None else _of_comparison(runs, found))
        for resolution in RESOLUTIONS:
            figures = [StaticFigure(own.title, own.alt, _png(own.figure, resolution)) for own in drawn]
            if sum(len(own.png) for own in figures) <= MOST_BYTES:
                break
    return figures


def _png(figure: Figure, resolution: int) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=resolution)
    return out.getvalue()


def _of_comparison(runs: Sequence[Run], found: Comparison) -> Iterator[_Drawn]:
    from curriculum.draw.plots import bands, effects, losses, schedules

    names = found.names
    theme = style.with_runs(style.LIGHT, [run.color for run in found.runs])
    if found.verdicts or found.guards:
        judged = [
            f"{own.label}, {names[own.first]} against {names[own.other]}: {own.amount} {own.interval}, {own.verdict}"
            for own in (*found.verdicts, *found.guards)
        ]
        alt = f"The effect in each pair of seeds, with estimates and intervals. {'; '.join(judged)}."
        yield _Drawn("Effects", alt, effects.draw(found, theme))
    if found.final or found.measures:
        measured = f"{found.final[0].title.removeprefix('final ')} ({found.final[0].unit})" if found.final else ""
        moving = [stretch for pair in found.pairs for stretch in pair.windows["transitions"]]
        alt = f"The median over seeds and the range of the central 80%, over the steps. At the end: {_ended(runs, names, found)}."
        yield _Drawn("Error and scores over the steps", alt, bands.draw(runs, names, curves(runs), moving, measured, theme))
    chosen = median_seeds(runs)
    if losses.any_logged(runs, chosen):
        last = [
            f"{name} {', '.join(f'{term} {number(value)}' for term, value in own.items())}"
            for name, own in zip(names, found.last_losses, strict=True)
        ]
        alt = f"The losses of {_seeds(runs, names, chosen)} over the steps. Medians over seeds at the last step: {'; '.join(last)}."
        yield _Drawn("Losses", alt, losses.draw(runs, names, chosen, theme))
    moved = {curve.property for pair in found.pairs for curve in pair.sheets.curves if curve.largest > 0}
    alone = {name for pair in found.pairs for name in (*pair.sheets.only_a, *pair.sheets.only_b)}
    columns = list(dict.fromkeys(name for run in runs for name in run.schedule.properties))
    differing = [name for name in columns if name in moved | alone]
    alt = f"The columns {', '.join(columns)} of the sheets of {', '.join(names)}. Different: {', '.join(differing) or 'none'}."
    yield _Drawn("Schedules", alt, schedules.draw(runs, names, theme))


def _of_run(run: Run) -> Iterator[_Drawn]:
    from curriculum.draw.plots import losses, timeline

    (name,) = names_of([run])
    sheet, phases = str(run.manifest["sheet"]), [phase for phase in run.schedule.phases if phase.name]
    said = "; ".join(f"{phase.name}, steps {phase.start:,} to {phase.end:,}" for phase in phases)
    alt = f"The columns {', '.join(run.schedule.properties)} of {sheet} over {len(run.schedule):,} steps. Phases: {said or 'none'}."
    yield _Drawn("Timeline", alt, timeline.draw(run.schedule, f"{name} ({sheet})"))
    chosen = median_seeds([run])
    if losses.any_logged([run], chosen):
        theme = style.with_runs(style.LIGHT, [arm_of(run).color])
        alt = f"The losses of {_seeds([run], [name], chosen)} over the steps. At the end: {_ended([run], [name], None)}."
        yield _Drawn("Losses", alt, losses.draw([run], [name], chosen, theme))


def _seeds(runs: Sequence[Run], names: Sequence[str], chosen: Sequence[int]) -> str:
    return " and ".join(f"{name} (seed {run.seeds[place]})" for run, name, place in zip(runs, names, chosen, strict=True))


def _ended(runs: Sequence[Run], names: Sequence[str], found: Comparison | None) -> str:
    """Say the median over seeds of each score and final error of each run."""
    ended = ends(runs, found)
    return "; ".join(f"{own.title} {level(own.median, own.unit)} in {names[own.run]}" for own in (*ended.scores, *ended.errors)) or "none"
