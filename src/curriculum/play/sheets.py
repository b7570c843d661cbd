"""Read a sheet from its file, with the timings of a user's own that it names."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from curriculum.find_file import read_sheet
from curriculum.play.own_timings import timings_for
from curriculum.sheet.document import Dopesheet, with_tables, write
from curriculum.sheet.parse import parse


def load_sheet(reference: str | PathLike[str] | Dopesheet, near: Sequence[Path] = ()) -> tuple[Dopesheet, bytes]:
    """Read a sheet by its path or name; also give its bytes, with the tables of a user's own timings.

    The folders `near` are searched after the working folder. Raises `InputError` for one that cannot be found or read.
    """
    if isinstance(reference, Dopesheet):
        return reference, write(reference).encode()
    source, data = read_sheet(fspath(reference), near)
    sheet = parse(data, source, timings_for(source, near))
    return sheet, with_tables(data.decode(), sheet).encode() if sheet.tables else data
