"""`curriculum rm`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from curriculum.cli.completion import kept_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put, put_json, safe, say


@guarded
def rm(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            autocompletion=kept_names,
            help="The names or paths of runs, of experiments with all their arms, comparisons, videos or reports.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking. Needed where there is no terminal.")] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Remove runs, experiments, comparisons, videos or reports.

    Prints how much space this frees and which comparisons refer to the runs, and asks for confirmation. Names must be exact. Refuses
    to remove runs that are being trained, symbolic links, and folders with files that curriculum has not written.

    Examples:

      curriculum rm runA

      curriculum rm smooth-vs-stepped comparisons/smooth-vs-stepped --yes

      curriculum rm smooth-vs-stepped/smooth videos/smooth.mp4
    """
    from curriculum.errors import InputError
    from curriculum.store.removing import plan_removals, remove

    removals = plan_removals(names, runs)
    for own in removals:
        count = len(own.kept.runs)
        arms = f" with {count} run{'' if count == 1 else 's'}" if own.kept.kind == "experiment" else ""
        say(f"{own.kept.kind} {own.kept.path}{arms}: {_size(own.freed)}")
        for note in own.notes:
            say(f"note: {own.kept.path}: {note}")
    freed = sum(own.freed for own in removals)
    if not yes:
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError("nothing was removed: without a terminal to ask on, pass --yes")
        _ask(f"remove {'it' if len(removals) == 1 else f'these {len(removals)}'}? This cannot be undone")
    remove(removals)
    if as_json:
        put_json([{"kind": own.kept.kind, "path": str(own.kept.path), "freed": own.freed, "notes": list(own.notes)} for own in removals])
        return
    for own in removals:
        put(f"removed {own.kept.path}")
    put(f"freed {_size(freed)}")


def _ask(question: str) -> None:
    """Ask on the terminal; end the command unless the answer is yes."""
    try:
        agreed = typer.confirm(safe(question), err=True)
    except typer.Abort:
        say()
        raise KeyboardInterrupt("nothing was removed") from None
    if not agreed:
        say("nothing was removed")
        raise typer.Exit(1)


def _size(count: int) -> str:
    """Write a number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
