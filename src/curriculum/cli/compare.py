"""`curriculum compare`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import Baseline, FigureFormat, Figures, Width, width_in_inches
from curriculum.cli.tables import Format, table
from curriculum.cli.verdict_text import print_comparison
from curriculum.console import put, put_json, say

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.experiment import ExperimentRecord
    from curriculum.store.reader import Run

TABLES = "add --full"


@guarded
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            autocompletion=run_and_experiment_names,
            help="Two or more runs, or the name of an experiment. Default: the two newest finished runs.",
        ),
    ] = None,
    baseline: Baseline = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Measure every run against every other one.")] = False,
    primary: Annotated[
        list[str] | None,
        typer.Option("--primary", metavar="ID", help="Judge only this measure or hypothesis; the others are exploratory. Repeatable."),
    ] = None,
    smallest_ratio: Annotated[
        float,
        typer.Option(min=0, max=0.99, help="The smallest effect of interest as a share, of measures without one of their own: 0.1 is 10%."),
    ] = 0.1,
    smallest: Annotated[
        list[str] | None,
        typer.Option(
            "--smallest",
            metavar="MEASURE=AMOUNT",
            help="The smallest effect of interest of one measure, in its unit; of ratios and counts a share. Repeatable.",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit with code 3 if this is so, such as 'final > 1.05' or 'accuracy is contradicted'. Repeatable.",
        ),
    ] = None,
    unequal: Annotated[
        bool, typer.Option("--unequal", help="Judge runs also if they were trained for different numbers of steps.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="Print the verdicts as text, or as a table in Markdown or LaTeX.")] = Format.text,
    full: Annotated[bool, typer.Option("--full", help="Print everything that was measured, not only the answer.")] = False,
    figures: Figures = FigureFormat.png,
    width: Width = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs and draw figures.

    Compares scores, final errors, stability and schedules. The first run is measured against each of
    the others; with --baseline, each of the others is measured against the baseline. Of an experiment, all arms are compared, with
    its baseline and its primary measures.

    Examples:

      curriculum compare runA runB

      curriculum compare

      curriculum compare smooth-vs-stepped --primary H1 --baseline smooth

      curriculum compare runA runB runC --baseline runC --smallest-ratio 0.05

      curriculum compare runA runB runC --all-pairs --full

      curriculum compare runA runB --format latex > table.tex

      curriculum compare runA runB --figures pdf --width 3.3in

      curriculum compare new old --smallest final=0.05 --fail-if "final is contradicted"
    """
    from curriculum.errors import DifferenceError, InputError
    from curriculum.measure.conditions import met, parse_condition
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.experiment import ExperimentRecord, find_runs
    from curriculum.store.shelf import newest_finished

    inches = width_in_inches(width)
    conditions = [parse_condition(text) for text in fail_if or ()]
    if all_pairs and baseline is not None:
        raise InputError("--all-pairs and --baseline cannot be combined: choose one")
    chosen, record = find_runs(names, runs) if names else (newest_finished(runs), ExperimentRecord())
    place = with_baseline(chosen, record, baseline, runs)
    found = compare_and_print(
        chosen,
        runs,
        as_json,
        SmallestEffect(smallest_ratio, _amounts(smallest or ())),
        baseline=None if all_pairs else place,
        all_pairs=all_pairs,
        unequal=unequal,
        primary=primary or record.primary,
        full=full,
        form=form,
        figures=figures,
        width=inches,
    )
    if said := met(found, conditions):
        raise DifferenceError("\n".join(f"--fail-if {line}" for line in said))


def with_baseline(chosen: list[Run], record: ExperimentRecord, baseline: str | None, runs: Path) -> int | None:
    """Add the run that is named as the baseline to those that were chosen, unless it is one of them; give its place.

    Without a name, it is the baseline of their experiment; None where that names none.
    """
    from curriculum.store.experiment import find_baseline, place_of_baseline

    if baseline is not None:
        reference = find_baseline(baseline, chosen, record, runs)
        if all(run.path.resolve() != reference.path.resolve() for run in chosen):
            chosen.append(reference)
    return place_of_baseline(baseline, chosen, record, runs)


