"""What `curriculum compare` prints: the answer, and with `--full` everything that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curriculum.cli.dopesheet import print_diff
from curriculum.console import number, put, put_table

if TYPE_CHECKING:
    from curriculum.measure.answers import PairAnswer
    from curriculum.measure.comparison import Comparison, Pair
    from curriculum.measure.measuring import Measured


def print_comparison(found: Comparison, full: bool = False) -> None:
    """Print the answer of a comparison, and what to be careful of; with `full` also everything that was measured."""
    from curriculum.measure.answers import answers

    answer = answers(found)
    for own in answer.pairs:
        _print_answer(own, full)
    for pair in found.pairs:
        if full or not answer.of(pair):
            _print_measures(found, pair, full)
    if full:
        for pair in found.pairs:
            _print_rates(found, pair)
        _print_losses(found)
        for pair in found.pairs:
            first, other = found.names[pair.first], found.names[pair.other]
            put(f"Schedules of {first} and {other}")
            print_diff(pair.sheets, first, other, keys=False)
        _print_gates(found)
        _print_tails(found)
    for rule in answer.rules:
        put(rule)
    for note in answer.notes:
        put(f"note: {note}")


def _print_answer(answer: PairAnswer, full: bool) -> None:
    """Print what was found of a pair: a headline, the hypotheses, and every measure that was tested; with `full` the exploratory ones."""
    put(answer.headline)
    for hypothesis in answer.hypotheses:
        put(f"  {hypothesis}")
        for sentence in hypothesis.sentences:
            put(f"     {sentence}")
    for sentence in (*answer.sentences, *(answer.explored if full else ())):
        put(f"  {sentence}")
    put("")


def _print_measures(found: Comparison, pair: Pair, full: bool) -> None:
    """Print the scores, the final errors and the measures of a pair; but with `full` only over the windows that are judged."""
    from curriculum.measure.measures import END, LAST

    names = [found.names[pair.first], found.names[pair.other]]
    header = ["measure", "unit", "window", *names, " / ".join(names)]
    right, shown = [3, 4, 5], _shown(found, pair)
    rows = found.rows(pair, (*found.measures, *found.exploratory))
    scores = [row for row in rows if row.window == LAST]
    final = [*scores, *found.rows(pair, found.final)]
    what = "Scores and final error" if scores and found.final else "Final error" if found.final else "Metrics at the end"
    put_table(header, [_row(row) for row in final], f"{what}{shown}", right)
    empty = {window for window, stretches in pair.windows.items() if not stretches}
    over = [row for row in rows if row.window not in (LAST, END) and (row.judged or (full and row.window not in empty))]
    if over:
        put_table(header, [_row(row) for row in over], f"Measures from step {pair.first_step:,} on{shown}", right)
    ended = [row for row in rows if row.window == END]
    if ended:
        put_table(header, [_row(row) for row in ended], f"Measures at the end of training{shown}", right)


def _row(row: Measured) -> list[str]:
    from curriculum.measure.effects import text
    from curriculum.measure.metric import label

    levels = [number(level, 4 if row.unit == "%" else 3) for level in row.levels]
    return [label(row.id, row.title), row.unit or "-", row.window, *levels, text(row.value, row.effect, row.unit)]


def _shown(found: Comparison, pair: Pair) -> str:
    """Say what the columns of a table of measures show."""
    seeds = [found.runs[place].seeds for place in (pair.first, pair.other)]
    if max(map(len, seeds)) == 1:
        return ": value of the single seed, and effect"
    shared = set(seeds[0]) & set(seeds[1])
    effect = "interquartile mean over pairs" if shared else "between interquartile means for runs without shared seeds"
    return f": median over seeds (of counts the mean), and effect ({effect})"


def _print_rates(found: Comparison, pair: Pair) -> None:
    """Print the mean learning rate of the runs of a pair in each window."""
    names = [found.names[pair.first], found.names[pair.other]]
    rates = [["mean lr", window, *map(number, means)] for window, means in pair.mean_lr.items() if pair.windows[window]]
    put_table(["", "window", *names], rates, "Mean learning rate", right=[2, 3])


def _print_losses(found: Comparison) -> None:
    """Print the losses of the last step of each run."""
    terms = list(dict.fromkeys(term for losses in found.last_losses for term in losses))
    last = [[term, *(number(losses.get(term)) for losses in found.last_losses)] for term in terms]
    many = any(len(run.seeds) > 1 for run in found.runs)
    title = f"Logged losses at the last step{', median over seeds' if many else ''}"
    put_table(["loss", *found.names], last, title, right=list(range(1, 1 + len(found.names))))


def _print_gates(found: Comparison) -> None:
    """Print how many seeds of each run pass each gate, where the task has gates."""
    from curriculum.measure.answers import passes

    rows = [[f"{g.id} {g.title}", passes(g), found.names[g.run], f"{g.passed} of {g.of}", number(g.worst)] for g in found.gates]
    if rows:
        put_table(["gate", "passes", "run", "passed", "worst seed"], rows, "Gates: does each seed meet the requirement?", right=[3, 4])


def _print_tails(found: Comparison) -> None:
    """Print the worst seeds of each run, where there are several."""
    rows = []
    for tail in found.tails:
        other = found.names[tail.other if tail.run == tail.first else tail.first]
        rows.append([tail.id, tail.unit or "-", found.names[tail.run], other, number(tail.worst), number(tail.worst_tenth)])
    if rows:
        put_table(["measure", "unit", "run", "compared with", "worst seed", "mean of the worst 10%"], rows, "Worst seeds", right=[4, 5])
