"""Open the folders of a stack: new ones, or those of unfinished runs with the state to resume from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from curriculum.compiled.stretches import Decision, Mode, way_of
from curriculum.config import yaml as configs
from curriculum.errors import CurriculumError, InputError, InUseError, OutputExistsError, RunError
from curriculum.runner.arithmetic import FLUSH, can_flush, flush_of
from curriculum.runner.at_once import at_once_of, models_at_once
from curriculum.runner.plan import Plan
from curriculum.runner.provenance import identity, manifest_of
from curriculum.runner.same import changed, check_arms, check_same, other_versions, uncertain
from curriculum.runner.session import REFERENCE
from curriculum.runner.stamps import close_segments, holder_of, new_segment
from curriculum.sheet.schedule import Schedule
from curriculum.store.blocks import run_of
from curriculum.store.checkpoint import Checkpoint, steps_in, usable
from curriculum.store.integrity import check_stored_until, events_until
from curriculum.store.lock import Lock
from curriculum.store.names import OVER, check_new, is_run
from curriculum.store.reader import Run
from curriculum.store.writer import RunFolder
from curriculum.train.state import State, initial_state


@dataclass(frozen=True)
class Stack:
    """Plans that train together, each with its folder (None: nothing is stored), and the state from which they do.

    `compile`, `at_once`, `flush` and what was `decided` say how it is trained, which a resumed run goes on with. `resumed` tells which
    runs were stored before; `notes` are the warnings about resuming them.
    """

    plans: tuple[Plan, ...]
    folders: tuple[RunFolder | None, ...]
    checkpoints: tuple[Checkpoint | None, ...]
    state: State
    resumed: tuple[bool, ...]
    compile: Mode
    at_once: int | None
    decided: Mapping[str, Decision]
    flush: bool
    notes: tuple[str, ...] = ()

    def decide(self, kind: str, decision: Decision) -> None:
        """Store whether steps of a kind are compiled, or why not: before the first of them is trained."""
        for folder in self.folders:
            if folder is not None:
                folder.update(compiled={**folder.manifest.get("compiled", {}), kind: decision})

    def release(self) -> None:
        """Let go of the folders."""
        for folder in self.folders:
            if folder is not None:
                folder.release()


def open_stack(plans: Sequence[Plan], paths: Sequence[Path | None], argv: Sequence[str] = (), numbered: bool = False) -> Stack:
    """Create the folders of new runs, and open those of unfinished runs to resume from their last common step.

    With `numbered`, for a single plan, the run is always a new one, at the first free path of PATH, PATH-2 and so on.
    Raises `OutputExistsError` if a path is taken, `InUseError` if another process is training the run, `InputError` if the
    run was created with different inputs or the plans cannot train as one stack, `RunError` if the run is damaged.
    """
    check_arms(plans, paths)
    state = initial_state(
        plans[0].task, [(checked.schedule, checked.seeds) for checked in plans], plans[0].config.optimizer, plans[0].config.device
    )
    resumed = [path is not None and not numbered and is_unfinished(path) for path in paths]
    for path, again in zip(paths, resumed, strict=True):
        if path is not None and not again and not numbered:
            check_new(path)
    if any(resumed) and not all(resumed) and any(steps_in(path) for path in paths if path is not None):
        raise InputError("new runs cannot train as one stack with unfinished runs that have already trained some steps")
    locks: dict[Path, Lock] = {}
    folders: list[RunFolder | None] = []
    try:
        for path, again in zip(paths, resumed, strict=True):
            if path is not None and again:
                locks[path] = _lock(path)
        # Only now: another process may have trained them until this moment.
        runs = {path: Run(path) for path in locks}
        notes = [note for checked, path in zip(plans, paths, strict=True) if path in runs for note in _check(checked, runs[path])]
        checkpoints, damaged = common_checkpoints(list(runs)) if all(resumed) else (dict.fromkeys(runs), [])
        notes += [f"{error}; resuming from an earlier one" for error in damaged]
        if all(resumed):
            state = restore(state, plans, list(runs.values()), list(checkpoints.values()))
        at_once = at_once_of(next(iter(runs.values()))) if runs else models_at_once(plans, state)
        able = can_flush(plans[0].config.threads)
        flush = flush_of(next(iter(runs.values()))) if runs else able
        if flush and not able:
            notes.append(f"{plans[0].sheet.source}: denormal numbers cannot be flushed to zero here; the last bits may differ")
        decided = decided_of(*runs.values())
        stack = {**_stack_of(paths), **({} if at_once is None else {"at_once": at_once}), FLUSH: flush}
        stack |= {"compiled": dict(decided)} if decided else {}
        for checked, path in zip(plans, paths, strict=True):
            if path is None:
                folders.append(None)
            elif path in runs:
                found = checkpoints[path]
                begun = {**new_segment(state.step), **_other_code(checked, runs[path])}
                segments = [*close_segments(runs[path].manifest.get("segments", []), state.step, "killed"), begun]
                record = found.record if found else None
                folders.append(RunFolder.reopen(runs[path], locks[path], record, segments=segments, **stack))
            else:
                text = configs.write(checked.config)
                manifest = {**manifest_of(checked, argv, state, text), **stack, **_block_of(path)}
                folders.append(RunFolder.create(path, manifest, text, checked.sheet_bytes, numbered))
    except BaseException:
        for lock in locks.values():
            lock.release()
        for folder in folders:
            if folder is not None:
                folder.release()
        raise
    found_of = [checkpoints.get(path) if path is not None else None for path in paths]
    way = compile_of(next(iter(runs.values()))) if runs else way_of(plans[0].config.compile)
    return Stack(
        tuple(plans), tuple(folders), tuple(found_of), state, tuple(resumed), way, at_once, decided, flush, tuple(dict.fromkeys(notes))
    )


def compile_of(run: Run) -> Mode:
    """Say how a stored run was trained; those of earlier versions were not compiled."""
    way: Mode = run.manifest.get("compile", "off")
    return way


def decided_of(*runs: Run) -> Mapping[str, Decision]:
    """Say of which kinds of steps it was decided whether they are compiled, and how; one of a stack may have been told alone.

    Raises `RunError` where runs that train as one stack disagree.
    """
    decided: dict[str, Decision] = {}
    for run in runs:
        for kind, decision in run.manifest.get("compiled", {}).items():
            if decided.setdefault(kind, decision) != decision:
                raise RunError(f"the run {run.path} is damaged: whether its steps were compiled is not what {runs[0].path} says")
    return decided


def _stack_of(paths: Sequence[Path | None]) -> dict[str, list[str]]:
    """Name the runs that train as one stack, where they are side by side: only together they have the same last bits again."""
    owners = [run_of(path) or path for path in paths if path is not None]
    names = [owner.name for owner in owners if owner.parent == owners[0].parent]
    return {"stack": names} if len(names) > 1 else {}


def _block_of(path: Path) -> dict[str, str]:
    owner = run_of(path)
    return {} if owner is None else {"block_of": owner.name}


def is_unfinished(path: Path) -> bool:
    """Tell whether a run is stored at a path of which there is something left to train."""
    return is_run(path) and Run(path).status not in OVER


def _check(checked: Plan, run: Run) -> list[str]:
    if run.status in OVER:
        raise OutputExistsError(f"{run.path} already exists: choose another --name, or remove it first")
    _ = run.config_text, run.sheet_bytes  # as they were stored, or an error
    check_same(checked, run)
    accepted = changed(identity(checked), run.manifest["task"])
    return [*(f"{run.path}: {one}, and is accepted" for one in accepted), *other_versions(run), *uncertain(checked, run)]


def _other_code(checked: Plan, run: Run) -> dict[str, Any]:
    """Say in a segment by which code it is trained, where that is not the code that the run began with."""
    made = identity(checked)
    return {"task": made} if changed(made, run.manifest["task"]) else {}


def _lock(path: Path) -> Lock:
    try:
        return Lock(path)
    except InUseError:
        message = f"{path} is being trained by another process{holder_of(path)}: wait for it, or choose another --name"
        raise InUseError(message) from None


def common_checkpoints(paths: Sequence[Path]) -> tuple[dict[Path, Checkpoint | None], list[CurriculumError]]:
    """Find the newest step of which all runs have a good checkpoint, None where that is step 0; also what is wrong with others.

    Raises `RunError` where a run has checkpoints, but none is good.
    """
    found = {path: usable(path, partial(check_stored_until, path)) for path in paths}
    for good, damaged in found.values():
        if damaged and not good:
            raise RunError(f"{damaged[0]}; no other checkpoint is left to resume from: remove the run to train it from step 0")
    steps = set.intersection(*({checkpoint.step for checkpoint in good} for good, _ in found.values()))
    problems = [error for _, damaged in found.values() for error in damaged]
    newest = max(steps, default=None)
    return {path: next((one for one in good if one.step == newest), None) for path, (good, _) in found.items()}, problems


def restore(state: State, plans: Sequence[Plan], runs: Sequence[Run], checkpoints: Sequence[Checkpoint | None]) -> State:
    """Put the arms' checkpoints, which are of one step, in the place of an initial state.

    Raises `RunError` where their arrays are not those of this model.
    """
    present = [checkpoint for checkpoint in checkpoints if checkpoint is not None]
    if not present:
        return state
    first = present[0].record
    expected_rows = {"flat": state.flat, **state.moments, "alive": state.alive}
    joined = {name: torch.cat([_rows(run, one, name) for run, one in zip(runs, present, strict=True)]) for name in expected_rows}
    for name, expected in expected_rows.items():
        if joined[name].shape != expected.shape or joined[name].dtype != expected.dtype:
            raise RunError(f"the checkpoint of step {first.step} of {runs[0].path} does not fit its model: the shape of {name} differs")
    joined = {name: value.to(state.flat.device) for name, value in joined.items()}
    arms = []
    for arm, checked, run, one in zip(state.arms, plans, runs, present, strict=True):
        captured = {name.removeprefix(REFERENCE): value for name, value in one.arrays.items() if name.startswith(REFERENCE)}
        references = {name: torch.tensor(value, device=state.flat.device) for name, value in captured.items()}
        schedule = _retargeted(checked.schedule, events_until(run.path, one.record), run)
        arms.append(replace(arm, schedule=schedule, references=references))
    stretch = range(*first.chunk) if first.chunk else None
    moments = {name: joined[name] for name in state.moments}
    return replace(state, step=first.step, arms=tuple(arms), flat=joined["flat"], moments=moments, alive=joined["alive"], stretch=stretch)


def _rows(run: Run, checkpoint: Checkpoint, name: str) -> Tensor:
    if name not in checkpoint.arrays:
        raise RunError(f"the checkpoint of step {checkpoint.step} of {run.path} is damaged: {name} is missing")
    return torch.tensor(checkpoint.arrays[name])


def _retargeted(schedule: Schedule, events: Sequence[Mapping[str, Any]], run: Run) -> Schedule:
    for event in events:
        if event.get("event") == "retarget":
            try:
                schedule = schedule.retarget(event["name"], event["step"], event["value"], event["duration"])
            except (TypeError, ArithmeticError, InputError) as error:
                raise RunError(f"the run {run.path} is damaged: cannot read a retarget in its events ({error})") from None
    return schedule
