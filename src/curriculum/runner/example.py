"""Copy the example that comes with the program."""

from __future__ import annotations

from pathlib import Path

from curriculum.errors import InputError, OutputExistsError
from curriculum.find_file import shipped

EXAMPLE = "digits"  # among the shipped examples


def copy_example(folder: Path) -> list[Path]:
    """Copy the files of the example into a new or empty folder; return their paths.

    Raises `OutputExistsError` if there is anything in it, `InputError` if it cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputExistsError(f"{folder} already exists: choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(path for path in (shipped("examples") / EXAMPLE).iterdir() if path.is_file())
        for path in files:
            (folder / path.name).write_bytes(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot create {folder}: {error.strerror or error}") from error
    return [folder / path.name for path in files]
