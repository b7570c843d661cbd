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
RUN = "run"  # the first column of every table, so that tables of several runs can be concatenated


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
        CURVES: "a row for each step and seed at which a curve was recorded, each at its own steps",
        SCHEDULE: "a row for each step as it was trained, until training stopped and with every retarget of a hook",
        SEEDS: "a row for each seed",
    }
    columns = _columns(run)
    sections = [_section(name, what, rows[name], columns[name]) for name, what in files.items() if name in rows]
    left = ", ".join(f"`{name}`" for name in other_curves(run))
    return "\n".join(
        [
            f"# {run.name}",
            "",
            f"Exported by curriculum {version('curriculum')}. {task[0].upper()}{task[1:]}, sheet {manifest['sheet']}, {trained}, "
            f"{run.status}, {len(run.seeds)} seed(s): {seeds_text(run.seeds)}.",
            "",
            "    metrics = pandas.read_csv('metrics.csv')      # Python",
            "    metrics <- read.csv('metrics.csv', check.names = FALSE)      # R",
            "",
            f"The first column of every file, `{RUN}`, is the name of the run, so that files of several runs can be concatenated.",
            "",
            "An empty cell has no value: it was not computed or recorded at that step, or the seed had diverged. `NaN` was recorded and",
            "is not a number; `inf` and `-inf` are infinite. Numbers have as many digits as it takes to read the same number back.",
            *(["", f"Not exported, since each value is more than one number: {left}."] if left else []),
            *sections,
            "",
        ]
    )


def _section(name: str, what: str, rows: int, columns: Mapping[str, str]) -> str:
    head = ["", f"## {name}", "", f"{what[0].upper()}{what[1:]}; {rows:,} rows.", "", "| column | what it is |", "|---|---|"]
    return "\n".join([*head, *(f"| `{column}` | {text} |" for column, text in columns.items())])


def _columns(run: Run) -> dict[str, dict[str, str]]:
    """Say of each file what its columns are, by name."""
    step, seed = {"step": "the training step, from 0"}, {"seed": "the seed"}
    weighted = "the loss of the batch: the sum of all terms, each times its weight in the schedule"
    total = "the metric `loss` as it was logged" if run.tracked else weighted
    term = "a metric as it was logged" if run.tracked else "a term of the loss, without its weight"
    phases = {"phase": "the phase of the step", "action": "the actions at the step"}
    ends = {
        "diverged": "what was not finite first, and where; empty for a seed that trained to the end",
        "skipped_updates": "how many updates were skipped because they were not finite",
    }
    return {
        METRICS: {**step, **seed, "total": total, **dict.fromkeys(run.terms, term)},
        CURVES: {**step, **seed, **{name: _curve(run, name) for name in curve_names(run)}},
        SCHEDULE: {**step, **phases, **dict.fromkeys(run.schedule.properties, "a column of the sheet")},
        SEEDS: {**seed, **ends, **{name: _measure(run, name) for name in own_measures(run)}},
    }


def _curve(run: Run, name: str) -> str:
    kind, _, rest = name.partition(".")
    score, _, probe = rest.rpartition(".")
    if kind == "score" and score in run.look.scores:
        shown = run.look.scores[score]
        where = "as it was logged" if run.tracked else f"on the probe `{probe}`"
        unit = f", in {shown.unit}" if shown.unit else ""
        times = f"; shown times {shown.scale:g}{unit}" if shown.scale != 1 else unit
        return f"the score `{score}` {where}{times}; {shown.better} is better"
    if kind == "loss":
        unit = f" ({run.look.error_unit})" if run.look.error_unit else ""
        return f"the error on the probe `{rest}`{unit}, before the update of that step"
    return "a curve of the task"


def _measure(run: Run, name: str) -> str:
    found = next((metric for metric in run.look.own_measures if f"{OWN}{metric.id}" == name), None)
    return f"a measure of the task: {found.title}{f', in {found.unit}' if found.unit else ''}" if found else "a measure of the task"
