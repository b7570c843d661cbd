"""Check what the class of a task declares, before one is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from curriculum.errors import InputError, nearest
from curriculum.sheet.schedule import RATE
from curriculum.train.faults import place_of
from curriculum.train.optimizers import COLUMNS
from curriculum.train.scores import Score
from curriculum.train.task import Task

RESERVED = ("STEP", "PHASE", "ACTION", RATE, *COLUMNS)


def check_class(kind: type[Task]) -> None:
    """Raise `InputError` with the file and line of a class that lacks something, or declares what cannot be."""
    missing = sorted(kind.__abstractmethods__)
    if missing:
        own = [name for name, value in vars(kind).items() if callable(value) and name not in dir(Task)]
        guesses = [f"{missing_one!r} (did you mean it by {guess!r}?)" for missing_one in missing if (guess := nearest(missing_one, own))]
        listed = ", ".join([*guesses, *(repr(name) for name in missing if not nearest(name, own))])
        raise InputError(f"{place_of(kind)}: {kind.__name__} has no method {listed}")
    if kind.data is Task.data and kind.batches is Task.batches:
        raise InputError(f"{place_of(kind)}: {kind.__name__} has no data: define data(self), which returns the train and test arrays")
    check_declared(kind)


def check_declared(task: Task | type[Task]) -> None:
    """Raise `InputError` for terms, controls or scores that cannot be; those of an object may differ from those of its class."""
    for problem in _problems(task):
        raise InputError(f"{place_of(task)}: {problem}")


def _problems(task: Any) -> Iterator[str]:
    terms = getattr(task, "terms", ())
    if isinstance(terms, str) or not isinstance(terms, tuple | list) or not terms or not all(isinstance(name, str) for name in terms):
        example = terms if isinstance(terms, str) else "loss"
        yield f"terms must be a tuple of names, such as terms = ({example!r},), not {terms!r:.60}"
        return
    if not isinstance(task.controls, Mapping):
        yield "controls must be a dict with the smallest and the largest value of each column, such as {'dropout': (0, 0.9)}"
        return
    for name, entry in task.controls.items():
        numbers = isinstance(entry, tuple | list) and len(entry) in (2, 3) and all(_is_number(value) for value in entry)
        if not numbers:
            yield f"controls[{name!r}] must be (smallest, largest) or (smallest, largest, default), not {entry!r:.60}"
        elif not entry[0] < entry[1]:
            yield f"controls[{name!r}]: the smallest value {entry[0]} is not below the largest, {entry[1]}"
        elif len(entry) == 3 and not entry[0] <= entry[2] <= entry[1]:
            yield f"controls[{name!r}]: the default {entry[2]} is outside {entry[0]} to {entry[1]}"
    columns = [*terms, *task.controls]
    for name in columns:
        if name in RESERVED:
            yield f"{name!r} cannot be the name of a term or a control: the sheet has another column of this name"
        if columns.count(name) > 1:
            yield f"{name!r} is named twice among the terms and controls"
    yield from _scores(task)


def _scores(task: Any) -> Iterator[str]:
    if not isinstance(task.scores, Mapping):
        yield "scores must be a dict that says what is better, such as {'accuracy': 'higher'}"
        return
    for name, score in task.scores.items():
        if not isinstance(score, Score) and score not in ("higher", "lower"):
            yield f"scores[{name!r}] must be 'higher' or 'lower', whichever is better, or a Score, not {score!r:.60}"
    kind: Any = task if isinstance(task, type) else type(task)
    unknown = [name for name in task.scores if name != "accuracy"]
    if unknown and kind.score is Task.score:
        yield f"the score {unknown[0]!r} is computed nowhere: define score(self, outputs, labels), which returns a dict with it"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not math.isnan(value)
