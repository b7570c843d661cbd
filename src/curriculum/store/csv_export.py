"""Export a run as CSV files, with a text that says what is what."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from curriculum.store.blocks import seeds_text
from curriculum.store.reader import Run
from curriculum.store.tables import OWN, curve_names, curve_table, other_curves, own_measures, schedule_table, seed_table

if TYPE_CHECKING:
    import pyarrow as pa

README, ROWS_AT_ONCE = "README.md", 20_000
METRICS, CURVES, SCHEDULE, SEEDS = "metrics.csv", "curves.csv", "schedule.csv", "seeds.csv"
FILES = (README, METRICS, CURVES, SCHEDULE, SEEDS)
RUN = "run"  # the first column of every table: tables of several runs can be put one below the other


def export_csv(run: Run, folder: Path, watch: Callable[[float], None] = lambda share: None) -> None:
    """Write the tables of a run and a README into a folder; `watch` is told which share is done.

    Raises `RunError` for a damaged run, and `OSError` where the disk does not take it.
    """
    tables: list[tuple[str, Callable[[Run], pa.Table], float]] = [
        (SEEDS, seed_table, 0.0),
        (SCHEDULE, schedule_table, 0.1),
        (METRICS, lambda run: run.metrics_table, 0.6),
        (CURVES, curve_table, 1.0),
    ]
    rows: dict[str, int] = {}
    begin = 0.0
    for name, make, end in tables:
        if name == CURVES and not curve_names(run):
            continue
        table = make(run)
        rows[name] = table.num_rows
        for share in _write(folder / name, run.name, table):
            watch(begin + share * (end - begin))
        begin = end
    (folder / README).write_text(about(run, rows), encoding="utf-8")
    watch(1.0)


def _write(path: Path, name: str, table: pa.Table) -> Iterator[float]:
    """Write a table, and give the share of it that is written, again and again.

    What is missing is an empty cell; a number has as many digits as it takes to read the same number back.
    """
    import pyarrow.compute as pc

    named = [] if RUN in table.column_names else [RUN]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*named, *table.column_names])
        for start in range(0, table.num_rows, ROWS_AT_ONCE):
            part = table.slice(start, ROWS_AT_ONCE)
            cells = [pc.cast(column, "string").to_pylist() for column in part.columns]
            for place, column in enumerate(part.columns):
                if str(column.type) in ("float", "double"):
                    # As R spells it; whoever reads `nan` there gets a column of texts.
                    cells[place] = ["NaN" if cell == "nan" else cell for cell in cells[place]]
            writer.writerows(zip(*([name] * part.num_rows for _ in named), *cells, strict=True))
            yield (start + part.num_rows) / table.num_rows


def about(run: Run, rows: Mapping[str, int]) -> str:
    """Say in Markdown what was exported: which file has which rows and columns, in which units."""
    manifest = run.manifest
    task = "a training loop that was tracked" if run.tracked else f"task {run.task_name}"
    trained = f"{run.trained_steps:,} of {manifest['steps']:,} steps"
    files = {
        METRICS: "a row for each step and seed at which something was logged" if run.tracked else "a row for each step and seed",
        CURVES: "a row for each step and seed at which a curve was recorded; each curve has steps of its own",
        SCHEDULE: "a row for each step, as it was trained: cut where training stopped, with every retarget of a hook",
        SEEDS: "a row for each seed",
    }
    listed = [f"| `{name}` | {rows[name]:,} | {what} |" for name, what in files.items() if name in rows]
    described = sorted(_columns(run), key=lambda column: FILES.index(column[0]))
    columns = [f"| `{file}` | `{name}` | {what} |" for file, name, what in described if file in rows]
    left = ", ".join(f"`{name}`" for name in other_curves(run))
    return "\n".join(
        [
            f"# {run.name}",
            "",
            f"Exported by curriculum {version('curriculum')}. {task[0].upper()}{task[1:]}, sheet {manifest['sheet']}, {trained}, "
            f"{run.status}, {len(run.seeds)} seed(s): {seeds_text(run.seeds)}.",
            "",
            "| file | rows | contents |",
            "|---|---:|---|",
            *listed,
            "",
            "| file | column | what it is |",
            "|---|---|---|",
            *columns,
            "",
            "An empty cell: there is no value, because it was not computed or recorded at that step, or because the seed had diverged.",
            "`NaN`: a value was recorded, and was not a number. `inf` and `-inf`: it was infinite. Numbers have as many digits as it takes",
            "to read the same number back.",
            *(["", f"Not exported, since they are no single numbers: {left}."] if left else []),
            "",
            "    metrics = pandas.read_csv('metrics.csv')      # Python",
            "    metrics <- read.csv('metrics.csv', check.names = FALSE)      # R",
            "",
        ]
    )


def _columns(run: Run) -> list[tuple[str, str, str]]:
    """List what the columns are: the file, the column, and a sentence."""
    scores, own = run.look.scores, {metric.id: metric for metric in run.look.own_measures}
    found = [(file, RUN, "the name of the run: tables of several runs can be put one below the other") for file in FILES[1:]]
    weighted = "the loss of the batch: the sum of all terms, each times its weight in the schedule"
    total = "the metric `loss` as it was logged" if run.tracked else weighted
    found += [(file, "step", "the training step, from 0") for file in (METRICS, CURVES, SCHEDULE)]
    found += [(file, "seed", "the seed of the training") for file in (METRICS, CURVES, SEEDS)]
    found.append((METRICS, "total", total))
    term = "a metric as it was logged" if run.tracked else "a term of the loss, without its weight"
    found += [(METRICS, name, term) for name in run.terms]
    for name in curve_names(run):
        kind, _, rest = name.partition(".")
        score, _, probe = rest.rpartition(".")
        if kind == "score" and score in scores:
            shown = scores[score]
            unit = f", in {shown.unit}" if shown.unit else ""
            times = f"; shown times {shown.scale:g}{unit}" if shown.scale != 1 else unit
            where = "as it was logged" if run.tracked else f"on the probe `{probe}`"
            found.append((CURVES, name, f"the score `{score}` {where}{times}; {shown.better} is better"))
        else:
            unit = f" ({run.look.error_unit})" if run.look.error_unit else ""
            found.append((CURVES, name, f"the error on the probe `{rest}`{unit}, before the update of that step"))
    found += [(SCHEDULE, "phase", "the phase of the step"), (SCHEDULE, "action", "the actions at the step")]
    found += [(SCHEDULE, name, "a column of the sheet") for name in run.schedule.properties]
    found += [
        (SEEDS, "diverged", "what was not finite first, and where; empty for a seed that trained to the end"),
        (SEEDS, "skipped_updates", "how many updates were skipped because they were not finite"),
    ]
    for name in own_measures(run):
        metric = own.get(name.removeprefix(OWN))
        title = f": {metric.title}{f', in {metric.unit}' if metric.unit else ''}" if metric else ""
        found.append((SEEDS, name, f"a measure of the task{title}"))
    return found
