"""The answer, first on the page: what was found of the runs, by which rules, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curriculum.console import number
from curriculum.measure import listing
from curriculum.measure.answers import Answers, PairAnswer, answers, passes
from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import level
from curriculum.measure.ends import Ended, ends
from curriculum.measure.listing import Listing
from curriculum.measure.measuring import Gate
from curriculum.measure.pairing import names_of
from curriculum.measure.trace import median_seeds
from curriculum.measure.verdicts import Verdict
from curriculum.report.tables import Cell, Table, table
from curriculum.report.templating import render
from curriculum.store.blocks import seeds_text
from curriculum.store.manifest import skipped_updates
from curriculum.store.reader import Run
from curriculum.store.waiting import waiting

ENDED = {"diverged": "diverged", "interrupted": "was interrupted"}  # how a run ended that can be shown, but has not finished


@dataclass(frozen=True)
class Part:
    """What was found of a pair of runs, or of a single run: a title, the answer where the pair was judged, and all that was measured."""

    title: str
    judged: PairAnswer | None
    measured: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Answer:
    """All that the section shows, in its order.

    `effects` is the table of what was judged, None where nothing was; `ends` are the tables of scores, final errors, gates and seeds
    that were lost, and `more` those of everything else that was measured.
    """

    parts: tuple[Part, ...]
    rules: tuple[str, ...]
    notes: tuple[str, ...]
    effects: Table | None
    ends: tuple[Table, ...]
    medians: str
    more: tuple[Table, ...]


def answer_section(runs: Sequence[Run], found: Comparison | None) -> str:
    """Write the section of the answer as HTML; `found` is None for a single run."""
    return render("answer.html.j2", answer=answer_of(runs, found))


def answer_of(runs: Sequence[Run], found: Comparison | None) -> Answer:
    """Compose the answer. Raises `RunError` where a run is damaged."""
    names = names_of(runs) if found is None else found.names
    said = Answers((), (), tuple(_notes(runs[0]))) if found is None else answers(found)
    return Answer(
        parts=(Part(_title(runs[0], names[0]), None),) if found is None else tuple(_parts(found, said)),
        rules=said.rules,
        notes=said.notes,
        effects=None if found is None else _effects(found),
        ends=tuple(_ends(runs, names, found)),
        medians="; ".join(_medians(runs, names)),
        more=() if found is None else tuple(_more(found)),
    )


def _parts(found: Comparison, said: Answers) -> list[Part]:
    parts = []
    for pair in found.pairs:
        between = f"{found.names[pair.first]} against {found.names[pair.other]}"
        measured = tuple(_of_listing(own, f"{between}. {own.title}") for own in listing.measures(found, pair, full=True) if own.rows)
        parts.append(Part(f"{between}: not judged", said.of(pair), measured))
    return parts


def _title(run: Run, name: str) -> str:
    seeds, steps = len(run.seeds), run.trained_steps
    return f"{name}: {seeds} seed{'' if seeds == 1 else 's'}, {steps:,} step{'' if steps == 1 else 's'}"


def _notes(run: Run) -> list[str]:
    """Say of a single run what a comparison says of each of its runs: how it ended, and which seeds are missing."""
    whole = run.manifest.get("sheet_steps") or run.manifest["steps"]
    notes = (
        [] if run.status == "finished" else [f"the run {ENDED[run.status]} after {run.trained_steps:,} of {run.manifest['steps']:,} steps"]
    )
    if run.manifest["steps"] < whole:
        notes.append(f"trained on the first {run.manifest['steps']:,} of the sheet's {whole:,} steps only (--steps)")
    return [*notes, *waiting(run)]


def _effects(found: Comparison) -> Table | None:
    """Make the data table of the figure of effects."""
    rows: list[list[str | Cell]] = [
        [
            found.names[own.first],
            found.names[own.other],
            own.label,
            own.amount,
            own.interval,
            _chance(own),
            Cell(own.verdict, badge=True),
            own.wins,
        ]
        for own in (*found.verdicts, *found.guards, *found.explored)
    ]
    header = ["run", "against", "measure", "effect", f"{found.level} interval", "p", "verdict", "pairs"]
    q = "; q of exploratory measures is corrected among them (Benjamini-Hochberg)" if found.explored else ""
    return table(f"Effects, their intervals and tests{q}", header, rows, right=[3, 4, 5]) if rows else None


def _chance(verdict: Verdict) -> str:
    return f"q = {verdict.chance}" if verdict.verdict == "exploratory" else verdict.chance


def _ends(runs: Sequence[Run], names: Sequence[str], found: Comparison | None) -> list[Table]:
    ended = ends(runs, found)
    tables = [_ended(own, names, title) for own, title in ((ended.scores, "Scores at the end"), (ended.errors, "Final errors")) if own]
    if ended.gates:
        tables.append(_gates(ended.gates, names))
    lost = [[name, str(seed), where] for run, name in zip(runs, names, strict=True) for seed, where in run.diverged.items()]
    if lost:
        tables.append(table("Seeds that diverged: they rank worst", ["run", "seed", "where"], lost, right=[1]))
    skipped = [
        [name, str(seed), f"{own.updates:,} of {run.trained_steps:,}", own.first]
        for run, name in zip(runs, names, strict=True)
        for seed, own in skipped_updates(run.manifest).items()
    ]
    if skipped:
        header = ["run", "seed", "skipped updates", "the first"]
        tables.append(table("Seeds that skipped updates that were not finite", header, skipped, right=[1, 2]))
    return tables


def _ended(rows: Sequence[Ended], names: Sequence[str], title: str) -> Table:
    cells = [
        [own.title, names[own.run], level(own.median, own.unit), _seed(own.best, own.unit), _seed(own.worst, own.unit)] for own in rows
    ]
    header = ["measure", "run", "median over seeds", "best seed", "worst seed"]
    return table(f"{title}: mean over the last 5% of steps", header, cells, right=[2, 3, 4])


def _gates(gates: Sequence[Gate], names: Sequence[str]) -> Table:
    """Make a table with a row for each gate and a column for each run; where a seed fails, the cell says so."""
    runs = sorted({gate.run for gate in gates})
    by_gate: dict[str, dict[int, Gate]] = {}
    for gate in gates:
        by_gate.setdefault(gate.id, {})[gate.run] = gate
    rows: list[list[str | Cell]] = []
    for own in by_gate.values():
        one = next(iter(own.values()))
        rows.append([f"{one.id} {one.title}", passes(one), *(_passed(own[run]) if run in own else "-" for run in runs)])
    return table("Gates: how many seeds meet each requirement, and the worst seed", ["gate", "passes", *(names[run] for run in runs)], rows)


def _passed(gate: Gate) -> Cell:
    failed = gate.of - gate.passed
    return Cell(f"{gate.passed} of {gate.of}, worst {number(gate.worst)}", f"{failed} fail{'s' if failed == 1 else ''}" if failed else "")


def _seed(extreme: tuple[int, float] | None, unit: str) -> str:
    return "-" if extreme is None else f"{level(extreme[1], unit)} (seed {extreme[0]})"


def _medians(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Name the seed of each run that figures of a single seed show; nothing where every run has only one."""
    if all(len(run.seeds) == 1 for run in runs):
        return []
    chosen = median_seeds(runs)
    return [
        f"seed {run.seeds[place]} of {name} ({len(run.seeds)} seeds: {seeds_text(run.seeds)})"
        for run, name, place in zip(runs, names, chosen, strict=True)
    ]


def _more(found: Comparison) -> list[Table]:
    """Make the tables that `curriculum compare --full` prints of all runs."""
    pairs = [(f"{found.names[pair.first]} against {found.names[pair.other]}", pair) for pair in found.pairs]
    listed = [_of_listing(own, f"{between}. {own.title}") for between, pair in pairs if (own := listing.rates(found, pair)).rows]
    return [*listed, *(_of_listing(own) for own in (listing.losses(found), listing.tails(found)) if own.rows)]


def _of_listing(own: Listing, caption: str = "") -> Table:
    header = [own.header[0] or "what", *own.header[1:]]
    return table(caption or own.title, header, own.rows, own.right)
