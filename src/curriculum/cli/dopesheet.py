"""`curriculum dopesheet`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculum.cli.completion import config_names, sheet_names
from curriculum.cli.guard import AsJson, Force, check_free, guarded
from curriculum.cli.options import HELP
from curriculum.console import number, put, put_json, put_table, say

if TYPE_CHECKING:
    from curriculum.sheet.diff import SheetDiff
    from curriculum.sheet.document import Dopesheet

SHEET_HELP = """Check, print, plot and compare dopesheets.

Examples:

  curriculum dopesheet check smooth.csv

  curriculum dopesheet plot smooth.csv --derivatives
"""

dopesheet = typer.Typer(no_args_is_help=True, help=SHEET_HELP, context_settings=HELP, rich_markup_mode=None)
Sheet = Annotated[
    str,
    typer.Argument(metavar="SHEET", autocompletion=sheet_names, help="A path, or the name of a sheet in dopesheets/ or of a shipped one."),
]


class Format(StrEnum):
    """How a sheet is printed."""

    table = "table"
    csv = "csv"
    json = "json"


def read_sheet(reference: str) -> Dopesheet:
    """Read a sheet by its path or name."""
    from curriculum.play.sheets import load_sheet

    return load_sheet(reference)[0]


@dopesheet.command()
@guarded
def check(
    files: Annotated[list[str], typer.Argument(metavar="SHEET...", autocompletion=sheet_names, help="Paths or names of dopesheets.")],
    config: Annotated[
        str | None,
        typer.Option(metavar="CONFIG", autocompletion=config_names, help="Also check the sheets against the task of this config."),
    ] = None,
) -> None:
    """Check sheets, and report every error in them.

    Examples:

      curriculum dopesheet check smooth.csv stepped.csv

      curriculum dopesheet check smooth.csv --config color
    """
    from itertools import islice

    from curriculum.errors import MOST_PROBLEMS, InputError, Problem, ProblemsError, SheetError

    problems: list[Problem] = []
    task = None
    moved: tuple[str, ...] = ()
    if config is not None:
        from curriculum.find_file import read_config
        from curriculum.runner.inputs import check_sheet, folder_of, load_config
        from curriculum.train.make import make_task
        from curriculum.train.optimizers import columns

        loaded = load_config(config)
        task, moved = make_task(loaded, folder_of(read_config(config)[0])), columns(loaded.optimizer)
    for reference in files:
        try:
            sheet = read_sheet(reference)
            if task is not None:
                found = [*check_sheet(sheet, task, (), moved), *islice(task.check(sheet), MOST_PROBLEMS)]
                if found:
                    raise SheetError(found)
        except ProblemsError as error:
            problems += error.problems
        except InputError as error:
            problems.append(Problem("", 0, 0, str(error)))
        else:
            phases = ", ".join(repr(phase.name) for phase in sheet.phases)
            put(f"{sheet.source}: {sheet.last_step + 1:,} steps, {len(sheet.columns)} properties, phases {phases}")
    if problems:
        raise ProblemsError(problems)


@dopesheet.command()
@guarded
def show(
    sheet: Sheet,
    dense: Annotated[bool, typer.Option("--dense", help="Print every property at every step, in full precision.")] = False,
    format: Annotated[Format, typer.Option(help="The output format.")] = Format.table,
) -> None:
    """Print the keys of a sheet with resolved steps, or every value with --dense.

    Examples:

      curriculum dopesheet show smooth.csv

      curriculum dopesheet show smooth.csv --dense --format csv > schedule.csv
    """
    read = read_sheet(sheet)
    for reading in read.readings:
        say(f"read: {reading}")
    header, rows = _dense_rows(read) if dense else _key_rows(read)
    if format is Format.json:
        put_json([dict(zip(header, row, strict=True)) for row in rows])
    elif format is Format.csv:
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([["" if cell is None else _exact(cell) for cell in row] for row in rows])
    else:
        text = [["" if cell is None else _exact(cell) if dense else _short(cell) for cell in row] for row in rows]
        put_table(header, text, right=[0, *range(3, len(header))])


def _key_rows(sheet: Dopesheet) -> tuple[list[str], list[list[Any]]]:
    """List the rows by step, those on one step merged."""
    merged: dict[int, dict[str, Any]] = {}
    for row in sheet.rows:
        cells = merged.setdefault(row.step, {})
        if row.phase is not None:
            cells["PHASE"] = row.phase
        if row.actions:
            cells["ACTION"] = ",".join(filter(None, [cells.get("ACTION"), *row.actions]))
        cells |= {name: row.cell(name) if name in row.timings else value for name, value in row.values.items()}
    header = ["STEP", "PHASE", "ACTION", *(column.header for column in sheet.columns)]
    names = ["PHASE", "ACTION", *sheet.properties]
    return header, [[step, *(cells.get(name) for name in names)] for step, cells in merged.items()]


def _dense_rows(sheet: Dopesheet) -> tuple[list[str], list[list[Any]]]:
    from curriculum.sheet.schedule import compile_sheet

    schedule = compile_sheet(sheet)
    phases = [phase.name for phase in schedule.phases for _ in range(len(phase))]
    actions: dict[int, list[str]] = {}
    for step, name in schedule.actions:
        actions.setdefault(step, []).append(name)
    header = ["STEP", "PHASE", "ACTION", *schedule.properties]
    values = schedule.values.tolist()
    rows = [[step, phases[step], ",".join(actions.get(step, [])), *values[step]] for step in range(len(schedule))]
    return header, rows


def _exact(cell: Any) -> str:
    return repr(cell) if isinstance(cell, float) else str(cell)


def _short(cell: Any) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


@dopesheet.command()
@guarded
def plot(
    sheet: Sheet,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PNG", help="The file to write. Default: the name of the sheet, with .png.")
    ] = None,
    derivatives: Annotated[bool, typer.Option("--derivatives", help="Add panels for velocity and acceleration.")] = False,
    force: Force = False,
) -> None:
    """Plot a sheet: properties over steps, with keys, phases and actions.

    Examples:

      curriculum dopesheet plot smooth.csv

      curriculum dopesheet plot smooth.csv -o timeline.png --derivatives
    """
    from curriculum.errors import InputError

    read = read_sheet(sheet)
    path = output or Path(f"{Path(read.source).stem}.png")
    if path.suffix.lower() != ".png":
        raise InputError(f"cannot write {path}: the name must end in .png")
    check_free(path, force)
    from curriculum.draw import style
    from curriculum.draw.plots import timeline
    from curriculum.sheet.schedule import compile_sheet
    from curriculum.store.place import place_new, replace

    style.save(timeline.draw(compile_sheet(read), Path(read.source).name, derivatives), path, replace if force else place_new)
    put(str(path))


@dopesheet.command()
@guarded
def diff(a: Sheet, b: Sheet, as_json: AsJson = False) -> None:
    """Show how sheet B differs from sheet A: keys, curves, and values at the ends of phases.

    Examples:

      curriculum dopesheet diff smooth.csv stepped.csv
    """
    from dataclasses import asdict

    from curriculum.sheet.diff import diff_sheets

    found = diff_sheets(read_sheet(a), read_sheet(b))
    if as_json:
        put_json(asdict(found))
    else:
        print_diff(found, a, b)


def print_diff(found: SheetDiff, a: str, b: str, keys: bool = True) -> None:
    """Print the differences of two sheets as tables."""
    if found.identical:
        put(f"{a} and {b} are equivalent.")
        return
    if found.steps[0] != found.steps[1]:
        put(f"steps: {found.steps[0]:,} in {a}, {found.steps[1]:,} in {b}")
    for own, names in ((a, found.only_a), (b, found.only_b)):
        if names:
            put(f"only in {own}: {', '.join(names)}")
    for name, timing_a, timing_b in found.timings:
        put(f"{name}: {timing_a} in {a}, {timing_b} in {b}")
    if keys and found.keys:
        rows = [[k.property, k.kind, _key(k.step_a, k.value_a), _key(k.step_b, k.value_b)] for k in found.keys]
        put_table(["property", "key", a, b], rows, "Keys (value @ step)")
    rows = [[c.property, number(c.area), f"{c.share:.1%}", number(c.largest), str(c.step)] for c in found.curves]
    put_table(["property", "area", "mean distance", "largest", "at step"], rows, "Between the curves", right=[1, 2, 3, 4])
    ends = [[str(e.step), e.phase_a or "-", e.phase_b or "-", ", ".join(e.differ) or "none"] for e in found.phase_ends]
    put_table(["step", f"phase of {a}", f"phase of {b}", "properties that differ"], ends, "Where a phase ends", right=[0])


def _key(step: int | None, value: float | None) -> str:
    return "" if step is None or value is None else f"{value:g} @ {step}"
