"""Print for people and machines: tables, JSON and errors. Data goes to stdout, the rest to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from curriculum.blame import blame
from curriculum.errors import CurriculumError

DEBUG_HINT = "run again with --debug for a traceback"


def safe(text: str) -> str:
    """Escape characters that would steer a terminal; texts from files go through here."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def say(text: str = "") -> None:
    """Print a line of progress or explanation, to stderr."""
    print(safe(text), file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Print data, to stdout."""
    print(safe(text), flush=True)


def joined(parts: Sequence[str]) -> str:
    """Write a list in words: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def put_json(document: Any) -> None:
    """Print one JSON document to stdout."""
    print(json.dumps(document, indent=2, allow_nan=False), flush=True)


def put_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", right: Sequence[int] = ()) -> None:
    """Print a table to stdout: ruled and colored on a terminal, plain aligned columns in a pipe.

    `right` are the columns that are aligned to the right.
    """
    if not sys.stdout or not sys.stdout.isatty():
        _plain_table(header, rows, title, right)
        return
    from rich import box
    from rich.console import Console

    wide = sum(max(len(line[column]) for line in (header, *rows)) + 2 for column in range(len(header)))
    if wide > Console().width:
        _plain_table(header, rows, title, right)  # the terminal wraps it; a cell that is cut says something else
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(safe(title), style="bold") if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(safe(name)), justify="right" if index in right else "left")
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    Console().print(table)


def _plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str, right: Sequence[int]) -> None:
    lines = [[safe(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    if title:
        put(title)
    for line in lines:
        cells = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
        put("  ".join(cells).rstrip())
    put("")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number for a table; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "diverged"
    return f"{value:.{digits}g}"


def losses_text(losses: Mapping[str, float]) -> str:
    """Write losses in one line."""
    return "  ".join(f"{name} {value:.2e}" for name, value in losses.items())


def report(error: BaseException) -> int:
    """Print an error as a person should read it; return the exit code for it."""
    if isinstance(error, CurriculumError):
        lines = str(error).splitlines() or ["failed"]
        prefix = "error: "
        for line in lines:
            say(f"{prefix}{line}")
            prefix = "       "
        return error.exit_code
    if where := blame(error):
        say(f"error: {where}; {DEBUG_HINT}")
        return 1
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        say(f"error: {place}{error.strerror or error}")
        return 1
    say(f"error: this is a bug in curriculum: {type(error).__name__}: {error}; {DEBUG_HINT}")
    return 1
