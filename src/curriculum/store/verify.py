"""Check that a stored run is what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import CurriculumError, RunError
from curriculum.store.checkpoint import read, steps_in
from curriculum.store.files import digest
from curriculum.store.integrity import check_parts
from curriculum.store.joining import merge
from curriculum.store.manifest import skipped_updates
from curriculum.store.names import BLOCKS, STEPS, check_name
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Report:
    """What was checked, as sentences, and what was found to be wrong."""

    checked: tuple[str, ...]
    problems: tuple[str, ...]

    def joined(self, other: Report) -> Report:
        """Add another report to this one."""
        return Report(self.checked + other.checked, self.problems + other.problems)

    def to_json(self) -> dict[str, Any]:
        """Give this report as plain values."""
        return {"checked": list(self.checked), "problems": list(self.problems)}


def verify_run(run: Run) -> Report:
    """Read everything that a run has stored, and check its hashes, its rows and the ranges of its steps."""
    checks = (_made_from, _files, _metrics, _snapshots, _traces, _events, _checkpoints, _model, _blocks)
    checked, problems = [], []
    for check in checks:
        try:
            checked.append(check(run))
        except CurriculumError as error:
            problems.append(str(error))
    return Report(tuple(line for line in checked if line), tuple(dict.fromkeys(problems)))


def _wrong(run: Run, why: str) -> RunError:
    return RunError(f"{run.path}: {why}")


def _made_from(run: Run) -> str:
    _ = run.config_text, run.sheet
    return "run.json, config and sheet match the hashes of the run"


def _files(run: Run) -> str:
    files = run.manifest.get("files", {})
    for name in files:
        run.check_file(name)
    record = run.record
    if record is not None:
        check_parts(run.path, record)
    count = len(files) if record is None else sum(map(len, record.parts.values()))
    return f"{count} file(s) match their hashes"


def _metrics(run: Run) -> str:
    trained, seeds = run.trained_steps, run.seeds
    if not trained:
        return ""
    rows = run.metrics
    if run.tracked:
        return f"{len(rows):,} rows of metrics"
    if len(rows) != trained * len(seeds):
        raise _wrong(run, f"{len(rows):,} rows of metrics for {trained:,} steps of {len(seeds)} seed(s)")
    steps, own = np.repeat(np.arange(trained), len(seeds)), np.tile(np.asarray(seeds), trained)
    if not (np.array_equal(rows["step"], steps) and np.array_equal(rows["seed"], own)):
        raise _wrong(run, "metrics must have one row for each step and seed, in order")
    missing = {int(seed) for seed in rows["seed"][rows["total"].isna()]}
    if strange := missing - set(run.diverged) - set(skipped_updates(run.manifest)):
        raise _wrong(run, f"seed {min(strange)} has no losses at some steps, though it did not diverge")
    return f"{len(rows):,} rows of metrics: {trained:,} steps of {len(seeds)} seed(s), each once"


def _check_steps(run: Run, what: str, steps: NDArray[np.int64]) -> None:
    # A run that was stopped may have looked at the step that it did not train any more.
    if len(steps) and not ((np.diff(steps) > 0).all() and steps[0] >= 0 and steps[-1] <= min(run.trained_steps, run.manifest["steps"] - 1)):
        raise _wrong(run, f"the steps of {what} are not in order, or do not belong to this run")


def _snapshots(run: Run) -> str:
    if not run.trained_steps or not run.records_snapshots:
        return ""
    _check_steps(run, "the snapshots", run.snapshots.steps)
    if len(run.snapshots.steps) == 0 or run.snapshots.steps[0] != 0:
        raise _wrong(run, "there is no snapshot of step 0")
    return f"{len(run.snapshots.steps):,} snapshot(s), up to step {run.snapshots.steps[-1]:,}"


def _traces(run: Run) -> str:
    if not run.trained_steps:
        return ""
    curves = [name for name in run.traces if not name.endswith(f".{STEPS}")]
    for name in curves:
        steps = run.traces[f"{name}.{STEPS}"]
        _check_steps(run, f"the curve {name}", steps)
        if len(set(np.diff(steps).tolist())) > 1 and not run.tracked:
            raise _wrong(run, f"the curve {name} has a gap")
    return f"{len(curves)} curve(s) of the probes, without a gap" if not run.tracked else f"{len(curves)} curve(s)"


def _events(run: Run) -> str:
    if run.shown_status in ("running", "killed") and run.record is None:
        return "no checkpoint yet: a resumed run would start from scratch"
    steps = [int(event.get("step", -1)) for event in run.events]
    if not all(0 <= step <= run.trained_steps for step in steps) or any(a > b for a, b in pairwise(steps)):
        raise _wrong(run, "the steps of the events are not in order, or do not belong to this run")
    expected = [(phase.start, phase.name) for phase in run.schedule.phases] if run.trained_steps else []
    found = [(event["step"], event.get("phase")) for event in run.events if event.get("event") == "phase-start"]
    if found[: len(expected)] != expected or len(found) > len(expected) + 1:
        raise _wrong(run, "the phase starts among the events are not those of the sheet")
    ends = sum(event.get("event") == "phase-end" for event in run.events)
    stored = len({name.partition(".")[0] for name in run.phase_ends})
    if ends != stored and run.has_latents:
        raise _wrong(run, f"{ends} phases have ended, but the data of {stored} are stored")
    return f"{len(steps)} event(s), with the data of {stored} phase end(s)"


def _checkpoints(run: Run) -> str:
    steps = steps_in(run.path)
    for step in steps:
        found = read(run.path, step)
        if step > run.trained_steps:
            raise _wrong(run, f"there is a checkpoint of step {step:,}, after the {run.trained_steps:,} steps that were trained")
        if step == run.trained_steps and run.status == "finished" and not run.tracked and not same(flat(run.model), found.arrays["flat"]):
            raise _wrong(run, f"the model and the checkpoint of step {step:,} differ")
    return f"{len(steps)} checkpoint(s): {', '.join(f'{step:,}' for step in steps)}" if steps else "no checkpoint"


def _model(run: Run) -> str:
    if not run.manifest.get("files") or run.tracked:
        return ""
    expected = {name: (len(run.seeds), *shape) for name, shape in run.manifest["parameters"].items()}
    if {name: value.shape for name, value in run.model.items()} != expected:
        raise _wrong(run, "the shapes of the model are not those of this run")
    return f"the model after {run.trained_steps:,} steps"


def _blocks(run: Run) -> str:
    """Check the blocks of a run, and that they make the run's own files again."""
    described = run.manifest.get("blocks")
    if not described:
        return ""
    blocks = []
    for own in described:
        check_name(own["name"])
        blocks.append(Run(run.path / BLOCKS / own["name"]))
        found = verify_run(blocks[-1])
        if found.problems:
            raise RunError("\n".join(found.problems))
    made = merge(run, sorted(blocks, key=lambda block: block.path))
    for name, expected in run.manifest["files"].items():
        if name not in made or digest(made[name]) != expected:
            raise _wrong(run, f"{name} is not what the blocks of the run are when they are joined")
    return f"{len(blocks)} block(s) are intact, and joined they are this run"


def flat(parameters: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join parameters by name `[S, ...]` to one array `[S, P]`."""
    return np.concatenate([value.reshape(len(value), -1) for value in parameters.values()], axis=1)


def same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Tell whether two arrays are equal bit for bit; what is not a number is equal to itself."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return first.tobytes() == second.tobytes() or bool((bits(first) == bits(second)).all())


def bits(values: NDArray[Any]) -> NDArray[Any]:
    """Give the bits of floating-point numbers as whole numbers; all that are not a number are alike."""
    if values.dtype.kind != "f":
        return values
    integers = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return np.where(np.isnan(values), -1, integers)
