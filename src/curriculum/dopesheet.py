"""Read a dopesheet: CSV text to a `Dopesheet`, every mistake with its file, line and column.

The language is described in docs/dopesheets.md. Nothing is repaired here: no default stands in for
a typo, no row is dropped or sorted.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise

from curriculum.errors import Problem, SheetError, nearest, unknown
from curriculum.timing import ALIASES, DEFAULT_SPACE, DEFAULT_TIMING, EASINGS, SPACES

RESERVED = ("STEP", "PHASE", "ACTION")
LAST_STEP_ALLOWED = 10_000_000  # a schedule is an array: 80 MB for each property at this length
VALUES_ALLOWED = 200_000_000  # steps times properties: 1.6 GB
CELL_LIMIT = 10_000  # characters; longer than any name or number

_INTEGER = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RELATIVE = re.compile(r"(?:prev)?(?P<sign>\+)(?P<ahead>.+)|(?:next)?(?P<minus>-)(?P<back>.+)|(?P<percent>.+%)")
_FRACTION = re.compile(r"[0-9]*\.[0-9]+|[0-9]+(\.[0-9]*)?%")


@dataclass(frozen=True)
class Column:
    """A property's column: its name, and the space and timing on which it moves."""

    name: str
    space: str = DEFAULT_SPACE
    timing: str = DEFAULT_TIMING

    @property
    def header(self) -> str:
        """Write the column's header in its shortest form."""
        if self.timing != DEFAULT_TIMING:
            space = "" if self.space == DEFAULT_SPACE else self.space
            return f"{self.name}:{space}:{self.timing}"
        return self.name if self.space == DEFAULT_SPACE else f"{self.name}:{self.space}"


@dataclass(frozen=True)
class Row:
    """One row: its STEP as written and as resolved, and the cells that are filled.

    `values` maps a property's name to its key. `line` is where the row stands in its file, `cells`
    the column of each filled cell there; neither counts when two rows are compared.
    """

    written: str
    step: int
    phase: str | None = None
    actions: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
    cells: dict[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Phase:
    """A named stretch of training, from its first step to its last, both included."""

    name: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True)
class Dopesheet:
    """A sheet as it was read: columns and rows, with every STEP resolved."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    source: str = field(default="<sheet>", compare=False)
    header_line: int = field(default=1, compare=False)
    header_cells: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def last_step(self) -> int:
        return self.rows[-1].step

    @property
    def properties(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def actions(self) -> tuple[tuple[int, str], ...]:
        """List (step, name) of every action, in the order in which they fire."""
        return tuple((row.step, name) for row in self.rows for name in row.actions)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """List the phases in order; a sheet that names none has one with an empty name."""
        starts = [(row.step, row.phase) for row in self.rows if row.phase is not None]
        if not starts or starts[0][0] != 0:
            starts.insert(0, (0, ""))
        ends = [step - 1 for step, _ in starts[1:]] + [self.last_step]
        return tuple(Phase(name, start, end) for (start, name), end in zip(starts, ends, strict=True))

    def keys(self, name: str) -> tuple[tuple[int, float], ...]:
        """List (step, value) of every key of a property, in order of step."""
        return tuple((row.step, row.values[name]) for row in self.rows if name in row.values)

    def problem(self, message: str, line: int | None = None, cell: str = "") -> Problem:
        """Make a `Problem` at a cell of this sheet; at the header where no line is given."""
        if line is None or line == self.header_line:
            return Problem(self.source, self.header_line, self.header_cells.get(cell, 1), message)
        row = next(row for row in self.rows if row.line == line)
        return Problem(self.source, line, row.cells.get(cell, 1), message)


def decode(data: bytes, source: str) -> str:
    """Decode the bytes of a sheet: UTF-8, with or without a byte-order mark.

    Raises `SheetError` for anything else, a spreadsheet's own format among it.
    """
    advice = "save the sheet as CSV, UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SheetError([Problem(source, 0, 0, f"this is UTF-16 text, not UTF-8: {advice}")])
    if data.startswith(b"PK\x03\x04"):
        raise SheetError([Problem(source, 0, 0, f"this is a spreadsheet's own format or an archive, not CSV: {advice}")])
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8 text: {advice}"
        raise SheetError([Problem(source, line, 0, message)]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SheetError([Problem(source, line, 0, f"a zero byte: this is a binary file, not text: {advice}")])
    return text


def parse(text: str, source: str = "<sheet>") -> Dopesheet:
    """Read a sheet from its text.

    Raises `SheetError` with every mistake that could be found, each with its file, line and cell.
    """
    return _Parser(source).parse(text)


def write(sheet: Dopesheet) -> str:
    """Write a sheet as CSV text, which `parse` reads back as an equal sheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*RESERVED, *(column.header for column in sheet.columns)])
    for row in sheet.rows:
        values = [repr(row.values[name]) if name in row.values else "" for name in sheet.properties]
        writer.writerow([row.written, row.phase or "", ",".join(row.actions), *values])
    return out.getvalue()


