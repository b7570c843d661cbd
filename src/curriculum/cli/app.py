"""The command line: parse, call one function, print, exit code."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Annotated

import typer

from curriculum.cli import (
    ablate,
    animate,
    collection,
    compare,
    config,
    convert,
    dopesheet,
    experiment,
    export,
    init,
    join,
    new,
    power,
    rename,
    report,
    rm,
    runs,
    train,
    tune,
    verify,
)
from curriculum.cli.guard import Debug
from curriculum.cli.options import HELP
from curriculum.console import put
from curriculum.console import report as report_error

app = typer.Typer(no_args_is_help=True, context_settings=HELP, rich_markup_mode=None)

app.command("init")(init.init)
app.command("new")(new.new)
app.command("train")(train.train)
app.command("experiment")(experiment.run_experiment)
app.command("compare")(compare.compare)
app.command("power")(power.show_power)
app.command("ablate")(ablate.ablate)
app.command("tune")(tune.tune)
app.command("animate")(animate.animate)
app.command("report")(report.report)
app.command("runs")(runs.list_runs)
app.command("show")(runs.show_run)
app.command("export")(export.export)
app.command("rm")(rm.rm)
app.command("rename")(rename.rename)
app.command("join")(join.join_run)
app.command("verify")(verify.verify)
dopesheet.dopesheet.command("convert")(convert.convert)
dopesheet.dopesheet.command("list")(collection.list_sheets)
dopesheet.dopesheet.command("copy")(collection.copy_sheet)
config.config.command("list")(collection.list_configs)
config.config.command("copy")(collection.copy_config)
app.add_typer(dopesheet.dopesheet, name="dopesheet")
app.add_typer(config.config, name="config")


WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SPINS = 1000  # tens of microseconds; a thread that waits for the next operation of the same step seldom waits longer


def main() -> None:
    """Run the command line."""
    let_threads_sleep(os.environ)
    try:
        app()
    except OSError as error:
        # The help itself may go to a full disk.
        raise SystemExit(report_error(error)) from None


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Let the threads of OpenMP sleep soon where they wait for each other, unless the user has said how they wait.

    By default they spin for milliseconds. Where other processes want the cores as well, a thread then burns the time in which the one
    that it waits for could run. OpenMP reads the environment when PyTorch is imported, so that this must come before. It changes no
    result.
    """
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
        environment["GOMP_SPINCOUNT"] = str(SPINS)  # GNU's OpenMP would not spin at all otherwise


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"curriculum {version('curriculum')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
    debug: Debug = False,  # read by `guarded`
) -> None:
    """Measure whether a training schedule helps, and render a video of it.

    A dopesheet (CSV) specifies how each hyperparameter changes during training. A config (YAML) specifies what is trained.

    Examples:

      curriculum train --dopesheet smooth.csv --name runA

      curriculum train --dopesheet stepped.csv --name runB

      curriculum compare runA runB

      curriculum animate
    """
