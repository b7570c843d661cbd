"""A dopesheet as a document: columns, rows and phases, as they were read, and how they are written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from curriculum.errors import Problem
from curriculum.sheet.easings import DEFAULT_SPACE, DEFAULT_TIMING, EASINGS, Easing
from curriculum.sheet.table import Table, table_line

RESERVED = ("STEP", "PHASE", "ACTION")
LAST_STEP_ALLOWED = 10_000_000  # a schedule is an array: 80 MB for each property at this length
VALUES_ALLOWED = 200_000_000  # steps times properties: 1.6 GB


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

    `values` maps a property's name to its key, `timings` to the timing on which that key is reached, where it is not that of the
    column. `line` is where the row stands in its file, `cells` the column of each filled cell there; neither counts when two rows
    are compared.
    """

    written: str
    step: int
    phase: str | None = None
    actions: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
    cells: dict[str, int] = field(default_factory=dict, compare=False)
    timings: dict[str, str] = field(default_factory=dict)

    def cell(self, name: str) -> str:
        """Write the key of a property, with the timing that it has of its own; empty where there is none."""
        if name not in self.values:
            return ""
        return f"{self.values[name]!r} {self.timings[name]}" if name in self.timings else repr(self.values[name])


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
    """A sheet as it was read: columns and rows, with every STEP resolved.

    `tables` has the timings that are not built in, by name. `readings` say what was read in another way than it is written.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    source: str = field(default="<sheet>", compare=False)
    header_line: int = field(default=1, compare=False)
    header_cells: dict[str, int] = field(default_factory=dict, compare=False)
    tables: Mapping[str, Table] = field(default_factory=dict, compare=False)
    readings: tuple[str, ...] = field(default=(), compare=False)

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

    def own_timings(self, name: str) -> dict[int, str]:
        """Give the timings on which single keys of a property are reached, by the step of the key."""
        return {row.step: row.timings[name] for row in self.rows if name in row.timings}

    def easing(self, timing: str) -> Easing:
        """Give the timing of a column by its name."""
        return EASINGS[timing] if timing in EASINGS else self.tables[timing].easing

    def problem(self, message: str, row: Row | None = None, cell: str = "") -> Problem:
        """Make a `Problem` at a cell of a row, or of the header where no row is given."""
        line, cells = (self.header_line, self.header_cells) if row is None else (row.line, row.cells)
        return Problem(self.source, line, cells.get(cell, 1), message)


def write(sheet: Dopesheet) -> str:
    """Write a sheet as CSV text, which `parse` reads back as an equal sheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*RESERVED, *(column.header for column in sheet.columns)])
    for row in sheet.rows:
        writer.writerow([row.written, row.phase or "", ",".join(row.actions), *map(row.cell, sheet.properties)])
    return with_tables(out.getvalue(), sheet)


def with_tables(text: str, sheet: Dopesheet) -> str:
    """Add to a sheet's text the tables of its timings that it lacks, so that it can be read without a user's code."""
    lines = [line for line in (table_line(name, table) for name, table in sheet.tables.items()) if line not in text]
    return "\n".join([text.rstrip("\n"), *lines, ""]) if lines else text
