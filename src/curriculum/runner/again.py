"""Retrain part of a stored run, and compare it bit for bit with what was stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.errors import InputError, RunError
from curriculum.runner.arithmetic import arithmetic, flush_of
from curriculum.runner.at_once import at_once_of
from curriculum.runner.background import Background
from curriculum.runner.execute import compiler_of
from curriculum.runner.opening import compile_of, decided_of, restore
from curriculum.runner.plan import Plan, near_of
from curriculum.runner.prober import Prober
from curriculum.runner.recorded import possible_terms
from curriculum.runner.same import other_versions
from curriculum.runner.tapes import Recorder, Snapshooter, Tape
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.blocks import sibling_of
from curriculum.store.checkpoint import Checkpoint, read, steps_in
from curriculum.store.files import join_arrays
from curriculum.store.names import BLOCKS, STEPS, check_folder
from curriculum.store.reader import Run
from curriculum.store.verify import Report, bits, flat, same
from curriculum.train.events import Retarget, StepMetrics
from curriculum.train.hooks import Hook, Hooks
from curriculum.train.loop import train
from curriculum.train.make import make_task, settings_of
from curriculum.train.samples import data_hash
from curriculum.train.state import State, initial_state

MOST_NAMED = 20  # problems


class _Reached(Exception):  # noqa: N818
    """Training has reached the step at which to stop."""


class _Until:
    """A keeper that ends the training at a step, with the state there."""

    def __init__(self, step: int):
        self.step = step
        self.state: State | None = None

    def due(self, step: int) -> bool:
        return step == self.step

    def keep(self, state: State) -> None:
        self.state = state
        raise _Reached


def replay_steps(run: Run, count: int) -> Report:
    """Retrain `count` steps of a run from a checkpoint, and compare them bit for bit with what was stored.

    Arms that were trained as one stack are retrained as one stack. Retargets are read from the event log; no hook is
    imported. Raises `RunError` if something that this needs is missing.
    """
    if run.manifest.get("blocks") is not None:
        return _replay_blocks(run, count)
    runs = [_sibling(run, name) for name in run.manifest.get("stack") or [_name_in_stack(run)]]
    if run not in runs:
        raise RunError(f"the run {run.path} is damaged: its own list of runs trained in the same stack does not contain it")
    plans = [_plan_without_hooks(one) for one in runs]
    last = min(one.trained_steps for one in runs)
    begun, checkpoints = _begin(runs, last - count)
    end = min(begun + count, last)
    if end <= begun:
        return Report(("no steps to retrain yet",), ())
    first = plans[0]
    fresh = initial_state(first.task, [(checked.schedule, checked.seeds) for checked in plans], first.config.optimizer, first.config.device)
    state = restore(fresh, plans, runs, checkpoints)
    index = runs.index(run)
    taken = _Taken()
    background = Background(flush_of(run))
    until = _Until(end)
    try:
        tapes = taken.tapes(plans[index], run, state, background)
        emitters = [
            Hooks([_retargets(one, begun), *((hook for tape in tapes for hook in tape.hooks()) if one is run else ())]) for one in runs
        ]
        with arithmetic(first.config.threads, flush_of(run)), _stopped():
            compiler = compiler_of(compile_of(run), plans, decided=decided_of(*runs))
            until.state = train(first.task, state, first.config.optimizer, emitters, until, first.stacked, compiler, at_once_of(run))
        for tape in tapes:
            tape.flush()
        background.wait()
    finally:
        background.close()
    assert until.state is not None
    problems = taken.differences(run, begun, end)
    problems += _other_weights(run, until.state.flat[until.state.arms[index].rows].cpu().numpy(), end)
    if problems:
        problems += other_versions(run)
    return Report((f"steps {begun:,} to {end - 1:,} retrained from {'a checkpoint' if begun else 'the start'}",), tuple(problems))


@contextmanager
def _stopped() -> Iterator[None]:
    try:
        yield
    except _Reached:
        return


def _sibling(run: Run, name: str) -> Run:
    check_folder(name)
    if name == _name_in_stack(run):
        return run  # also where its folder was renamed
    with suppress(InputError):
        found = Run(sibling_of(run.path, run.manifest, name))
        if found.manifest.get("blocks") is None:
            return found
    raise RunError(
        f"{run.path} was trained as one stack with {name!r}, which is missing or has changed: only the whole stack is reproducible "
        "bit for bit"
    )


def _name_in_stack(run: Run) -> str:
    return str(run.manifest.get("block_of") or run.manifest["name"])


def _replay_blocks(run: Run, count: int) -> Report:
    """Retrain each block by itself, as it was trained."""
    if run.tracked:
        return Report((), (f"{run.path} was filled by a training loop outside of this program, which cannot be run again from here",))
    found = Report((), ())
    for block in run.manifest["blocks"]:
        check_folder(block["name"])
        own = replay_steps(Run(run.path / BLOCKS / block["name"]), count)
        found = found.joined(Report(tuple(f"block {block['name']}: {line}" for line in own.checked), own.problems))
    return found


def _plan_without_hooks(run: Run) -> Plan:
    try:
        config = configs.load(run.config_text, str(run.config_path), partial(settings_of, near=near_of(run)), plugins.names("task"))
    except InputError as error:
        raise RunError(f"cannot retrain the run {run.path}: {error}") from error
    task = make_task(config, near_of(run))
    source = plugins.source_of(config.task.name, near_of(run))
    if source is not None and source[1] != run.manifest["task"].get("source"):
        raise RunError(f"cannot retrain the run {run.path}: the code of its task in {source[0]} has changed")
    if source is not None and data_hash(task.splits) != run.manifest["task"].get("data"):
        raise RunError(f"cannot retrain the run {run.path}: the data of its task have changed")
    if run.manifest["task"]["version"] != task.version:
        raise RunError(
            f"{run.path} was trained with version {run.manifest['task']['version']} of its task, but the current version is {task.version}"
        )
    schedule = compile_sheet(run.sheet).truncate(run.manifest["steps"])
    return Plan(config, task, run.sheet, run.sheet_bytes, schedule, (), ())


def _begin(runs: Sequence[Run], latest: int) -> tuple[int, list[Checkpoint | None]]:
    """Read the last checkpoints of one step, `latest` at most; without any, begin at step 0."""
    common = set.intersection(*(set(steps_in(one.path)) for one in runs))
    for step in sorted((step for step in common if step <= latest), reverse=True):
        return step, [read(one.path, step) for one in runs]
    return 0, [None] * len(runs)


def _retargets(run: Run, begun: int) -> Hook:
    """Make a hook that moves targets when they were moved."""
    moved: dict[int, list[Retarget]] = {}
    for event in run.events:
        if event.get("event") == "retarget" and event["step"] >= begun:
            moved.setdefault(event["step"], []).append(Retarget(event["name"], event["value"], event["duration"]))
    return Hook(StepMetrics, lambda event: moved.get(event.step), steps=frozenset(moved))


class _Taken:
    """What a training stores, kept in memory."""

    def __init__(self) -> None:
        self.tables: list[Any] = []
        self.snapshots: list[dict[str, Any]] = []
        self.traces: list[dict[str, Any]] = []

    def tapes(self, checked: Plan, run: Run, state: State, background: Background) -> list[Tape]:
        """Make the tapes that a run of this plan is stored with."""
        seeds, steps = len(checked.seeds), len(checked.schedule)
        return [
            Recorder(possible_terms(checked), self.tables.append, background),
            Snapshooter(state.layout, seeds, range(steps) if run.records_snapshots else (), self.snapshots.append, background),
            Prober(checked.task, state.layout, seeds, steps, self.traces.append, background, checked.config.device, checked.stacked),
        ]

    def differences(self, run: Run, begun: int, end: int) -> list[str]:
        """Say where a stored run is not the same, the first place of each kind."""
        import pyarrow as pa

        found = []
        rows = pa.concat_tables(self.tables, promote_options="default").to_pandas()
        stored = run.metrics[(run.metrics["step"] >= begun) & (run.metrics["step"] < end)]
        for name in rows.columns:
            if name in stored.columns:
                found += _first(run, name, rows[name].to_numpy(), stored[name].to_numpy(), rows["step"].to_numpy(), rows["seed"].to_numpy())
        weights = join_arrays(self.snapshots) if self.snapshots else {}
        steps = run.snapshots.steps
        chosen = (steps >= begun) & (steps < end)
        at_steps = steps[chosen]
        if len(at_steps):
            for name, values in run.snapshots.parameters.items():
                found += _first(run, name, weights[name][at_steps - begun], values[chosen], at_steps)
        curves = join_arrays(self.traces)
        for name in (name for name in curves if not name.endswith(f".{STEPS}")):
            own, theirs = curves[f"{name}.{STEPS}"], run.traces.get(f"{name}.{STEPS}", np.empty(0, np.int64))
            chosen = (theirs >= begun) & (theirs < end)
            if not np.array_equal(own, theirs[chosen]):
                found.append(f"{run.path}: the retrained curve {name} has different steps")
                continue
            found += _first(run, name, curves[name], run.traces[name][chosen], own)
        return found[:MOST_NAMED]


def _first(
    run: Run, name: str, again: NDArray[Any], stored: NDArray[Any], steps: NDArray[Any], seeds: NDArray[Any] | None = None
) -> list[str]:
    """Say where two arrays first differ, whose first axis are some steps, each of a seed where these are given."""
    if again.shape != stored.shape:
        return [f"{run.path}: {name} has a different shape when retrained"]
    if same(again, stored.astype(again.dtype)):
        return []
    unequal = (bits(again) != bits(stored.astype(again.dtype))).reshape(len(again), -1).any(axis=1)
    row = int(np.flatnonzero(unequal)[0])
    place = f"step {steps[row]:,}" + (f", seed {seeds[row]}" if seeds is not None else "")
    return [f"{run.path}: {name} differs at {int(unequal.sum()):,} places, first at {place}, when retrained"]


def _other_weights(run: Run, again: NDArray[np.float32], end: int) -> list[str]:
    found = []
    if end == run.trained_steps and run.manifest.get("files") and not same(flat(run.model), again):
        found.append(f"{run.path}: the model after {end:,} steps differs when retrained")
    if end in steps_in(run.path) and not same(read(run.path, end).arrays["flat"], again):
        found.append(f"{run.path}: the checkpoint of step {end:,} differs when retrained")
    return found
