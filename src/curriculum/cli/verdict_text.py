"""What `curriculum compare` prints: the answer, and with `--full` everything that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from curriculum.cli.dopesheet import print_diff
from curriculum.console import number, put, put_table

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison, Pair
    from curriculum.measure.measuring import Measured
    from curriculum.measure.verdicts import Verdict


def print_comparison(found: Comparison, full: bool = False) -> None:
    """Print the answer of a comparison, and what to be careful of; with `full` also everything that was measured."""
    for pair in found.pairs:
        _print_answer(found, pair, full)
    for pair in found.pairs:
        if full or not _judged(found, pair):
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
    _print_margins(found)
    for note in (*_failed_gates(found), *found.notes):
        put(f"note: {note}")


def _judged(found: Comparison, pair: Pair) -> list[Verdict]:
    return _of(pair, (*found.verdicts, *found.guards))


def _of(pair: Pair, verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if (verdict.first, verdict.other) == (pair.first, pair.other)]


def _print_answer(found: Comparison, pair: Pair, full: bool) -> None:
    """Print what was found of a pair, where it was judged: a headline, the hypotheses, and every measure that was tested."""
    judged = _judged(found, pair)
    if not judged:
        return
    hypotheses = [own for own in found.hypotheses if (own.first, own.other) == (pair.first, pair.other)]
    put(_headline(found, pair))
    for hypothesis in hypotheses:
        put(f"  {hypothesis.id} {hypothesis.question}: {hypothesis.verdict}")
        for verdict in judged:
            if verdict.id in hypothesis.measures:
                put(f"     {verdict.sentence(found.names)}")
    named = {id_ for hypothesis in hypotheses for id_ in hypothesis.measures}
    for verdict in (*(verdict for verdict in judged if verdict.id not in named), *(_of(pair, found.explored) if full else ())):
        put(f"  {verdict.sentence(found.names)}")
    put("")


def _headline(found: Comparison, pair: Pair) -> str:
    """Say the answer in one sentence: of each hypothesis, and of what the run ended with."""
    judged = _judged(found, pair)
    estimate = judged[0].estimate
    pairs = f"{estimate.n} pairs of seeds" if estimate.paired else f"at least {estimate.n} seeds each, unpaired"
    answers = [f"{own.id} {own.verdict}" for own in found.hypotheses if (own.first, own.other) == (pair.first, pair.other)]
    windows = {row.id: row.window for row in found.rows(pair, found.measures) if row.judged}
    ended = [verdict for verdict in judged if windows.get(verdict.id, "") not in pair.windows]
    values = [f"{verdict.title} {verdict.amount} ({verdict.verdict})" for verdict in ended]
    return f"{found.names[pair.first]} against {found.names[pair.other]}, {pairs}: {'; '.join((*answers, *values))}"


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
    sides = {"lower": "at most", "higher": "at least"}
    rows = [
        [f"{g.id} {g.title}", f"{sides[g.better]} {number(g.limit)}", found.names[g.run], f"{g.passed} of {g.of}", number(g.worst)]
        for g in found.gates
    ]
    if rows:
        put_table(["gate", "passes", "run", "passed", "worst seed"], rows, "Gates: does each seed meet the requirement?", right=[3, 4])


def _failed_gates(found: Comparison) -> list[str]:
    """Say of each run how many seeds fail which gates."""
    failed: dict[int, list[str]] = {}
    for gate in found.gates:
        if gate.passed < gate.of:
            failed.setdefault(gate.run, []).append(f"{gate.title} ({gate.of - gate.passed} of {gate.of})")
    return [f"{found.names[run]} has seeds that fail a gate: {', '.join(gates)}" for run, gates in sorted(failed.items())]


def _print_tails(found: Comparison) -> None:
    """Print the worst seeds of each run, where there are several."""
    rows = []
    for tail in found.tails:
        other = found.names[tail.other if tail.run == tail.first else tail.first]
        rows.append([tail.id, tail.unit or "-", found.names[tail.run], other, number(tail.worst), number(tail.worst_tenth)])
    if rows:
        put_table(["measure", "unit", "run", "compared with", "worst seed", "mean of the worst 10%"], rows, "Worst seeds", right=[4, 5])


def _print_margins(found: Comparison) -> None:
    """Print the smallest effects of interest by which the verdicts were given."""
    from curriculum.measure.effects import SCALED, difference_unit
    from curriculum.measure.effects import number as plain

    margins: dict[str, list[str]] = {}
    for verdict in (*found.verdicts, *found.guards):
        if verdict.margin is None:
            text = "none, direction only"
        elif verdict.effect in SCALED:
            text = f"x{plain(verdict.margin[0], verdict.effect)} to x{plain(verdict.margin[1], verdict.effect)}"
        else:
            size = plain(verdict.margin[1], verdict.effect).removeprefix("+")
            text = f"+-{size} {difference_unit(verdict.effect, verdict.unit)}".rstrip()
        if verdict.id not in margins.setdefault(text, []):
            margins[text].append(verdict.id)
    if margins:
        texts = [f"{text} ({', '.join(ids)})" for text, ids in margins.items()]
        put(f"smallest effects of interest: {'; '.join(texts)}")
        corrected = f"{found.tests} tests are corrected together (Holm)" if found.tests > 1 else "a single test needs no correction"
        put(f"{corrected}; intervals are of {found.level} each")
