"""List and copy sheets and configs: those of the working folder, and those that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curriculum.cli.completion import config_and_experiment_names, sheet_names
from curriculum.cli.guard import AsJson, Force, check_free, guarded
from curriculum.console import put, put_json, put_table
from curriculum.find_file import CONFIGS, SHEETS

To = Annotated[Path | None, typer.Argument(metavar="PATH", help="The file to write. Default: the same name in the working folder.")]


@guarded
def list_sheets(as_json: AsJson = False) -> None:
    """List the sheets that can be named: those in dopesheets/ and the shipped ones.

    Examples:

      curriculum dopesheet list
    """
    _list(SHEETS, as_json)


@guarded
def copy_sheet(
    name: Annotated[str, typer.Argument(metavar="SHEET", autocompletion=sheet_names, help="The name of a sheet, or its path.")],
    path: To = None,
    force: Force = False,
) -> None:
    """Copy a sheet, byte for byte, to change it.

    Examples:

      curriculum dopesheet copy warmup-cosine

      curriculum dopesheet copy warmup-cosine dopesheets/mine.csv
    """
    from curriculum.find_file import read_sheet

    source, data = read_sheet(name)
    _copy(Path(source), data, path, force)


@guarded
def list_configs(as_json: AsJson = False) -> None:
    """List the configs and experiments that can be named: those in configs/ and the shipped ones.

    Examples:

      curriculum config list
    """
    _list(CONFIGS, as_json)


@guarded
def copy_config(
    name: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", autocompletion=config_and_experiment_names, help="The name of a config or an experiment, or its path."
        ),
    ],
    path: To = None,
    force: Force = False,
) -> None:
    """Copy a config or an experiment, byte for byte, to change it.

    Examples:

      curriculum config copy smooth-vs-stepped

      curriculum config copy ex-1.6 configs/mine.yaml
    """
    from curriculum.find_file import read_config

    source, text = read_config(name)
    _copy(Path(source), text.encode(), path, force)


def _list(kind: str, as_json: bool) -> None:
    from curriculum.find_file import collection

    rows: list[dict[str, Any]] = [{"name": path.stem, "path": str(path), "about": _about(path)} for path in collection(kind)]
    if as_json:
        put_json(rows)
    else:
        put_table(["name", "about", "path"], [[row["name"], row["about"], row["path"]] for row in rows])


def _about(path: Path) -> str:
    """Read what the first line says, where it is a comment."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(500)
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _copy(source: Path, data: bytes, path: Path | None, force: bool) -> None:
    from curriculum.store.files import write_file
    from curriculum.store.place import place_new, replace

    target = path or Path(source.name)
    check_free(target, force)
    write_file(target, data, replace if force else place_new)
    put(str(target))
