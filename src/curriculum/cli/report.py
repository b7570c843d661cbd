"""`curriculum report`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, Force, RunsFolder, check_free, guarded
from curriculum.cli.options import Baseline
from curriculum.console import put, put_json

if TYPE_CHECKING:
    from curriculum.cli.progress import Bar
    from curriculum.measure.comparison import Comparison
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.reader import Run

MOST_RUNS = 6  # that colors and dashes tell apart on one page


@dataclass(frozen=True)
class Question:
    """The runs of a page, and how they are compared."""

    runs: list[Run]
    baseline: int | None = None
    all_pairs: bool = False
    primary: Sequence[str] | None = None
    smallest: SmallestEffect | None = None
    unequal: bool = False


@guarded
def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            autocompletion=run_and_experiment_names,
            help=f"One to {MOST_RUNS} runs, or the name of an experiment. Default: those of the latest comparison, compared in the same "
            "way, or else the two newest finished runs.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The file to write, .html. Default: reports/NAME.html in the folder of the runs."
        ),
    ] = None,
    baseline: Baseline = None,
    runs: RunsFolder = RUNS,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write one HTML file that shows runs and what their comparison found.

    The file opens in any browser and needs nothing else: no network, no server. It has the verdicts, the curves, the sheets,
    and how the runs were made. Without -o, a report of the same runs is replaced.

    Examples:

      curriculum report

      curriculum report smooth-vs-stepped

      curriculum report runA runB --baseline runB -o for-anna.html

      curriculum report runA
    """
    from curriculum.errors import InputError
    from curriculum.store.files import write_file
    from curriculum.store.place import place_new, replace
    from curriculum.store.reports import SUFFIX, new_report

    if output is not None:
        if output.suffix.lower() != SUFFIX:
            raise InputError(f"cannot write {output}: a report is an HTML file, so its name must end in {SUFFIX}")
        check_free(output, force)
    asked = _question(names, baseline, runs)
    found = _compared(asked, runs)
    page = _page(asked.runs, found, _command(names, baseline, asked.runs, runs))
    pairs = [(pair.first, pair.other) for pair in found.pairs] if found else []
    if output is None:
        path = new_report(runs, asked.runs, pairs, page)
    else:
        path = write_file(output, page.encode(), replace if force else place_new)
    size = path.stat().st_size
    if as_json:
        put_json(
            {"path": str(path), "bytes": size, "runs": [run.name for run in asked.runs], "seeds": [len(run.seeds) for run in asked.runs]}
        )
        return
    put(f"{path}: {_size(size)}, {_count(asked.runs)}")


def _question(names: list[str] | None, baseline: str | None, runs: Path) -> Question:
    """Find the runs that are named, or those of the latest comparison, and how they are to be compared."""
    from curriculum.cli.compare import with_baseline
    from curriculum.errors import InputError
    from curriculum.measure.pairing import USABLE
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.experiment import ExperimentRecord, find_runs
    from curriculum.store.shelf import latest_asked, latest_comparison, newest_finished

    last = None if names or baseline is not None else latest_asked(runs)
    if last is not None:
        others, count = {other for _, other in last.pairs}, len(last.runs)
        all_pairs = count > 2 and len(last.pairs) == count * (count - 1) // 2
        question = Question(
            last.runs,
            others.pop() if len(others) == 1 else None,
            all_pairs,
            last.primary,
            SmallestEffect(last.smallest, last.own),
            last.judged,
        )
    else:
        chosen, record = find_runs(names, runs) if names else (latest_comparison(runs) or newest_finished(runs), ExperimentRecord())
        if not chosen:
            raise InputError(f"{' '.join(names or [])!r} has no runs to report")
        question = Question(chosen, with_baseline(chosen, record, baseline, runs), primary=record.primary)
    if len(question.runs) > MOST_RUNS:
        raise InputError(f"a report shows at most {MOST_RUNS} runs, not {len(question.runs)}: name the runs to show")
    if len(question.runs) == 1:
        (run,) = question.runs
        if baseline is not None:
            raise InputError("--baseline is for two runs or more: name the run to measure against it")
        if run.status not in USABLE:
            status = run.shown_status
            hint = {"running": ": wait for its end", "killed": f": resume it first (curriculum train --resume {run.path})"}.get(status, "")
            raise InputError(f"the run {run.name!r} cannot be reported, its status is {status!r}{hint}")
    return question


def _compared(asked: Question, runs: Path) -> Comparison | None:
    """Compare the runs as `curriculum compare` does; None for a single run."""
    from curriculum.cli.compare import measured, with_earlier_looks

    if len(asked.runs) == 1:
        return None
    found = measured(
        asked.runs,
        asked.smallest,
        baseline=asked.baseline,
        all_pairs=asked.all_pairs,
        unequal=asked.unequal,
        primary=asked.primary,
    )
    return with_earlier_looks(found, runs)


def _page(runs: list[Run], found: Comparison | None, command: str) -> str:
    """Write the page, with a progress bar."""
    from curriculum.cli.progress import Bar
    from curriculum.report.page import render

    with ExitStack() as stack:
        bars: list[Bar] = []

        def watch(done: int, of: int) -> None:
            if not bars:
                bars.append(stack.enter_context(Bar("writing the report", of, "part", patience=2.0)))
            bars[0].update(done)

        return render(runs, found, command=command, watch=watch)


def _command(names: list[str] | None, baseline: str | None, chosen: Sequence[Run], runs: Path) -> str:
    """Write the command that makes the page again; runs that were not named are named by where they are."""
    words = ["curriculum", "report", *(names or [_reference(run, runs) for run in chosen])]
    words += ["--baseline", baseline] if baseline is not None else []
    words += ["--runs", str(runs)] if runs != RUNS else []
    return shlex.join(words)


def _reference(run: Run, runs: Path) -> str:
    path, folder = run.path.resolve(), runs.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _count(runs: Sequence[Run]) -> str:
    counts = sorted({len(run.seeds) for run in runs})
    seeds = " and ".join(map(str, counts))
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'} of {seeds} seed{'' if counts == [1] else 's'}"
