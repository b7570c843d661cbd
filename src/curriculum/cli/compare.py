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
    smallest_ratio: Annotated[
        float,
        typer.Option(
            min=0, max=0.99, help="The smallest effect of interest as a share, of measures that do not say their own: 0.1 is 10%."
        ),
    ] = 0.1,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs and draw figures.

    Compares scores, final errors, stability and schedules. The first run, or the one given with
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
    compare_and_print(chosen, runs, as_json, SmallestEffect(smallest_ratio))


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
    _print_margins(found)
    for note in found.notes:
        put(f"note: {note}")


def _print_verdicts(found: Comparison, place: int) -> None:
    """Print what was found of the first run against the one at a place, where it was judged."""
    hypotheses = [hypothesis for hypothesis in found.hypotheses if hypothesis.other == place]
    judged = [verdict for verdict in (*found.verdicts, *found.guards) if verdict.other == place]
    if not judged:
        return
    put(f"{found.names[0]} vs {found.names[place]}")
    for hypothesis in hypotheses:
        put(f"  {hypothesis.id} {hypothesis.question}: {hypothesis.verdict}")
        for verdict in judged:
            if verdict.id in hypothesis.measures:
                put(f"     {verdict.sentence(found.names)}")
    named = {id_ for hypothesis in hypotheses for id_ in hypothesis.measures}
    for verdict in (*(verdict for verdict in judged if verdict.id not in named), *found.explored):
        if verdict.other == place:
            put(f"  {verdict.sentence(found.names)}")
    put("")


def _print_measures(found: Comparison) -> None:
    """Print the scores, the final errors and the measures of each run, and the effects of the first against each other one."""
    from curriculum.measure.measuring import END, LAST

    header = ["measure", "unit", "window", *found.names, *(f"{found.names[0]} / {other}" for other in found.names[1:])]
    right = list(range(3, len(header)))
    shown, rows = _shown(found), (*found.measures, *found.exploratory)
    scores = [row for row in rows if row.window == LAST]
    put_table(header, [_row(row) for row in (*scores, *found.final)], f"{'Scores and final' if scores else 'Final'} error{shown}", right)
    empty = {window for window, stretches in found.windows.items() if not stretches}
    over = [_row(row) for row in rows if row.window not in (LAST, END) and (row.judged or row.window not in empty)]
    ended = [_row(row) for row in rows if row.window == END]
    if over:
        put_table(header, over, f"Measures from step {found.first_step:,} on{shown}", right)
    if ended:
        put_table(header, ended, f"Measures at the end of training{shown}", right)


def _print_margins(found: Comparison) -> None:
    """Print the smallest effects of interest by which the verdicts were given."""
    from curriculum.measure.effects import SCALED, difference_unit, number

    margins: dict[str, list[str]] = {}
    for verdict in (*found.verdicts, *found.guards):
        if verdict.margin is None:
            text = "none, direction only"
        elif verdict.effect in SCALED:
            text = f"x{number(verdict.margin[0], verdict.effect)} to x{number(verdict.margin[1], verdict.effect)}"
        else:
            size = number(verdict.margin[1], verdict.effect).removeprefix("+")
            text = f"+-{size} {difference_unit(verdict.effect, verdict.unit)}".rstrip()
        if verdict.id not in margins.setdefault(text, []):
            margins[text].append(verdict.id)
    if margins:
        texts = [f"{text} ({', '.join(ids)})" for text, ids in margins.items()]
        put(f"smallest effects of interest: {'; '.join(texts)}")


def _row(row: Measured) -> list[str]:
    from curriculum.measure.effects import text
    from curriculum.measure.metric import label

    medians = [number(row.median(run), 4 if row.unit == "%" else 3) for run in range(len(row.values))]
    return [
        label(row.id, row.title),
        row.unit or "-",
        row.window,
        *medians,
        *(text(effect, row.effect, row.unit) for effect in row.effects),
    ]


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
    rates = [["mean lr", window, *map(number, means)] for window, means in found.mean_lr.items() if found.windows[window]]
    put_table(["", "window", *names], rates, "Mean learning rate", right=list(range(2, 2 + len(names))))
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
    rows = [[t.id, t.unit or "-", found.names[t.run], number(t.worst), number(t.worst_tenth)] for t in found.tails]
    if rows:
        put_table(["measure", "unit", "run", "worst seed", "mean of the worst 10%"], rows, "Worst seeds", right=[3, 4])
