"""`curriculum compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.dopesheet import print_diff
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import number, put, put_json, put_table

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison
    from curriculum.measure.measuring import Figure
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.reader import Run


@guarded
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Two or more runs; by default the two newest finished ones.")
    ] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="RUN", help="The run that is measured against the others.")] = None,
    smallest_ratio: Annotated[float, typer.Option(min=0, max=0.99, help="A ratio within 1 +- this means nothing.")] = 0.1,
    smallest_count: Annotated[float, typer.Option(min=0, help="A difference of counts within +- this means nothing.")] = 0.5,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs: final errors, spikes, fluctuation and schedules, with figures.

    The first run, or the --baseline, is measured against each of the others.

    Examples:

      curriculum compare runA runB

      curriculum compare

      curriculum compare runA runB runC --baseline runB --smallest-ratio 0.05
    """
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.shelf import find_run, newest_finished

    chosen = [find_run(name, runs) for name in names] if names else newest_finished(runs)
    if baseline is not None:
        first = find_run(baseline, runs)
        chosen = [first, *(run for run in chosen if run.path.resolve() != first.path.resolve())]
    compare_and_print(chosen, runs, as_json, SmallestEffect(smallest_ratio, smallest_count))


def compare_and_print(chosen: list[Run], runs: Path, as_json: bool, smallest: SmallestEffect | None = None) -> None:
    """Compare runs, store the comparison, and print it."""
    from curriculum.cli.progress import Bar
    from curriculum.draw.figures import draw_comparison
    from curriculum.measure.comparison import compare as compare_runs
    from curriculum.store.shelf import new_comparison

    with Bar("measuring", sum(len(run.seeds) for run in chosen), "seed", patience=2.0) as bar:
        found = compare_runs(chosen, smallest, watch=bar.update)
    folder = new_comparison(runs, found.names, found.to_json(), lambda folder: draw_comparison(chosen, found, folder))
    if as_json:
        put_json({**found.to_json(), "folder": str(folder)})
        return
    print_comparison(found)
    put(f"figures and compare.json: {folder}")


def print_comparison(found: Comparison) -> None:
    """Print a comparison as sentences, tables and notes."""
    for other, hypotheses in found.hypotheses.items():
        put(f"{found.names[0]} against {other}")
        for name, verdict in hypotheses.items():
            put(f"  {name} {found.questions[name]}: {verdict}")
            for own in found.verdicts:
                if own.other == other and own.id.startswith(name):
                    put(f"     {own.sentence()}")
        for guard in found.guards:
            if guard.other == other:
                put(f"  {guard.sentence()}")
        for own in found.explored:
            if own.other == other:
                put(f"  {own.sentence()}")
        put("")
    against = [f"{found.names[0]} / {other}" for other in found.names[1:]]
    header = ["measure", "window", *found.names, *against]
    right = list(range(2, len(header)))
    many = any(len(run["seeds"]) > 1 for run in found.runs)
    median = ", median over seeds" if many else ""
    put_table(header, [_row(figure, found) for figure in found.final], f"Final error{median}", right)
    title = f"Measures from step {found.first_step:,} on{median}"
    put_table(header, [_row(figure, found) for figure in (*found.measures, *found.exploratory)], title, right)
    rates = [["mean lr", window, *(number(means[name]) for name in found.names)] for window, means in found.mean_lr.items()]
    put_table(["", "window", *found.names], rates, "Fluctuation grows with the learning rate", right=list(range(2, 2 + len(found.names))))
    terms = list(dict.fromkeys(term for losses in found.last_losses.values() for term in losses))
    last = [[term, *(number(found.last_losses[name].get(term)) for name in found.names)] for term in terms]
    put_table(["loss", *found.names], last, f"Losses of the last step, as logged{median}", right=list(range(1, 1 + len(found.names))))
    for other, sheets in found.sheets.items():
        put(f"Schedules of {found.names[0]} and {other}")
        print_diff(sheets, found.names[0], other, keys=False)
    if found.gates:
        sides = {"lower": "at most", "higher": "at least"}
        gates = [
            [f"{g.id} {g.title}", f"{sides[g.better]} {number(g.limit)}", g.run, f"{g.passed} of {g.of}", number(g.worst)]
            for g in found.gates
        ]
        put_table(["gate", "passes", "run", "passed", "worst seed"], gates, "Gates: is the result what was wanted?", right=[3, 4])
    if found.tails:
        tails = [[t.id, t.run, number(t.worst), number(t.worst_tenth)] for t in found.tails]
        put_table(["measure", "run", "worst seed", "mean of the worst 10%"], tails, "What a median hides", right=[2, 3])
    if found.verdicts:
        put(f"smallest effect of interest: a ratio of 1 +- {found.smallest.ratio:g}, a count of +- {found.smallest.count:g}")
    for note in found.notes:
        put(f"note: {note}")


def _row(figure: Figure, found: Comparison) -> list[str]:
    first, *others = (figure.median(name) for name in found.names)
    window = figure.window
    if figure.effect in ("difference", "share"):
        effects = [f"{first - other:+.3g}" if math.isfinite(first - other) else "-" for other in others]
    else:
        effects = [f"x{number(first / other)}" if other > 0 and math.isfinite(first / other) and first > 0 else "-" for other in others]
    values = [number(value) for value in (first, *others)]
    return [f"{figure.id} {figure.title}" if figure.id != "final" else figure.title, window, *values, *effects]