@dataclass(frozen=True)
class _Line:
    """A row of cells as the file has them, with the line it starts on."""

    number: int
    cells: tuple[str, ...]

    def cell(self, index: int | None) -> str:
        return self.cells[index] if index is not None and index < len(self.cells) else ""


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

    def _stop(self) -> None:
        if self.problems:
            raise SheetError(self.problems)

    def _lines(self, text: str) -> list[_Line]:
        """Split the text into rows of trimmed cells, without blank lines and comments."""
        text = text.removeprefix("\ufeff")
        lines: list[_Line] = []
        try:
            for line in _records(text, _delimiter(text)):
                lines.append(line)
                for index, cell in enumerate(line.cells):
                    if len(cell) > CELL_LIMIT:
                        message = f"a cell of {len(cell):,} characters; at most {CELL_LIMIT:,} are read"
                        self._report(line.number, index + 1, message)
                        self._stop()
        except _NotCsvError as error:
            self._report(error.line, 0, f"this is not CSV: {error}")
            self._stop()
        return lines

    def _header(self, header: _Line) -> tuple[dict[str, int], list[Column]]:
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

    def _check_width(self, line: _Line, width: int) -> None:
        for index in range(width, len(line.cells)):
            if line.cells[index]:
                message = f"{line.cells[index]!r} stands beyond the header's {width} columns: the row has too many cells"
                self._report(line.number, index + 1, message)

    def _steps(self, body: Sequence[_Line], place: int) -> list[int | None]:
        """Resolve the STEP of every row; None where it could not be read."""
        cells = [line.cell(place) for line in body]
        column = place + 1
        anchors = [_anchor(cell) for cell in cells]
        above = _carry(anchors)
        below = _carry(anchors[::-1])[::-1]
        steps: list[int | None] = []
        for line, cell, before, after in zip(body, cells, above, below, strict=True):
            try:
                step = _resolve(cell, before, after)
                if _UNREADABLE in (before, after) and not _INTEGER.fullmatch(cell):
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

    def _check_order(self, body: Sequence[_Line], cells: Sequence[str], steps: Sequence[int | None], column: int) -> None:
        known = [(line, cell, step) for line, cell, step in zip(body, cells, steps, strict=True) if step is not None]
        if steps[0] is not None and (steps[0] != 0 or not _INTEGER.fullmatch(cells[0])):
            self._report(body[0].number, column, f"no step 0: the first row must have STEP 0, this one has {cells[0]!r}")
        for (line, cell, step), (next_line, next_cell, next_step) in pairwise(known):
            if next_step >= step:
                continue
            message = f"STEP {next_cell!r} is step {next_step}, before step {step} of line {line.number}: rows go forward in time"
            if _INTEGER.fullmatch(next_cell):
                message += f"; if a spreadsheet turned '+{next_cell}' into '{next_cell}', write 'prev+{next_cell}'"
            elif _INTEGER.fullmatch(cell):
                message += f"; if a spreadsheet turned '+{cell}' into '{cell}' there, write 'prev+{cell}'"
            self._report(next_line.number, column, message)

    def _row(self, line: _Line, step: int | None, places: dict[str, int], columns: Iterable[Column]) -> Row:
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

    def _check_headless(self, header: _Line, body: Sequence[_Line]) -> None:
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


_UNREADABLE = -1  # stands for a step that was meant to be an anchor, and cannot be read


def _anchor(cell: str) -> int | None:
    """Read an anchor; None for a relative step."""
    if _INTEGER.fullmatch(cell):
        return int(cell)
    return None if _RELATIVE.fullmatch(cell) else _UNREADABLE


def _carry(anchors: Sequence[int | None]) -> list[int | None]:
    """Carry each anchor on to the rows after it."""
    carried: list[int | None] = []
    last: int | None = None
    for anchor in anchors:
        last = last if anchor is None else anchor
        carried.append(last)
    return carried


class _NotCsvError(Exception):
    def __init__(self, line: int, reason: str):
        super().__init__(reason)
        self.line = line


