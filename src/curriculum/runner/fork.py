"""Start a run with a copy of the first steps of another run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curriculum.config import yaml as configs
from curriculum.errors import CurriculumError, InputError
from curriculum.runner.arithmetic import FLUSH, flush_of
from curriculum.runner.at_once import at_once_of
from curriculum.runner.opening import compile_of, decided_of
from curriculum.runner.plan import Plan, plan_of
from curriculum.runner.prober import probed_alike
from curriculum.runner.provenance import manifest_of
from curriculum.runner.recorded import snapshot_steps
from curriculum.runner.same import differences
from curriculum.sheet.schedule import Schedule, compile_sheet
from curriculum.store.checkpoint import Checkpoint, read, steps_in
from curriculum.store.integrity import events_until
from curriculum.store.names import STEPS
from curriculum.store.reader import Run
from curriculum.store.writer import RunFolder
from curriculum.train.state import initial_state


def check_fork(stored: Run, step: int, checked: Plan) -> None:
    """Check that a plan is the same as that of a run, up to a step.

    Raises `InputError` with the differences, or if the run has not reached that step.
    """
    if step > stored.trained_steps:
        raise InputError(f"{stored.path} cannot be forked at step {step:,}: it has trained only {stored.trained_steps:,} steps")
    found = differences(checked, stored, only=("task", "seeds", "config"))
    before = compile_sheet(stored.sheet).truncate(stored.manifest["steps"])
    found += _schedule_difference(before, checked.schedule, step, checked.task.terms)
    if found:
        raise InputError(f"{stored.path} cannot be forked at step {step:,}: it differs before that step: {'; '.join(found)}")
    if len(checked.schedule) <= step:
        raise InputError(f"the sheet {checked.sheet.source} has only {len(checked.schedule):,} steps, so none from step {step:,} on")


def _schedule_difference(before: Schedule, after: Schedule, step: int, terms: Sequence[str]) -> list[str]:
    """Name the first thing in which two schedules differ before a step; a term that one lacks has no weight there."""
    for name in dict.fromkeys([*before.properties, *after.properties]):
        columns = []
        for schedule in (after, before):
            if name not in schedule.properties and name not in terms:
                return [f"only one of the sheets has the column {name!r}"]
            columns.append(schedule.column(name)[:step] if name in schedule.properties else np.zeros(min(step, len(schedule))))
        both = min(map(len, columns))  # a sheet that is too short is told of apart
        unequal = np.flatnonzero(columns[0][:both] != columns[1][:both])
        if len(unequal):
            at = int(unequal[0])
            return [f"at step {at:,} {name} is {columns[0][at]:.10g}, was {columns[1][at]:.10g}"]
    for kind, now, was in (
        ("phases", [(p.start, p.name) for p in after.phases], [(p.start, p.name) for p in before.phases]),
        ("actions", list(after.actions), list(before.actions)),
    ):
        if [one for one in now if one[0] < step] != [one for one in was if one[0] < step]:
            return [f"the {kind} differ"]
    return []


def make_fork(stored: Run, step: int, checked: Plan, path: Path, argv: Sequence[str], numbered: bool = False) -> tuple[Path, str]:
    """Create the folder of a new run that continues from the last checkpoint of another run up to a step; return its path and a note.

    With `numbered`, the folder is the first free one of PATH, PATH-2 and so on.

    Snapshots do not contain the optimizer state. Training therefore continues from the nearest checkpoint, and reaches a
    bit-identical state at `step`. Without a checkpoint, the new run starts at step 0, with the same result.
    """
    state = initial_state(checked.task, [(checked.schedule, checked.seeds)], checked.config.optimizer, checked.config.device)
    text = configs.write(checked.config)
    found = _nearest(stored, step, checked, state.layout.size)
    begun = found.step if found else 0
    fork = {"run": stored.name, "at": step, "from": begun, "sheet": stored.manifest["hashes"]["sheet"]}
    manifest = {**manifest_of(checked, argv, state, text), **_way(stored)}
    folder = RunFolder.create(path, {**manifest, "segments": [], "fork": fork}, text, checked.sheet_bytes, numbered)
    try:
        if found is not None:
            _fill(folder, stored, found)
    finally:
        folder.release()
    others = differences(checked, stored, only=("hooks",))
    note = f"; from there on its hooks differ: {'; '.join(others)}" if others else ""
    return folder.path, f"{folder.path} copies {begun:,} of the {step:,} steps of {stored.path}, up to its last checkpoint{note}"


def _way(stored: Run) -> dict[str, Any]:
    """Say how a fork is trained: as its run was, else it would not reach the same bits.

    What depends on the length of the sheet is not decided anew: the fork compiles what its run compiled.
    """
    way, decided, at_once = compile_of(stored), dict(decided_of(stored)), at_once_of(stored)
    if way == "auto" and stored.manifest.get("blocks") is None:
        way = "held" if True in decided.values() else "off"
    return {"compile": way, "compiled": decided, FLUSH: flush_of(stored), **({} if at_once is None else {"at_once": at_once})}


def _nearest(stored: Run, step: int, checked: Plan, size: int) -> Checkpoint | None:
    """Read the last checkpoint until a step before which the new run stores what the old one has stored."""
    old = plan_of(stored)
    for begun in reversed([one for one in steps_in(stored.path) if one <= min(step, stored.trained_steps)]):
        snapshots = [[one for one in snapshot_steps(each, size) if one < begun] for each in (old, checked)]
        if snapshots[0] == snapshots[1] and probed_alike(checked.task, len(old.schedule), len(checked.schedule), begun):
            try:
                found = read(stored.path, begun)
                events_until(stored.path, found.record)
            except CurriculumError:
                continue
            return found
    return None


def _fill(folder: RunFolder, stored: Run, found: Checkpoint) -> None:
    """Store in a new folder what another run had stored until one of its checkpoints, and that checkpoint."""
    events = events_until(stored.path, found.record)
    for event in events:
        folder.append_event(event)
    if found.step:
        rows = stored.metrics[stored.metrics["step"] < found.step]
        kinds = {name: pa.int64() if name in ("step", "seed") else pa.float32() for name in rows.columns}
        folder.append_metrics(pa.table({name: pa.array(rows[name].to_numpy(), kind, from_pandas=True) for name, kind in kinds.items()}))
        kept = stored.snapshots.steps < found.step
        parameters = {name: value[kept] for name, value in stored.snapshots.parameters.items()}
        if kept.any():
            folder.append_snapshots({STEPS: stored.snapshots.steps[kept], **parameters})
        traces = {}
        for name, values in stored.traces.items():
            early = stored.traces[name if name.endswith(f".{STEPS}") else f"{name}.{STEPS}"] < found.step
            if early.any():
                traces[name] = values[early]
        if traces:
            folder.append_traces(traces)
    for index in range(sum(event.get("event") == "phase-end" for event in events)):
        folder.append_phase_end({name: value for name, value in stored.phase_ends.items() if name.partition(".")[0] == str(index)})
    record = found.record.model_dump(by_alias=True, exclude={"parts", "arrays", "sha256", "schema_", "chunk", "events"})
    folder.store_checkpoint({**record, "chunk": None, "events": folder.events_until_now()}, found.arrays)
