"""`curriculum compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.dopesheet import print_diff
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import number, put, put_json, put_table

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison
    from curriculum.measure.measuring import Measured
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.reader import Run


@guarded
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Two or more runs. Default: the two newest finished runs.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="RUN", help="The run to compare with each of the others. Default: the first.")
    ] = None,
    smallest_ratio: Annotated[float, typer.Option(min=0, max=0.99, help="Ratios within 1 +- this value are not meaningful.")] = 0.1,
    smallest_count: Annotated[float, typer.Option(min=0, help="Differences of counts within +- this value are not meaningful.")] = 0.5,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs and draw figures.

    Compares final errors, spikes, fluctuation and schedules. The first run, or the one given with
    --baseline, is compared with each of the others.

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
    for place in range(1, len(found.runs)):
        _print_verdicts(found, place)
    _print_measures(found)
    _print_rates_and_losses(found)
    for other, sheets in zip(found.names[1:], found.sheets, strict=True):
        put(f"Schedules of {found.names[0]} and {other}")
        print_diff(sheets, found.names[0], other, keys=False)
    _print_gates(found)
    _print_tails(found)
    if found.verdicts:
        put(f"smallest effect of interest: a ratio of 1 +- {found.smallest.ratio:g}, a count of +- {found.smallest.count:g}")
    for note in found.notes:
        put(f"note: {note}")


def _print_verdicts(found: Comparison, place: int) -> None:
    """Print what was found of the first run against the one at a place, where it was judged."""
    hypotheses = [hypothesis for hypothesis in found.hypotheses if hypothesis.other == place]
    if not hypotheses:
        return
    put(f"{found.names[0]} vs {found.names[place]}")
    for hypothesis in hypotheses:
        put(f"  {hypothesis.id} {hypothesis.question}: {hypothesis.verdict}")
        for verdict in found.verdicts:
            if verdict.other == place and verdict.id.startswith(hypothesis.id):
                put(f"     {verdict.sentence(found.names)}")
    for verdict in (*found.guards, *found.explored):
        if verdict.other == place:
            put(f"  {verdict.sentence(found.names)}")
    put("")


def _print_measures(found: Comparison) -> None:
    """Print the final errors and the measures of each run, and the effects of the first against each other one."""
    header = ["measure", "window", *found.names, *(f"{found.names[0]} / {other}" for other in found.names[1:])]
    right = list(range(2, len(header)))
    shown = _shown(found)
    put_table(header, [_row(row) for row in found.final], f"Final error{shown}", right)
    rows = [_row(row) for row in (*found.measures, *found.exploratory)]
    put_table(header, rows, f"Measures from step {found.first_step:,} on{shown}", right)


def _row(row: Measured) -> list[str]:
    from curriculum.measure.effects import text
    from curriculum.measure.metric import label

    medians = [number(row.median(run)) for run in range(len(row.values))]
    return [label(row.id, row.title), row.window, *medians, *(text(effect, row.effect) for effect in row.effects)]


def _shown(found: Comparison) -> str:
    """Say what the columns of a table of measures show."""
    if not _many(found):
        return ": value of the single seed, and effect"
    paired = {bool(set(found.runs[0].seeds) & set(run.seeds)) for run in found.runs[1:]}
    effects = {True: "interquartile mean over pairs", False: "between interquartile means for runs without shared seeds"}
    return f": median over seeds, and effect ({', '.join(effects[kind] for kind in sorted(paired, reverse=True))})"


def _many(found: Comparison) -> bool:
    return any(len(run.seeds) > 1 for run in found.runs)


def _print_rates_and_losses(found: Comparison) -> None:
    """Print the mean learning rate of each run in each window, and the losses of its last step."""
    names = found.names
    rates = [["mean lr", window, *map(number, means)] for window, means in found.mean_lr.items()]
    put_table(["", "window", *names], rates, "Mean learning rate (fluctuation grows with it)", right=list(range(2, 2 + len(names))))
    terms = list(dict.fromkeys(term for losses in found.last_losses for term in losses))
    last = [[term, *(number(losses.get(term)) for losses in found.last_losses)] for term in terms]
    title = f"Logged losses at the last step{', median over seeds' if _many(found) else ''}"
    put_table(["loss", *names], last, title, right=list(range(1, 1 + len(names))))


def _print_gates(found: Comparison) -> None:
    """Print how many seeds of each run pass each gate, where the task has gates."""
    sides = {"lower": "at most", "higher": "at least"}
    rows = [
        [f"{g.id} {g.title}", f"{sides[g.better]} {number(g.limit)}", found.names[g.run], f"{g.passed} of {g.of}", number(g.worst)]
        for g in found.gates
    ]
    if rows:
        put_table(["gate", "passes", "run", "passed", "worst seed"], rows, "Gates: does each seed meet the requirement?", right=[3, 4])


def _print_tails(found: Comparison) -> None:
    """Print the worst seeds of each run, where there are several."""
    rows = [[t.id, found.names[t.run], number(t.worst), number(t.worst_tenth)] for t in found.tails]
    if rows:
        put_table(["measure", "run", "worst seed", "mean of the worst 10%"], rows, "Worst seeds", right=[2, 3])
