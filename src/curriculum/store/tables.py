"""A stored run as plain tables: what a person reads in R, in a spreadsheet or with pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.store.manifest import skipped_updates
from curriculum.store.names import ABSENT, EXHIBITS, STEPS
from curriculum.store.reader import Run

if TYPE_CHECKING:
    import pyarrow as pa

OWN = "measure."  # how the names of the measures of a task's own begin, among what is stored of the final models


def curve_names(run: Run) -> list[str]:
    """List the curves that have one number for each step and seed: errors and scores, not latents."""
    traces = run.traces if run.trained_steps else {}
    return [name for name, own in traces.items() if not name.endswith(f".{STEPS}") and not name.startswith(ABSENT) and own.ndim == 2]


def other_curves(run: Run) -> list[str]:
    """List the curves that have more than one number for each step and seed, such as latents."""
    traces = run.traces if run.trained_steps else {}
    return [name for name, own in traces.items() if not name.startswith(ABSENT) and own.ndim > 2]


def curve_of(run: Run, name: str) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]:
    """Give the steps of a curve `[F]`, its values `[F, S]`, and where a seed has a value, be it a number or not `[F, S]`."""
    values = run.traces[name]
    absent = run.traces.get(f"{ABSENT}{name}")
    there = np.ones(values.shape, dtype=bool) if absent is None else ~absent.astype(bool)
    return run.traces[f"{name}.{STEPS}"], values, there


def curve_table(run: Run) -> pa.Table:
    """Make a row for each step and seed at which a curve was recorded: `step`, `seed`, and every curve, missing where it was not."""
    import pyarrow as pa

    curves = {name: curve_of(run, name) for name in curve_names(run)}
    steps = np.unique(np.concatenate([np.empty(0, np.int64), *(own for own, _, _ in curves.values())]))
    shape = len(steps), len(run.seeds)
    columns: dict[str, tuple[NDArray[Any], NDArray[np.bool_]]] = {}
    for name, (own, values, there) in curves.items():
        full, missing = np.zeros(shape, values.dtype), np.ones(shape, dtype=bool)
        places = np.searchsorted(steps, own)
        full[places], missing[places] = values, ~there
        columns[name] = full.reshape(-1), missing.reshape(-1)
    any_there = ~np.logical_and.reduce([np.ones(shape[0] * shape[1], dtype=bool), *(missing for _, missing in columns.values())])
    rows = {"step": np.repeat(steps, shape[1])[any_there], "seed": np.tile(np.asarray(run.seeds, np.int64), shape[0])[any_there]}
    arrays = {name: pa.array(values[any_there], mask=missing[any_there]) for name, (values, missing) in columns.items()}
    return pa.table({**rows, **arrays})


def schedule_table(run: Run) -> pa.Table:
    """Make a row for each step of the schedule as it was trained: `step`, `phase`, `action`, and every column of the sheet."""
    import pyarrow as pa

    schedule = run.schedule
    phases: list[str] = [""] * len(schedule)
    for phase in schedule.phases:
        phases[phase.start : phase.end + 1] = [phase.name] * (phase.end + 1 - phase.start)
    actions: dict[int, str] = {}
    for step, name in schedule.actions:
        actions[step] = f"{actions[step]}; {name}" if step in actions else name
    return pa.table(
        {
            "step": np.arange(len(schedule)),
            "phase": pa.array([name or None for name in phases], pa.string()),
            "action": pa.array([actions.get(step) for step in range(len(schedule))], pa.string()),
            **{name: schedule.column(name) for name in schedule.properties},
        }
    )


def seed_table(run: Run) -> pa.Table:
    """Make a row for each seed: `seed`, where it `diverged`, `skipped_updates`, and the values of the task's own measures."""
    import pyarrow as pa

    skipped, diverged = skipped_updates(run.manifest), run.diverged
    return pa.table(
        {
            "seed": np.asarray(run.seeds, np.int64),
            "diverged": pa.array([diverged.get(seed) for seed in run.seeds], pa.string()),
            "skipped_updates": pa.array([skipped[seed].updates if seed in skipped else 0 for seed in run.seeds], pa.int64()),
            **own_measures(run),
        }
    )


def own_measures(run: Run) -> dict[str, NDArray[Any]]:
    """Give the values of the task's own measures `[S]` as `measure.ID`; none of a run that has not ended."""
    if EXHIBITS not in run.manifest.get("files", {}):
        return {}
    return {name: own for name, own in run.exhibits.items() if name.startswith(OWN) and own.ndim == 1}
