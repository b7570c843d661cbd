"""Read a dopesheet: CSV text to a `Dopesheet`, every mistake with its file, line and column.

The language is described in docs/dopesheets.md. Nothing is repaired here: no default stands in for
a typo, no row is dropped or sorted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise

from curriculum.errors import MOST_PROBLEMS, Problem, SheetError, nearest, unknown
from curriculum.sheet.document import LAST_STEP_ALLOWED, RESERVED, VALUES_ALLOWED, Column, Dopesheet, Row
from curriculum.sheet.easings import ALIASES, DEFAULT_SPACE, DEFAULT_TIMING, EASINGS, SPACES
from curriculum.sheet.lines import CELL_LIMIT, Line, NotCsvError, delimiter_of, records
from curriculum.sheet.step_grammar import DECIMAL, INTEGER, UNREADABLE, anchor_of, carry, resolve


def parse(text: str, source: str = "<sheet>") -> Dopesheet:
    """Read a sheet from its text.

    Raises `SheetError` with every mistake that could be found, each with its file, line and cell.
    """
    return _Parser(source).parse(text)


class _Parser:
    """Collects the problems of one sheet while its parts are read one after another."""

    def __init__(self, source: str):
        self.source = source
        self.problems: list[Problem] = []

    def parse(self, text: str) -> Dopesheet:
        lines = self._lines(text)
        if not lines:
            self._report(0, 0, "the sheet is empty: it needs a header row with STEP and a row for step 0")
            self._stop()
        header, body = lines[0], lines[1:]
        places, columns = self._header(header)
        for line in body:
            self._check_width(line, len(header.cells))
        if not body:
            self._report(header.number, 0, "the sheet has no rows below its header: it needs one for step 0")
            self._stop()
        steps = self._steps(body, places["STEP"]) if "STEP" in places else [None] * len(body)
        rows = [self._row(line, step, places, columns) for line, step in zip(body, steps, strict=True)]
        last = max((step for step in steps if step is not None), default=0)
        if (last + 1) * len(columns) > VALUES_ALLOWED:
            message = f"{last + 1:,} steps of {len(columns):,} properties are too many: at most {VALUES_ALLOWED:,} values in all"
            self._report(header.number, 0, message)
        self._check_headless(header, body)
        self._check_merges(rows)
        for column in columns:
            if not any(line.cell(places[column.name]) for line in body):
                message = f"column {column.name!r} has no key: give it a value in some row, or remove it"
                self._report(header.number, places[column.name] + 1, message)
        self._stop()
        header_cells = {name: index + 1 for name, index in places.items()}
        return Dopesheet(tuple(columns), tuple(rows), self.source, header.number, header_cells)

    def _report(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(self.source, line, column, message))
        if len(self.problems) == MOST_PROBLEMS:
            self._stop()

    def _stop(self) -> None:
        if self.problems:
            raise SheetError(self.problems)

    def _lines(self, text: str) -> list[Line]:
        """Split the text into rows of trimmed cells, without blank lines and comments."""
        text = text.removeprefix("\ufeff")
        lines: list[Line] = []
        try:
            for line in records(text, delimiter_of(text)):
                lines.append(line)
                for index, cell in enumerate(line.cells):
                    if len(cell) > CELL_LIMIT:
                        message = f"a cell of {len(cell):,} characters; at most {CELL_LIMIT:,} are read"
                        self._report(line.number, index + 1, message)
                        self._stop()
        except NotCsvError as error:
            self._report(error.line, 0, f"this is not CSV: {error}")
            self._stop()
        return lines

    def _header(self, header: Line) -> tuple[dict[str, int], list[Column]]:
        """Read the header: where each column stands (from 0), and the properties in order."""
        places: dict[str, int] = {}
        columns: list[Column] = []
        for index, cell in enumerate(header.cells):
            if not cell:
                continue
            column = None if cell in RESERVED else self._column(header.number, index, cell)
            if column is None and cell not in RESERVED:
                continue
            name = column.name if column else cell
            if name in places:
                message = f"column {name!r} appears twice, first as column {places[name] + 1}: remove one"
                self._report(header.number, index + 1, message)
                continue
            places[name] = index
            if column:
                columns.append(column)
        if "STEP" not in places and not any("'STEP'" in p.message or "STEP takes" in p.message for p in self.problems):
            first = next(cell for cell in header.cells if cell)
            self._report(header.number, 1, f"no STEP column in the header row, which begins with {first[:40]!r}")
        return places, columns

    def _column(self, line: int, index: int, cell: str) -> Column | None:
        """Read the header `name`, `name:space`, `name::timing` or `name:space:timing`; None where it has no name."""
        name, *rest = (part.strip() for part in cell.split(":"))
        reserved = {word.lower(): word for word in RESERVED}.get(name.lower())
        if reserved is None and name.isupper():
            reserved = next(iter(get_close_matches(name, RESERVED, 1, 0.85)), None)
        if reserved:
            wanted = f"{reserved} takes no space and no timing" if rest and name == reserved else f"did you mean {reserved!r}?"
            self._report(line, index + 1, f"{cell!r} cannot be a property's name: {wanted}")
            return None
        if not name or len(rest) > 2 or (rest and not rest[-1]):
            forms = "'name', 'name:space', 'name::timing' or 'name:space:timing'"
            self._report(line, index + 1, f"cannot read the header {cell!r}: write {forms}")
        elif not name.isprintable() or name.startswith("#"):
            self._report(line, index + 1, f"{name!r} cannot be a property's name: use printable characters, and no # in front")
        space = rest[0] if rest and rest[0] else DEFAULT_SPACE
        timing = rest[1] if len(rest) > 1 and rest[1] else DEFAULT_TIMING
        timing = ALIASES.get(timing, timing)
        timings = [*EASINGS, *ALIASES]
        if space not in SPACES and (space in timings or (nearest(space, SPACES) is None and nearest(space, timings))):
            meant = space if space in timings else nearest(space, timings)
            message = f"{space!r} is no space (allowed: {', '.join(SPACES)}); for the timing {meant!r} write {name}::{meant}"
            self._report(line, index + 1, message)
        elif space not in SPACES:
            self._report(line, index + 1, unknown("space", space, list(SPACES)))
        if timing not in EASINGS:
            self._report(line, index + 1, unknown("timing", timing, timings))
        # What cannot be read is taken as linear for now, so that the cells below are checked too.
        return Column(name, space if space in SPACES else DEFAULT_SPACE, timing if timing in EASINGS else DEFAULT_TIMING) if name else None

    def _check_width(self, line: Line, width: int) -> None:
        for index in range(width, len(line.cells)):
            if line.cells[index]:
                message = f"{line.cells[index]!r} stands beyond the header's {width} columns: the row has too many cells"
                self._report(line.number, index + 1, message)

    def _steps(self, body: Sequence[Line], place: int) -> list[int | None]:
        """Resolve the STEP of every row; None where it could not be read."""
        cells = [line.cell(place) for line in body]
        column = place + 1
        anchors = [anchor_of(cell) for cell in cells]
        above = carry(anchors)
        below = carry(anchors[::-1])[::-1]
        steps: list[int | None] = []
        for line, cell, before, after in zip(body, cells, above, below, strict=True):
            try:
                step = resolve(cell, before, after)
                if UNREADABLE in (before, after) and not INTEGER.fullmatch(cell):
                    steps.append(None)  # it may hang on a step that is reported already
                    continue
                if step > LAST_STEP_ALLOWED:
                    raise ValueError(f"step {step:,} is beyond the longest run of {LAST_STEP_ALLOWED:,} steps")
            except ValueError as error:
                self._report(line.number, column, str(error))
                steps.append(None)
            else:
                steps.append(step)
        self._check_order(body, cells, steps, column)
        return steps

    def _check_order(self, body: Sequence[Line], cells: Sequence[str], steps: Sequence[int | None], column: int) -> None:
        known = [(line, cell, step) for line, cell, step in zip(body, cells, steps, strict=True) if step is not None]
        if steps[0] is not None and (steps[0] != 0 or not INTEGER.fullmatch(cells[0])):
            self._report(body[0].number, column, f"no step 0: the first row must have STEP 0, this one has {cells[0]!r}")
        for (line, cell, step), (next_line, next_cell, next_step) in pairwise(known):
            if next_step >= step:
                continue
            message = f"STEP {next_cell!r} is step {next_step}, before step {step} of line {line.number}: rows go forward in time"
            if INTEGER.fullmatch(next_cell):
                message += f"; if a spreadsheet turned '+{next_cell}' into '{next_cell}', write 'prev+{next_cell}'"
            elif INTEGER.fullmatch(cell):
                message += f"; if a spreadsheet turned '+{cell}' into '{cell}' there, write 'prev+{cell}'"
            self._report(next_line.number, column, message)

    def _row(self, line: Line, step: int | None, places: dict[str, int], columns: Iterable[Column]) -> Row:
        values: dict[str, float] = {}
        for column in columns:
            cell = line.cell(places[column.name])
            if not cell:
                continue
            try:
                values[column.name] = _number(cell, column)
            except ValueError as error:
                self._report(line.number, places[column.name] + 1, f"{column.name}: {error}")
        phase = line.cell(places.get("PHASE")) or None
        action_cell = line.cell(places.get("ACTION"))
        actions = tuple(name.strip() for name in action_cell.split(",")) if action_cell else ()
        for kind, text in (("PHASE", phase or ""), ("ACTION", action_cell)):
            if not text.isprintable():
                self._report(line.number, places[kind] + 1, f"{kind} {text!r} has characters that cannot be printed")
        if not all(actions):
            self._report(line.number, places["ACTION"] + 1, f"ACTION {action_cell!r} has an empty name: separate names by one comma")
        cells = {name: index + 1 for name, index in places.items() if line.cell(index)}
        return Row(line.cell(places.get("STEP")), -1 if step is None else step, phase, actions, values, line.number, cells)

    def _check_headless(self, header: Line, body: Sequence[Line]) -> None:
        for line in body:
            for index, cell in enumerate(line.cells[: len(header.cells)]):
                if cell and not header.cells[index]:
                    self._report(line.number, index + 1, f"{cell!r} stands in a column without a header: name the column")

    def _check_merges(self, rows: Sequence[Row]) -> None:
        """Rows on one step merge; two values for one cell cannot."""
        filled: dict[tuple[int, str], Row] = {}
        for row in rows:
            if row.step < 0:
                continue
            for name in ([] if row.phase is None else ["PHASE"]) + list(row.values):
                first = filled.setdefault((row.step, name), row)
                if first is not row:
                    message = (
                        f"{name} at step {row.step} is filled already, in line {first.line}: two rows on one step need different cells"
                    )
                    self._report(row.line, row.cells[name], message)


def _number(cell: str, column: Column) -> float:
    """Read a key. Raises ValueError with a sentence that says what is wrong with it."""
    if not DECIMAL.fullmatch(cell):
        dotted = cell.replace(",", ".")
        advice = f", write {dotted!r} with a decimal point" if DECIMAL.fullmatch(dotted) else ""
        raise ValueError(f"{cell!r} is not a finite decimal number{advice}")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is too large for a number (at most about 1.8e308)")
    if SPACES[column.space].positive and value <= 0:
        raise ValueError(f"{cell!r} cannot stand in a column of the {column.space} space: it must be greater than 0")
    return value
