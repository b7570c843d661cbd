"""Read a dopesheet: CSV text to a `Dopesheet`, every mistake with its file, line and column.

The language is described in docs/dopesheets.md. Nothing is repaired here: no default stands in for
a typo, no row is dropped or sorted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from curriculum.errors import MOST_PROBLEMS, InputError, Problem, SheetError
from curriculum.sheet.document import LAST_STEP_ALLOWED, RESERVED, VALUES_ALLOWED, Column, Dopesheet, Row
from curriculum.sheet.easings import ALIASES, EASINGS, SPACES, Curve
from curriculum.sheet.header_grammar import read_column, reserved_word, unknown_timing
from curriculum.sheet.lines import Line, NotCsvError, decode, delimiter_of, records, separator_in
from curriculum.sheet.spreadsheets import advice, plain
from curriculum.sheet.step_grammar import DECIMAL, INTEGER, UNREADABLE, anchors, resolve
from curriculum.sheet.table import Table, TimingError, tables_in, tabulate

CELL_LIMIT = 10_000  # characters; longer than any name or number
UNRESOLVED = -1  # the step of a row whose STEP cannot be read


def parse(text: str | bytes, source: str = "<sheet>", timing_of: Callable[[str], Curve | None] = lambda name: None) -> Dopesheet:
    """Read a sheet from its text, or from the bytes of its file: UTF-8 text.

    `timing_of` finds timings that are not built in by their names: functions of u `[N]` in [0, 1] to progress `[N]`, None for
    an unknown one. A timing whose table is in the text needs no function.

    Raises `SheetError` with every mistake that could be found, each with its file, line and cell; of more than
    `MOST_PROBLEMS`, the first that were found.
    """
    return _Parser(source, timing_of).parse(decode(text, source) if isinstance(text, bytes) else text)


class _Parser:
    """Reads one sheet part by part, and collects its problems on the way."""

    def __init__(self, source: str, timing_of: Callable[[str], Curve | None]):
        self.source = source
        self.timing_of = timing_of
        self.tables: dict[str, Table] = {}
        self.problems: list[Problem] = []
        self.readings: list[str] = []
        self.notes: set[int] = set()  # the places of columns that are not read

    def parse(self, text: str) -> Dopesheet:
        lines = self._lines(text)
        if not lines:
            self._report(0, 0, "the sheet is empty: it needs a header row with STEP and a row for step 0")
            self._stop()
        header, body = lines[0], lines[1:]
        self.stored = tables_in(text)
        names, columns = self._header(header)
        body, readings = plain(body, names, self.commas)
        self.readings += readings
        for line in body:
            self._check_headers(line, header)
        if not body:
            self._report(header.number, 0, "the sheet has no rows below its header: it needs one for step 0")
            self._stop()
        header_cells = {name: index + 1 for index, name in names.items()}
        steps = self._steps(body, header_cells["STEP"]) if "STEP" in header_cells else [UNRESOLVED] * len(body)
        rows = [self._row(line, step, names, columns) for line, step in zip(body, steps, strict=True)]
        count = max(steps) + 1
        if count * len(columns) > VALUES_ALLOWED:
            message = f"{count:,} steps of {len(columns):,} properties are too many: at most {VALUES_ALLOWED:,} values are allowed"
            self._report(header.number, 0, message)
        self._check_merges(rows)
        self._check_first_keys(rows, columns)
        filled = {name for row in rows for name in row.cells}
        for name in columns:
            if name not in filled:
                message = f"column {name!r} has no key: give it a value in some row, or remove it"
                self._report(header.number, header_cells[name], message)
        self._stop()
        return Dopesheet(tuple(columns.values()), tuple(rows), self.source, header.number, header_cells, self.tables, tuple(self.readings))

    def _report(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(self.source, line, column, message))
        if len(self.problems) == MOST_PROBLEMS:
            self._stop()

    def _stop(self) -> None:
        """End the reading where anything is wrong."""
        if self.problems:
            raise SheetError(self.problems)

    def _lines(self, text: str) -> list[Line]:
        """Split the text into rows of trimmed cells, without blank lines and comments."""
        text = text.removeprefix("\ufeff")
        lines: list[Line] = []
        delimiter = delimiter_of(text)
        self.commas = delimiter == ";"
        if separator_in(text):
            self.readings.append(f"line 1: {text.splitlines()[0]!r} names the delimiter, {delimiter!r}")
        try:
            for line in records(text, delimiter):
                lines.append(line)
                for index, cell in enumerate(line.cells):
                    if len(cell) > CELL_LIMIT:
                        message = f"a cell of {len(cell):,} characters is too long: at most {CELL_LIMIT:,} are allowed"
                        self._report(line.number, index + 1, message)
                        self._stop()
        except NotCsvError as error:
            self._report(error.line, 0, f"this is not CSV: {error}")
            self._stop()
        return lines

    def _header(self, header: Line) -> tuple[dict[int, str], dict[str, Column]]:
        """Read the header: the name of each column by its index, and the properties by their names."""
        places: dict[str, int] = {}
        columns: dict[str, Column] = {}
        for index, cell in enumerate(header.cells):
            name, column = cell, None
            if index and cell.startswith("#"):
                self.notes.add(index)
                self.readings.append(f"column {index + 1}, {cell!r}: a note, which is not read")
                continue
            if cell not in ("", *RESERVED):
                column, mistakes = read_column(cell, self._mistake_in)
                for mistake in mistakes:
                    self._report(header.number, index + 1, mistake)
                name = column.name if column else ""
            if name in places:
                message = f"column {name!r} appears twice, first as column {places[name] + 1}: remove one"
                self._report(header.number, index + 1, message)
            elif name:
                places[name] = index
                if column:
                    columns[name] = column
        if not any(reserved_word(cell) == "STEP" for cell in header.cells):
            first = next(cell for cell in header.cells if cell)
            self._report(header.number, 1, f"the header row has no STEP column; it starts with {first[:40]!r}")
        return {index: name for name, index in places.items()}, columns

    def _mistake_in(self, timing: str) -> str:
        """Find a timing that is not built in; say what is wrong with it."""
        if timing in self.tables:
            return ""
        try:
            if timing in self.stored:
                self.tables[timing] = self.stored[timing]()
            elif (function := self.timing_of(timing)) is not None:
                self.tables[timing] = tabulate(function)
            else:
                return unknown_timing(timing)
        except TimingError as error:
            return f"cannot use the timing {timing!r}: {error}"
        except InputError as error:
            return str(error)
        return ""

    def _check_headers(self, line: Line, header: Line) -> None:
        """Check that each filled cell of a row is below a header."""
        width = len(header.cells)
        for index, cell in enumerate(line.cells):
            if index in self.notes:
                continue
            if cell and index >= width:
                self._report(line.number, index + 1, f"{cell!r} is beyond the {width} columns of the header: the row has too many cells")
            elif cell and not header.cells[index]:
                self._report(line.number, index + 1, f"{cell!r} is in a column without a header: add a name to the header row")

    def _steps(self, body: Sequence[Line], column: int) -> list[int]:
        """Resolve the STEP of every row; `UNRESOLVED` where it cannot be read."""
        cells = [line.cell(column - 1) for line in body]
        steps: list[int] = []
        for line, cell, (before, after) in zip(body, cells, anchors(cells), strict=True):
            try:
                step = resolve(cell, before, after)
                if UNREADABLE in (before, after) and not INTEGER.fullmatch(cell):
                    step = UNRESOLVED  # it is relative to a step that is reported already
                elif step > LAST_STEP_ALLOWED:
                    raise ValueError(f"step {step:,} is too large: the last step can be at most {LAST_STEP_ALLOWED:,}")
            except ValueError as error:
                self._report(line.number, column, str(error))
                step = UNRESOLVED
            steps.append(step)
        self._check_order(body, cells, steps, column)
        return steps

    def _check_order(self, body: Sequence[Line], cells: Sequence[str], steps: Sequence[int], column: int) -> None:
        """Check that the rows begin at step 0 and never go back."""
        if steps[0] != UNRESOLVED and (steps[0] != 0 or not INTEGER.fullmatch(cells[0])):
            self._report(body[0].number, column, f"no step 0: the first row must have STEP 0, but has {cells[0]!r}")
        resolved = [(line, cell, step) for line, cell, step in zip(body, cells, steps, strict=True) if step != UNRESOLVED]
        for (line, cell, step), (next_line, next_cell, next_step) in pairwise(resolved):
            if next_step >= step:
                continue
            message = f"STEP {next_cell!r} is step {next_step}, before step {step} of line {line.number}: rows must be ordered by step"
            if INTEGER.fullmatch(next_cell):
                message += f"; if a spreadsheet turned '+{next_cell}' into '{next_cell}', write 'prev+{next_cell}'"
            elif INTEGER.fullmatch(cell):
                message += f"; if a spreadsheet turned '+{cell}' into '{cell}' there, write 'prev+{cell}'"
            self._report(next_line.number, column, message)

    def _row(self, line: Line, step: int, names: Mapping[int, str], columns: Mapping[str, Column]) -> Row:
        """Read the filled cells of a row, each by the name of its column."""
        values: dict[str, float] = {}
        timings: dict[str, str] = {}
        cells: dict[str, int] = {}
        words = dict.fromkeys(RESERVED, "")
        for index, cell in enumerate(line.cells):
            name = names.get(index)
            if not cell or name is None:
                continue
            cells[name] = index + 1
            if name in words:
                words[name] = cell
                if not cell.isprintable() and name != "STEP":
                    self._report(line.number, index + 1, f"{name} {cell!r} contains characters that are not printable")
                continue
            amount, _, timing = cell.partition(" ")
            if timing.strip()[:1].isdigit():
                amount, timing = cell, ""  # thousands set apart by spaces
            try:
                if timing := ALIASES.get(timing.strip(), timing.strip()):
                    if wrong := self._mistake_in(timing) if timing not in EASINGS else "":
                        raise ValueError(wrong)
                    timings[name] = timing
                values[name] = _number(amount, columns[name])
            except ValueError as error:
                self._report(line.number, index + 1, f"{name}: {error}")
        actions = tuple(name.strip() for name in words["ACTION"].split(",")) if words["ACTION"] else ()
        if not all(actions):
            message = f"ACTION {words['ACTION']!r} contains an empty name: separate names with a single comma"
            self._report(line.number, cells["ACTION"], message)
        return Row(words["STEP"], step, words["PHASE"] or None, actions, values, line.number, cells, timings)

    def _check_first_keys(self, rows: Sequence[Row], columns: Iterable[str]) -> None:
        """Check that the first key of each column has no timing of its own: it is not reached from anywhere."""
        for name in columns:
            first = next((row for row in rows if name in row.cells and row.step != UNRESOLVED), None)
            if first is not None and name in first.timings:
                message = f"{name}: the first key of a column is reached from nowhere: remove the timing {first.timings[name]!r}"
                self._report(first.line, first.cells[name], message)

    def _check_merges(self, rows: Sequence[Row]) -> None:
        """Check that rows on one step, which merge, fill different cells."""
        filled: dict[tuple[int, str], Row] = {}
        for row in rows:
            if row.step == UNRESOLVED:
                continue
            for name in ([] if row.phase is None else ["PHASE"]) + list(row.values):
                first = filled.setdefault((row.step, name), row)
                if first is not row:
                    message = (
                        f"{name} at step {row.step} is already set in line {first.line}: rows with the same step must fill different cells"
                    )
                    self._report(row.line, row.cells[name], message)


def _number(cell: str, column: Column) -> float:
    """Read a key. Raises `ValueError` with a sentence that says what is wrong with it."""
    if not DECIMAL.fullmatch(cell):
        raise ValueError(f"{cell!r} is not a finite decimal number{advice(cell)}")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is too large: numbers can be at most about 1.8e308")
    if SPACES[column.space].positive and value <= 0:
        raise ValueError(f"{cell!r} is not allowed in a column with the {column.space} space: values must be greater than 0")
    return value
