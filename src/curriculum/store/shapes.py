"""Check that what a run's files claim to hold fits its manifest, before it is read.

Each check takes the shapes of the arrays of one file after another, by name, and raises `ValueError` with what does not
fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from curriculum.store.names import FIXED, STEPS

if TYPE_CHECKING:
    import pyarrow as pa

Shapes = Mapping[str, tuple[int, ...]]


def check_parts_alike(parts: Sequence[Shapes]) -> None:
    """Check that parts can be joined along their first axis."""
    inner: dict[str, tuple[int, ...]] = {}
    for part in parts:
        for name, shape in part.items():
            if not shape or inner.setdefault(name, shape[1:]) != shape[1:]:
                raise ValueError(f"{name} has another shape in another part of it")


def check_snapshots(parts: Sequence[Shapes], parameters: Mapping[str, Sequence[int]], seeds: int, steps: int) -> None:
    """Check snapshots: `steps` `[F]`, and parameters `[F, S, ...]` by name; F is at most the number of steps in all."""
    for part in parts:
        if len(part.get(STEPS, ())) != 1:
            raise ValueError("it does not say of which steps it is")
        expected = {name: (*part[STEPS], seeds, *shape) for name, shape in parameters.items()}
        if {name: shape for name, shape in part.items() if name != STEPS} != expected:
            raise ValueError("its shapes are not those of this run's model")
    _check_count(parts, STEPS, steps)


def check_curves(parts: Sequence[Shapes], seeds: int, steps: int) -> None:
    """Check curves: `[F, S, ...]` by name, at `NAME.steps` `[F]`; F is at most the number of steps in all."""
    for part in parts:
        for name, shape in part.items():
            own = f"{name}.{STEPS}"
            if not name.endswith(f".{STEPS}") and (len(part.get(own, ())) != 1 or shape[:2] != (*part[own], seeds)):
                raise ValueError(f"{name} does not fit this run's seeds and steps")
    for name in {name for part in parts for name in part if name.endswith(f".{STEPS}")}:
        _check_count(parts, name, steps)


def _check_count(parts: Sequence[Shapes], name: str, most: int) -> None:
    count = sum(part[name][0] for part in parts if name in part)
    if count > most:
        raise ValueError(f"{name} has {count:,} entries for a run of {most:,} steps")


def check_model(shapes: Shapes, parameters: Mapping[str, Sequence[int]], seeds: int) -> None:
    """Check the weights after the last update: parameters `[S, ...]` by name."""
    if set(shapes) != set(parameters):
        raise ValueError("its parameters are not those of this run's model")
    if shapes != {name: (seeds, *shape) for name, shape in parameters.items()}:
        raise ValueError("its shapes are not those of this run's model")


def check_exhibits(shapes: Shapes, seeds: int) -> None:
    """Check what a task shows of its models: `[S, ...]` by name, but for what no model changes."""
    for name, shape in shapes.items():
        if not name.startswith(FIXED) and shape[:1] != (seeds,):
            raise ValueError(f"{name} does not fit this run's seeds")


def check_rows(table: pa.Table) -> None:
    """Check a table of losses: the columns step, seed and total, each once, with a step and a seed in every row."""
    if len(set(table.column_names)) < len(table.column_names):
        raise ValueError("it has a column twice")
    if not {"step", "seed", "total"} <= set(table.column_names):
        raise ValueError("it lacks the columns step, seed and total")
    for name in ("step", "seed"):
        column = table.column(name)
        if str(column.type) != "int64" or column.null_count:
            raise ValueError(f"its column {name} does not hold a whole number in every row")
