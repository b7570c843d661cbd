"""Sheets side by side: every cell as its file has it, and marked where the runs that are compared differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from curriculum.measure.comparison import Comparison, Pair
from curriculum.report.tables import Cell, Table, table
from curriculum.sheet.diff import KeyChange, SheetDiff
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.lines import decode, delimiter_of, records
from curriculum.store.reader import Run

ONLY_HERE = "only here"
MOST_ROWS = 300  # of a sheet, and of a list of differences
Notes = dict[tuple[int, int], str]  # by line and column, counted from 0


def sheet_table(runs: Sequence[Run], names: Sequence[str], place: int, found: Comparison | None) -> Table:
    """Make the table of a run's sheet; a cell in which it differs from the run that it is compared with says how."""
    run = runs[place]
    text = decode(run.sheet_bytes, run.manifest["sheet"]).removeprefix("\ufeff")
    lines = list(records(text, delimiter_of(text)))
    pair, caption = _pair_of(place, found), f"{names[place]}: {run.manifest['sheet']}"
    notes: Notes = {}
    if pair is not None:
        first = pair.first == place
        other = pair.other if first else pair.first
        caption += f"; marked where it differs from {names[other]} (there)"
        notes = _notes(run.sheet, runs[other].sheet, pair.sheets, first)
    if len(lines) > MOST_ROWS + 1:
        caption += f"; the first {MOST_ROWS} of {len(lines) - 1:,} rows, all are in {run.path.name}/dopesheet.csv"
    header, body = lines[0], lines[1 : MOST_ROWS + 1]
    width = max(len(line.cells) for line in (header, *body))
    cells = [[Cell(line.cell(column), notes.get((line.number, column), "")) for column in range(width)] for line in (header, *body)]
    return table(caption, cells[0], cells[1:])


def _pair_of(place: int, found: Comparison | None) -> Pair | None:
    """Choose the pair by which a run's sheet is marked: the only one that it is in, or that with the first run.

    None for a run that all others are compared with.
    """
    pairs = [pair for pair in found.pairs if place in (pair.first, pair.other)] if found else []
    if found is None or len(pairs) < 2:
        return pairs[0] if pairs else None
    if place == 0 or {pair.other for pair in found.pairs} == {place}:
        return None
    return next((pair for pair in pairs if 0 in (pair.first, pair.other)), None)


def _notes(own: Dopesheet, other: Dopesheet, found: SheetDiff, first: bool) -> Notes:
    """Say at each cell of a sheet in what it differs from the other one; `first` tells that it is the first of the two in `found`."""
    rows = {row.step: row for row in own.rows}
    notes: Notes = {}

    def put(step: int, column: str, note: str) -> None:
        row = rows.get(step)
        if row is not None and column in row.cells:
            notes[row.line, row.cells[column] - 1] = note

    for change in found.keys:
        here, there = (change.step_a, change.step_b) if first else (change.step_b, change.step_a)
        value = change.value_b if first else change.value_a
        if here is not None:
            put(here, change.property, _change(change, there, value))
    for column in found.only_a if first else found.only_b:
        if column in own.header_cells:
            notes[own.header_line, own.header_cells[column] - 1] = ONLY_HERE
    for what, timing_a, timing_b in found.timings:
        timing = timing_b if first else timing_a
        column, _, step = what.partition(" at step ")
        if step:
            put(int(step), column, f"there: {timing}")
        elif column in own.header_cells:
            notes[own.header_line, own.header_cells[column] - 1] = f"there: {timing}"
    plan = {(row.step, row.phase) for row in other.rows if row.phase is not None}
    actions = set(other.actions)
    for row in own.rows:
        if row.phase is not None and (row.step, row.phase) not in plan:
            put(row.step, "PHASE", ONLY_HERE)
        if any((row.step, action) not in actions for action in row.actions):
            put(row.step, "ACTION", ONLY_HERE)
    return notes


def _change(change: KeyChange, there: int | None, value: float | None) -> str:
    if there is None or value is None:
        return ONLY_HERE
    return f"there: at step {there:,}" if change.kind == "moved" else f"there: {value:g}"


def changes(pair: Pair, names: Sequence[str]) -> Iterable[Table]:
    """List the differences between the sheets of a pair: columns and timings, keys, and how far the curves are apart."""
    found, first, other = pair.sheets, names[pair.first], names[pair.other]
    between = f"{first} against {other}"
    plain: list[list[str]] = []
    if found.steps[0] != found.steps[1]:
        plain.append(["steps", *(f"{steps:,}" for steps in found.steps)])
    plain += [[name, "a column", "-"] for name in found.only_a] + [[name, "-", "a column"] for name in found.only_b]
    plain += [list(timing) for timing in found.timings]
    if plain:
        yield table(f"{between}: columns and timings that differ", ["what", first, other], plain)
    if found.keys:
        shown = found.keys[:MOST_ROWS]
        more = f" (the first {MOST_ROWS} of {len(found.keys):,})" if len(found.keys) > MOST_ROWS else ""
        keys = [[k.property, k.kind, _key(k.step_a, k.value_a), _key(k.step_b, k.value_b)] for k in shown]
        yield table(f"{between}: keys that differ, value @ step{more}", ["column", "key", first, other], keys, right=[2, 3])
    moved = [curve for curve in found.curves if curve.largest > 0]
    if moved:
        curves = [[c.property, f"{c.share:.1%}", f"{c.largest:.3g}", f"{c.step:,}"] for c in moved]
        header = ["column", "mean distance", "largest", "at step"]
        yield table(f"{between}: between the curves, mean distance in parts of their range", header, curves, right=[1, 2, 3])


def _key(step: int | None, value: float | None) -> str:
    return "-" if step is None or value is None else f"{value:g} @ {step:,}"
