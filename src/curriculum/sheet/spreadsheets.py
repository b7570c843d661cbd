"""Numbers as spreadsheets write them: decimal commas, percentages, and steps such as `100.0` or `1e3`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from curriculum.sheet.lines import Line

_COMMA = re.compile(r"(prev|next)?[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?%?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+%?")
_PERCENT = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})%")
_WHOLE = re.compile(r"[0-9]{1,18}\.0{0,20}|[0-9]{1,18}(\.[0-9]{0,20})?[eE]\+?[0-9]{1,2}")
_WORDS = ("PHASE", "ACTION")


def plain(body: Sequence[Line], names: Mapping[int, str], commas: bool) -> tuple[list[Line], list[str]]:
    """Write the numbers of rows in plain form; return the rows, and a sentence for each number that was written in another one.

    `commas` says whether a comma is decimal. One that may separate thousands, as in `1,250`, is left as it is, unless another number
    of the sheet has a comma that can only be decimal; in STEP it always is.
    """
    numbers = [cell.partition(" ")[0] for line in body for _, name, cell in _cells(line, names) if name != "STEP"]
    settled = commas and any(_COMMA.fullmatch(number) and not _THOUSANDS.fullmatch(number) for number in numbers)
    lines, readings = [], []
    for line in body:
        cells = list(line.cells)
        for index, name, cell in _cells(line, names):
            number, space, rest = cell.partition(" ")
            clear = not _THOUSANDS.fullmatch(number) or (settled and name != "STEP")
            read = number.replace(",", ".") if commas and clear and _COMMA.fullmatch(number) else number
            read = _step(read) if name == "STEP" else _fraction(read)
            if read != number:
                cells[index] = f"{read}{space}{rest}"
                readings.append(f"line {line.number}, {name}: {number!r} is {read}")
        lines.append(replace(line, cells=tuple(cells)))
    return lines, readings


def advice(cell: str) -> str:
    """Say how to write a number with a comma that cannot be read, in words that end a sentence; nothing where that is not known."""
    if _THOUSANDS.fullmatch(cell):
        return f"; the comma may be decimal or separate thousands: write {cell.replace(',', '')!r} or {cell.replace(',', '.', 1)!r}"
    if _COMMA.fullmatch(cell):
        return f"; write {cell.replace(',', '.')!r} with a decimal point"
    return ""


def step_advice(cell: str) -> str:
    """Say how to write a step with a comma between thousands; nothing for any other."""
    return f"it has a comma between thousands: write {cell.replace(',', '')!r}" if _THOUSANDS.fullmatch(cell) else ""


def _cells(line: Line, names: Mapping[int, str]) -> Iterator[tuple[int, str, str]]:
    """Go through the filled cells that hold a number or a step: the place, the name of the column, the cell."""
    for index, cell in enumerate(line.cells):
        name = names.get(index)
        if cell and name is not None and name not in _WORDS:
            yield index, name, cell


def _step(cell: str) -> str:
    value = Decimal(cell) if _WHOLE.fullmatch(cell) else None
    return f"{value:.0f}" if value is not None and value.adjusted() < 18 and value == value.to_integral_value() else cell


def _fraction(cell: str) -> str:
    return f"{Decimal(cell[:-1]) / 100:f}" if _PERCENT.fullmatch(cell) else cell
