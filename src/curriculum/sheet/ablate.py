"""Exchange parts of two sheets, one at a time: what a part does is what happens when it alone is taken from the other sheet.

A part is a column, all actions, or a phase with all that happens in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np

from curriculum.errors import InputError
from curriculum.sheet.document import Column, Dopesheet, Phase
from curriculum.sheet.keys import held, with_keys
from curriculum.sheet.schedule import compile_sheet

By = Literal["column", "phase"]
ACTIONS = "actions"  # the part that holds the actions of a sheet, where parts are columns


@dataclass(frozen=True)
class Part:
    """A part in which two sheets differ: a column by its name, the actions, or the steps of a phase."""

    name: str
    steps: range | None = None


def parts(first: Dopesheet, second: Dopesheet, by: By) -> tuple[Part, ...]:
    """List the parts in which two sheets of the same length differ; phases are those of the first sheet.

    Raises `InputError` for sheets that differ in length or in nothing, and by phase for a column that only one of them has.
    """
    if first.last_step != second.last_step:
        raise InputError(
            f"{first.source} has {first.last_step + 1:,} steps and {second.source} {second.last_step + 1:,}: parts can be exchanged only "
            f"between sheets of the same length (curriculum dopesheet convert --scale-to {first.last_step + 1} changes it)"
        )
    found = _columns(first, second) if by == "column" else _phases(first, second)
    if not found and not same_phases(first, second):
        raise InputError(f"{first.source} and {second.source} differ in their phases alone, which cannot be exchanged")
    if not found:
        raise InputError(f"{first.source} and {second.source} say the same at every step: there is nothing to exchange")
    return found


def same_phases(first: Dopesheet, second: Dopesheet) -> bool:
    """Tell whether two sheets have the same phases at the same steps. No part has them: each arm has those of its own sheet."""
    return _merged(first.phases) == _merged(second.phases)


def exchanged(sheet: Dopesheet, donor: Dopesheet, part: Part) -> Dopesheet:
    """Take a part from another sheet of the same length, and all else from this one; columns keep the donor's keys where they can."""
    if part.steps is not None:
        return _with_steps(sheet, donor, part.steps)
    return _with_actions(sheet, donor, range(sheet.last_step + 1)) if part.name == ACTIONS else _with_column(sheet, donor, part.name)


def _columns(first: Dopesheet, second: Dopesheet) -> tuple[Part, ...]:
    one, other = compile_sheet(first), compile_sheet(second)
    names = dict.fromkeys((*first.properties, *second.properties))
    both = [name for name in names if name in first.properties and name in second.properties]
    same = [name for name in both if np.array_equal(one.column(name), other.column(name))]
    found = [Part(name) for name in names if name not in same]
    return (*found, *([Part(ACTIONS)] if first.actions != second.actions else []))


def _phases(first: Dopesheet, second: Dopesheet) -> tuple[Part, ...]:
    alone = sorted(set(first.properties) ^ set(second.properties))
    if alone:
        raise InputError(
            f"only one of {first.source} and {second.source} has the column {alone[0]!r}: add it to the other with its default, "
            "or exchange columns (--by column)"
        )
    one, other = compile_sheet(first), compile_sheet(second)
    values = np.stack([other.column(name) for name in first.properties], axis=1)
    found = []
    for number, phase in enumerate(_merged(first.phases), start=1):
        steps = range(phase.start, phase.end + 1)
        acts = [[action for action in sheet.actions if action[0] in steps] for sheet in (first, second)]
        if acts[0] != acts[1] or not np.array_equal(one.values[phase.start : phase.end + 1], values[phase.start : phase.end + 1]):
            found.append(Part(f"phase {number}: {phase.name}" if phase.name else f"phase {number}", steps))
    return tuple(found)


def _merged(phases: tuple[Phase, ...]) -> list[Phase]:
    """Join phases of one name that follow each other."""
    groups = [list(group) for _, group in groupby(phases, key=lambda phase: phase.name)]
    return [Phase(group[0].name, group[0].start, group[-1].end) for group in groups]


def _with_column(sheet: Dopesheet, donor: Dopesheet, name: str) -> Dopesheet:
    given = next((column for column in donor.columns if column.name == name), None)
    if given is None:
        bare = replace(sheet, columns=tuple(column for column in sheet.columns if column.name != name))
        return with_keys(bare, {name: ()})
    reached = donor.own_timings(name)
    tables = {timing: donor.tables[timing] for timing in (given.timing, *reached.values()) if timing in donor.tables}
    clash = any(sheet.tables.get(timing, table) is not table for timing, table in tables.items())
    column = Column(name) if clash else given
    own = [other.name for other in sheet.columns]
    columns = tuple(column if other.name == name else other for other in sheet.columns) + (() if name in own else (column,))
    made = replace(sheet, columns=columns, tables={**sheet.tables, **({} if clash else tables)})
    # Two timings of the user's with the same name cannot be in one sheet: the column then gets its values step by step.
    if clash:
        return held(made, {name: compile_sheet(donor).column(name)})
    return with_keys(made, {name: donor.keys(name)}, timings={name: reached})


def _with_steps(sheet: Dopesheet, donor: Dopesheet, steps: range) -> Dopesheet:
    one, other = compile_sheet(sheet), compile_sheet(donor)
    changed = {}
    for name in sheet.properties:
        values = one.column(name).copy()
        values[steps.start : steps.stop] = other.column(name)[steps.start : steps.stop]
        if not np.array_equal(values, one.column(name)):
            changed[name] = values
    return _with_actions(held(sheet, changed), donor, steps)


def _with_actions(sheet: Dopesheet, donor: Dopesheet, steps: range) -> Dopesheet:
    kept = tuple(replace(row, actions=()) if row.step in steps else row for row in sheet.rows)
    given: dict[int, tuple[str, ...]] = {}
    for step, action in donor.actions:
        if step in steps:
            given[step] = (*given.get(step, ()), action)
    return with_keys(replace(sheet, rows=kept), {}, given)
