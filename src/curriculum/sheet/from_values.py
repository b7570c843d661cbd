"""Make a sheet of values: arrays, functions, a table, or what a learning rate scheduler of PyTorch does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import InputError
from curriculum.sheet.document import LAST_STEP_ALLOWED, RESERVED, Column, Dopesheet, Row
from curriculum.sheet.keys import HELD, held
from curriculum.sheet.param_groups import AT, BETAS, MOMENTUM

Values = Callable[[int], float] | NDArray[Any] | Any  # an array, a number, a column of a table, or a function of the step


class Scheduler(Protocol):
    """A learning rate scheduler of PyTorch."""

    optimizer: Any

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def from_values(columns: Mapping[str, Values], steps: int | None = None) -> Dopesheet:
    """Make a sheet of the values of columns, each an array `[T]`, a number or a function of the step.

    It has a key wherever a value changes. Raises `InputError` for arrays of different lengths, for values that are not finite, for the
    name of a column that a sheet cannot have, and where nothing says how many steps there are.
    """
    if not len(columns):
        raise InputError("a schedule needs at least one column")
    lengths = {str(name): len(np.asarray(column)) for name, column in columns.items() if not callable(column) and np.ndim(column) == 1}
    count = steps if steps is not None else next(iter(lengths.values()), None)
    if count is None:
        raise InputError("how many steps? Pass an array for a column, or steps=")
    if not 1 <= count <= LAST_STEP_ALLOWED + 1:
        raise InputError(f"a schedule has 1 to {LAST_STEP_ALLOWED + 1:,} steps, not {count:,}")
    found = {}
    for name in columns:
        text = str(name)
        if text in RESERVED or ":" in text or text.startswith("#") or not text.isprintable() or not text.strip():
            raise InputError(f"{text!r} cannot be the name of a column")
        if lengths.get(text, count) != count:
            raise InputError(f"the column {text!r} has {lengths[text]:,} values, but there are {count:,} steps")
        found[text] = _values(text, columns[name], count)
    return held_sheet(found)


def held_sheet(columns: Mapping[str, NDArray[np.float64]]) -> Dopesheet:
    """Make a sheet of values `[T]` for each column, with a key wherever one changes."""
    last = len(next(iter(columns.values()))) - 1
    rows = tuple(Row(str(step), step) for step in dict.fromkeys((0, last)))
    return held(Dopesheet(tuple(Column(name, timing=HELD) for name in columns), rows), columns)


def _values(name: str, column: Values, steps: int) -> NDArray[np.float64]:
    try:
        made = np.asarray([column(step) for step in range(steps)] if callable(column) else column, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the column {name!r} is not made of numbers") from None
    if made.ndim > 1:
        raise InputError(f"the column {name!r} has {made.ndim} dimensions: a column has one value for each step")
    values = np.broadcast_to(made, (steps,)).copy()
    if not np.isfinite(values).all():
        step = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"the column {name!r} is {values[step]} at step {step:,}: values must be finite")
    return values


def played(scheduler: Scheduler, steps: int) -> dict[str, NDArray[np.float64]]:
    """Play a learning rate scheduler for so many steps, and give the values of its columns `[T]`; it is as before afterwards.

    Raises `InputError` for a scheduler that cannot be played alone, and for groups with different rates that have no names.
    """
    optimizer = scheduler.optimizer
    kept = [{key: copy.copy(value) for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    state = copy.deepcopy(scheduler.state_dict())
    rates, momenta = np.empty((steps, len(kept))), np.full((steps, len(kept)), np.nan)
    try:
        for step in range(steps):
            for place, group in enumerate(optimizer.param_groups):
                rates[step, place] = float(group["lr"])
                momenta[step, place] = group[BETAS][0] if BETAS in group else group.get(MOMENTUM, np.nan)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the optimizer has made no step
                scheduler.step()
    except TypeError as error:
        raise InputError(f"{type(scheduler).__name__} cannot be played alone: {error}") from None
    finally:
        scheduler.load_state_dict(state)
        for group, before in zip(optimizer.param_groups, kept, strict=True):
            group.update(before)
    return {**_named("lr", rates, kept), **(_named(MOMENTUM, momenta, kept) if np.ptp(momenta, axis=0).any() else {})}


def _named(setting: str, values: NDArray[np.float64], groups: list[dict[str, Any]]) -> dict[str, NDArray[np.float64]]:
    if (values == values[:, :1]).all():
        return {setting: values[:, 0]}
    names = [str(group.get("name", "")) for group in groups]
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"the parameter groups differ in {setting}: give each a name of its own, as in {{'params': ..., 'name': 'head'}}")
    return {f"{setting}{AT}{name}": values[:, place] for place, name in enumerate(names)}
