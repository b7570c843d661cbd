"""Tables of a comparison, as texts: what the command line prints with `--full`, and what the page unfolds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curriculum.console import number
from curriculum.measure.answers import passes
from curriculum.measure.comparison import Comparison, Pair
from curriculum.measure.effects import text
from curriculum.measure.measures import END, LAST
from curriculum.measure.measuring import Gate, Measured
from curriculum.measure.metric import label


@dataclass(frozen=True)
class Listing:
    """A table of texts under a title; `right` are the columns that are aligned to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str
    right: tuple[int, ...]


def measures(found: Comparison, pair: Pair, full: bool) -> list[Listing]:
    """List the scores, the final errors and the measures of a pair; but with `full` only over the windows that are judged."""
    names = [found.names[pair.first], found.names[pair.other]]
    header = ["measure", "unit", "window", *names, " / ".join(names)]
    right, shown = [3, 4, 5], _shown(found, pair)
    rows = found.rows(pair, (*found.measures, *found.exploratory))
    scores = [row for row in rows if row.window == LAST]
    final = [*scores, *found.rows(pair, found.final)]
    what = "Scores and final error" if scores and found.final else "Final error" if found.final else "Metrics at the end"
    listed = [_listing(header, [_row(row) for row in final], f"{what}{shown}", right)]
    empty = {window for window, stretches in pair.windows.items() if not stretches}
    over = [row for row in rows if row.window not in (LAST, END) and (row.judged or (full and row.window not in empty))]
    if over:
        listed.append(_listing(header, [_row(row) for row in over], f"Measures from step {pair.first_step:,} on{shown}", right))
    ended = [row for row in rows if row.window == END]
    if ended:
        listed.append(_listing(header, [_row(row) for row in ended], f"Measures at the end of training{shown}", right))
    return listed


def rates(found: Comparison, pair: Pair) -> Listing:
    """List the mean learning rate of the runs of a pair in each window."""
    names = [found.names[pair.first], found.names[pair.other]]
    rows = [["mean lr", window, *map(number, means)] for window, means in pair.mean_lr.items() if pair.windows[window]]
    return _listing(["", "window", *names], rows, "Mean learning rate", [2, 3])


def losses(found: Comparison) -> Listing:
    """List the losses of the last step of each run."""
    terms = list(dict.fromkeys(term for losses in found.last_losses for term in losses))
    last = [[term, *(number(losses.get(term)) for losses in found.last_losses)] for term in terms]
    many = any(len(run.seeds) > 1 for run in found.runs)
    title = f"Logged losses at the last step{', median over seeds' if many else ''}"
    return _listing(["loss", *found.names], last, title, range(1, 1 + len(found.names)))


def gates(found: Sequence[Gate], names: Sequence[str]) -> Listing:
    """List how many seeds of each run pass each gate."""
    rows = [[f"{g.id} {g.title}", passes(g), names[g.run], f"{g.passed} of {g.of}", number(g.worst)] for g in found]
    title = "Gates: does each seed meet the requirement?"
    return _listing(["gate", "passes", "run", "passed", "worst seed"], rows, title, [3, 4])


def tails(found: Comparison) -> Listing:
    """List the worst seeds of each run."""
    rows = []
    for tail in found.tails:
        other = found.names[tail.other if tail.run == tail.first else tail.first]
        rows.append([tail.id, tail.unit or "-", found.names[tail.run], other, number(tail.worst), number(tail.worst_tenth)])
    return _listing(["measure", "unit", "run", "compared with", "worst seed", "mean of the worst 10%"], rows, "Worst seeds", [4, 5])


def _listing(header: Sequence[str], rows: Sequence[Sequence[str]], title: str, right: Sequence[int]) -> Listing:
    return Listing(tuple(header), tuple(map(tuple, rows)), title, tuple(right))


def _row(row: Measured) -> list[str]:
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