def _records(text: str, delimiter: str) -> Iterator[_Line]:
    """Read rows of trimmed cells, passing over blank lines and comments.

    A line that starts with # never reaches the CSV reader, so that a quote in a comment opens nothing.
    """
    first = 0
    between = True

    def physical() -> Iterator[str]:
        nonlocal first, between
        for number, line in enumerate(io.StringIO(text, newline=""), 1):
            if between and line.lstrip().startswith("#"):
                continue
            first = number if between else first
            between = False
            yield line

    reader = csv.reader(physical(), delimiter=delimiter, strict=True)
    while True:
        between = True
        try:
            cells = tuple(cell.strip() for cell in next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            raise _NotCsvError(first, str(error)) from None
        if any(cells) and not cells[0].startswith("#"):
            yield _Line(first, cells)


def _delimiter(text: str) -> str:
    """Find the delimiter of the header row: the one that sets STEP apart, else the most frequent."""
    header = ""
    for delimiter in ",;\t":
        try:
            first = next(_records(text, delimiter), None)
        except _NotCsvError:
            continue
        if first is not None:
            if "STEP" in first.cells:
                return delimiter
            header = header or delimiter.join(first.cells)
    return max(",;\t", key=header.count)


def _number(cell: str, column: Column) -> float:
    """Read a key. Raises ValueError with a sentence that says what is wrong with it."""
    if not _DECIMAL.fullmatch(cell):
        dotted = cell.replace(",", ".")
        advice = f", write {dotted!r} with a decimal point" if _DECIMAL.fullmatch(dotted) else ""
        raise ValueError(f"{cell!r} is not a finite decimal number{advice}")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is too large for a number (at most about 1.8e308)")
    if SPACES[column.space].positive and value <= 0:
        raise ValueError(f"{cell!r} cannot stand in a column of the {column.space} space: it must be greater than 0")
    return value


def _resolve(cell: str, before: int | None, after: int | None) -> int:
    """Turn a written STEP into a step, given the nearest anchors above and below.

    An anchor's own cell is both. Raises ValueError with a sentence that says what is wrong.
    """
    forms = "write a step such as 500, or one relative to the steps above and below: prev+10, next-1, 40%, next-40%"
    if not cell:
        raise ValueError(f"STEP is empty in a row that is not: {forms}")
    if _INTEGER.fullmatch(cell):
        return int(cell)
    match = _RELATIVE.fullmatch(cell)
    if not match:
        if _DECIMAL.fullmatch(cell) and 0 < float(cell) < 1:
            percent = f"{Decimal(cell) * 100:f}".rstrip("0").rstrip(".") + "%"
            raise ValueError(
                f"STEP {cell!r} is a bare fraction; if a spreadsheet turned '+{cell}' into '{cell}', write '{percent}' or 'prev+{percent}'"
            )
        meant = re.sub(r"\s+", "", cell).replace("\u2212", "-").removesuffix(".0")
        if meant != cell and (_INTEGER.fullmatch(meant) or _RELATIVE.fullmatch(meant)):
            raise ValueError(f"cannot read STEP {cell!r}: write {meant!r}")
        raise ValueError(f"cannot read STEP {cell!r}: {forms}")
    amount = match["ahead"] or match["back"] or match["percent"]
    backward = bool(match["minus"])
    if _INTEGER.fullmatch(amount):
        anchor = after if backward else before
        if anchor is None:
            raise ValueError(f"STEP {cell!r} is relative to a step {'below' if backward else 'above'} it, and there is none")
        step = anchor - int(amount) if backward else anchor + int(amount)
        if step < 0 <= anchor:
            raise ValueError(f"STEP {cell!r} is {amount} before step {anchor} below it, and that is before step 0")
        return step
    if not _FRACTION.fullmatch(amount):
        meant = re.sub(r"\s+", "", cell)
        raise ValueError(f"cannot read STEP {cell!r}: {f'write {meant!r}' if meant != cell else forms}")
    fraction = float(Decimal(amount[:-1]) / 100 if amount.endswith("%") else Decimal(amount))
    if not 0 < fraction < 1:
        raise ValueError(f"STEP {cell!r}: a fraction lies strictly between 0 and 1 (between 0% and 100%)")
    if before is None or after is None:
        missing = "above" if before is None else "below"
        raise ValueError(f"STEP {cell!r} lies between the steps above and below it, and there is none {missing}")
    return round(after - fraction * (after - before) if backward else before + fraction * (after - before))
