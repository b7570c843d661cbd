"""Where the pages of runs are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from curriculum.errors import InputError, RunError
from curriculum.store.files import digest, write_file
from curriculum.store.names import REPORTS, is_run, plain
from curriculum.store.place import place_numbered, replace
from curriculum.store.reader import Run

SUFFIX = ".html"


def new_report(folder: Path, runs: Sequence[Run], pairs: Sequence[tuple[int, int]], page: str) -> Path:
    """Store the page of some runs in `reports`, whole or not at all, and return its path.

    A page of the same `pairs` of the same runs is replaced; it is known by the last line of its file. Pages of other runs with the
    same names stay, and this one gets a number. Raises `RunError` where it cannot be written.
    """
    parent = folder / REPORTS
    if is_run(parent):
        raise InputError(f"{parent} is a run, and reports are kept in a folder of that name: choose another place with -o")
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {parent}: {error.strerror or error}") from error
    asked = json.dumps([[str(run.path.resolve()) for run in runs], list(pairs)])
    mark = f"<!-- {digest(asked.encode())} -->\n".encode()
    path = parent / f"{plain('-vs-'.join(run.name for run in runs))}{SUFFIX}"
    return write_file(path, page.encode() + mark, partial(_place, mark))


def _place(mark: bytes, beside: Path, path: Path) -> Path:
    for earlier in sorted(path.parent.glob(f"{path.stem}*{SUFFIX}")):
        with suppress(OSError):
            if not earlier.is_symlink() and _ends_with(earlier, mark):
                return replace(beside, earlier)
    return place_numbered(beside, path)


def _ends_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(mark)))
        return file.read() == mark
