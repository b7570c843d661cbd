"""Split the bytes of a sheet into rows of trimmed cells, whatever its delimiter."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from curriculum.errors import Problem, SheetError


def decode(data: bytes, source: str) -> str:
    """Decode the bytes of a sheet: UTF-8, with or without a byte-order mark.

    Raises `SheetError` for anything else, such as a spreadsheet's own format.
    """
    advice = "save the sheet as CSV in UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SheetError([Problem(source, 0, 0, f"this is UTF-16 text, not UTF-8: {advice}")])
    if data.startswith(b"PK\x03\x04"):
        raise SheetError([Problem(source, 0, 0, f"this is a spreadsheet file or an archive, not CSV: {advice}")])
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8 text: {advice}"
        raise SheetError([Problem(source, line, 0, message)]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SheetError([Problem(source, line, 0, f"found a zero byte; this is a binary file, not text: {advice}")])
    return text


@dataclass(frozen=True)
class Line:
    """A row of cells as the file has them, with the line it starts on."""

    number: int
    cells: tuple[str, ...]

    def cell(self, index: int | None) -> str:
        return self.cells[index] if index is not None and index < len(self.cells) else ""


class NotCsvError(Exception):
    """A line that cannot be split into cells."""

    def __init__(self, line: int, reason: str):
        super().__init__(reason)
        self.line = line


def records(text: str, delimiter: str) -> Iterator[Line]:
    """Read rows of trimmed cells; skip blank lines and comments.

    A line that starts with # never reaches the CSV reader, so that a quote in a comment opens nothing.

    Raises `NotCsvError` with the line at which the text cannot be split.
    """
    first = 0
    between = True

    def physical() -> Iterator[str]:
        nonlocal first, between
        for number, line in enumerate(io.StringIO(text, newline=""), 1):
            if number == 1 and separator_in(text):
                continue
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
            raise NotCsvError(first, str(error)) from None
        if any(cells) and not cells[0].startswith("#"):
            yield Line(first, cells)


def separator_in(text: str) -> str:
    """Find the delimiter that the first line names, as in `sep=;`; empty where it names none."""
    found = re.match(r"(?i)sep=([,;\t])[\r\n]", text)
    return found[1] if found else ""


def delimiter_of(text: str) -> str:
    """Find the delimiter of the header row: the one that sets STEP apart, else the most frequent."""
    if given := separator_in(text):
        return given
    header = ""
    for delimiter in ",;\t":
        try:
            first = next(records(text, delimiter), None)
        except NotCsvError:
            continue
        if first is not None:
            if "STEP" in first.cells:
                return delimiter
            header = header or delimiter.join(first.cells)
    return max(",;\t", key=header.count)


def differing_line(before: bytes, after: bytes) -> int:
    """Find the first line in which two sheets differ, counted from 1; the first that only one of them has, if all before are equal."""
    one, two = before.splitlines(), after.splitlines()
    pairs = enumerate(zip(one, two, strict=False), start=1)
    return next((number for number, (first, second) in pairs if first != second), min(len(one), len(two)) + 1)