def compare_and_print(
    chosen: list[Run],
    runs: Path,
    as_json: bool,
    smallest: SmallestEffect | None = None,
    *,
    baseline: int | None = None,
    all_pairs: bool = False,
    unequal: bool = False,
    primary: Sequence[str] | None = None,
    full: bool = False,
    form: Format = Format.text,
    tables: str = TABLES,
    figures: FigureFormat = FigureFormat.png,
    width: float | None = None,
) -> Comparison:
    """Compare runs, store the comparison, and print it; `tables` says how to print everything that was measured.

    `figures` and `width`, in inches, are those of its figures.
    """
    found = measured(chosen, smallest, baseline=baseline, all_pairs=all_pairs, unequal=unequal, primary=primary)
    store_and_print(chosen, found, runs, as_json, full, form, tables, figures, width)
    return found


def tables_of(folder: Path) -> str:
    """Give the command that prints every table of the experiment in a folder."""
    shown = "" if folder.parent == RUNS else f" --runs {shlex.quote(str(folder.parent))}"
    return f"curriculum compare {shlex.quote(folder.name)} --full{shown}"


def measured(
    chosen: list[Run],
    smallest: SmallestEffect | None = None,
    *,
    baseline: int | None = None,
    all_pairs: bool = False,
    unequal: bool = False,
    primary: Sequence[str] | None = None,
) -> Comparison:
    """Compare runs, with a progress bar."""
    from curriculum.cli.progress import Bar
    from curriculum.measure.comparison import compare as compare_runs
    from curriculum.measure.comparison import seeds_to_measure

    with Bar("measuring", seeds_to_measure(chosen, baseline, all_pairs), "seed", patience=2.0) as bar:
        return compare_runs(chosen, smallest, bar.update, baseline=baseline, all_pairs=all_pairs, unequal=unequal, primary=primary)


def store_and_print(
    chosen: list[Run],
    found: Comparison,
    runs: Path,
    as_json: bool,
    full: bool = False,
    form: Format = Format.text,
    tables: str = TABLES,
    figures: FigureFormat = FigureFormat.png,
    width: float | None = None,
) -> None:
    """Store a comparison of runs with its figures, and print it; with a note where they have grown since they were compared before."""
    from curriculum.draw.figures import draw_comparison
    from curriculum.store.shelf import new_comparison

    found = with_earlier_looks(found, runs)
    document = found.to_json()
    folder = new_comparison(runs, found.names, document, lambda folder: draw_comparison(chosen, found, folder, width, figures.value))
    if as_json:
        put_json({**document, "folder": str(folder)})
        return
    if form != Format.text:
        put(table(found, form))
        for note in found.notes:
            say(f"note: {note}")
        return
    print_comparison(found, full)
    put(f"figures and compare.json: {folder}{'' if full else '; every table: ' + tables}")


def with_earlier_looks(found: Comparison, runs: Path) -> Comparison:
    """Add to a comparison a note where the same runs were compared before, with fewer seeds and without planned looks."""
    from curriculum.store.shelf import earlier_looks

    earlier = earlier_looks(runs, [(run.path, run.seeds) for run in found.runs]) if found.look is None else ()
    if not earlier:
        return found
    seeds = " and ".join(map(str, earlier))
    note = f"the same runs were compared before with {seeds} seeds: p and intervals do not allow for having looked in between"
    return replace(found, earlier_looks=earlier, notes=(*found.notes, f"{note} (experiment --until-decided does)"))


def _amounts(texts: Sequence[str]) -> dict[str, float]:
    """Read the smallest effects of single measures: `MEASURE=AMOUNT`, such as `accuracy=0.5` or `H1a=20%`."""
    from curriculum.errors import InputError

    found = {}
    for text in texts:
        name, _, amount = text.partition("=")
        plain = amount.removesuffix("%")
        try:
            value = float(plain) / (100 if amount.endswith("%") else 1)
        except ValueError:
            value = math.nan
        if not name or not 0 < value < math.inf:
            raise InputError(f"cannot read --smallest {text!r}: write a measure and an amount above 0, as in --smallest H1a=20%")
        found[name] = value
    return found
