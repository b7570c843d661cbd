"""`curriculum dopesheet convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curriculum.cli.dopesheet import Sheet, read_sheet
from curriculum.cli.guard import Force, check_free, guarded
from curriculum.console import put, say

Columns = Annotated[list[str] | None, typer.Option("--column", metavar="COLUMN", help="Convert only this column. May be repeated.")]


@guarded
def convert(
    sheet: Sheet,
    timing: Annotated[str | None, typer.Option(metavar="TIMING", help="Give the columns this timing, with the same keys.")] = None,
    constant: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Hold this column at its mean over all steps. May be repeated.")
    ] = None,
    shuffle: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Give this column the same values in a random order. May be repeated.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Let the columns run backwards; phases and actions stay.")] = False,
    scale_to: Annotated[int | None, typer.Option(metavar="STEPS", min=2, help="Stretch or shrink the sheet to this many steps.")] = None,
    column: Columns = None,
    seed: Annotated[int, typer.Option(metavar="SEED", min=0, help="The seed of the random order.")] = 0,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write to this file instead of standard output.")] = None,
    force: Force = False,
) -> None:
    """Make a control arm: the same sheet with another timing, or with a column held constant, shuffled or reversed.

    A control shows why a schedule helps: by what it does when, or by what it does on average. Changes are made in the order
    --scale-to, --reverse, --timing, --constant, --shuffle.

    Examples:

      curriculum dopesheet convert smooth.csv --timing step-end -o steps.csv

      curriculum dopesheet convert smooth.csv --shuffle data-hues -o shuffled.csv

      curriculum dopesheet convert smooth.csv --constant lr --scale-to 2000
    """
    from curriculum.errors import InputError
    from curriculum.sheet import convert as made
    from curriculum.sheet.document import write
    from curriculum.store.files import write_file

    if out is not None:
        check_free(out, force)
    if not (timing or constant or shuffle or reverse or scale_to):
        raise InputError("nothing to convert: pass --timing, --constant, --shuffle, --reverse or --scale-to")
    found = read_sheet(sheet)
    if scale_to is not None:
        found = made.scaled(found, scale_to)
    if reverse:
        found = made.reversed_in_time(found, column or ())
    if timing is not None:
        found = made.retimed(found, timing, column or ())
    for name in constant or ():
        found = made.constant(found, name)
    for name in shuffle or ():
        found = made.shuffled(found, name, seed)
    if out is None:
        put(write(found).rstrip("\n"))
    else:
        write_file(out, write(found).encode())
        say(f"{out}: {found.last_step + 1:,} steps, {len(found.rows):,} rows")
