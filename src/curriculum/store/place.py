"""Give a file that is written whole, under another name beside it, the name that it is for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from curriculum.errors import InputError, OutputExistsError
from curriculum.store.names import free_name

Place = Callable[[Path, Path], Path]  # from where a file lies and the path that it is for, to the path that it has then


def exists_already(path: Path) -> OutputExistsError:
    """Make the error for an output that may not be replaced."""
    return OutputExistsError(f"{path} already exists: choose another name, or replace it with --force")


def check_parent(path: Path) -> None:
    """Raise `InputError` where there is no folder to write a file or a folder to."""
    if not path.absolute().parent.is_dir():
        wrong = f"{path.parent} is not a folder" if os.path.lexists(path.parent) else f"the folder {path.parent} does not exist"
        raise InputError(f"cannot write {path}: {wrong}")


def replace(beside: Path, path: Path) -> Path:
    """Rename a file, in place of what has that name. Raises `OSError` where it cannot be renamed."""
    os.replace(beside, path)
    return path


def place_new(beside: Path, path: Path) -> Path:
    """Rename a file, unless something has that name.

    Raises `OutputExistsError` where that is so, `OSError` where the file cannot be renamed.
    """
    try:
        _rename(beside, path)
    except FileExistsError:
        raise exists_already(path) from None
    return path


def place_numbered(beside: Path, path: Path) -> Path:
    """Rename a file to the first name that nothing has, of `NAME.png`, `NAME-2.png`, `NAME-3.png` and so on.

    Raises `OSError` where it cannot be renamed.
    """
    return claim(path.parent, path.stem, lambda free: _rename(beside, free), path.suffix)


def claim(folder: Path, stem: str, take: Callable[[Path], None], suffix: str = "") -> Path:
    """Take the first free name in a folder, as `free_name` finds it, and return its path.

    `take` gives a path what it is to hold, and raises `OSError` where it cannot. Where it cannot because another process took
    the name a moment ago, the next name is tried.
    """
    while True:
        path = folder / f"{free_name(folder, stem, suffix)}{suffix}"
        try:
            take(path)
        except OSError:
            if not os.path.lexists(path):
                raise
        else:
            return path


def swap(made: Path, earlier: Path) -> bool:
    """Put a new folder in the place of an earlier one; tell whether that was possible. Another process may have been faster."""
    aside = made.with_name(f"{made.name}.old")
    try:
        os.rename(earlier, aside)
    except OSError:
        return False
    try:
        os.rename(made, earlier)
    except OSError:
        if not os.path.lexists(earlier):
            os.rename(aside, earlier)
            raise
        return False
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _rename(beside: Path, path: Path) -> None:
    """Rename a file. Raises `FileExistsError` where something has the name already, which a plain rename would replace."""
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:
        # A disk that knows no second names: an empty file takes the name first.
        path.touch(exist_ok=False)
        try:
            os.replace(beside, path)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    else:
        beside.unlink()
