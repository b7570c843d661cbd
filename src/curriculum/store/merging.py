"""Merge the blocks of a run: the seeds of all of them as one run, in the order of the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.config.settings import Config
from curriculum.config.yaml import flat_settings
from curriculum.errors import InputError
from curriculum.sheet.lines import differing_line
from curriculum.store.blocks import check_distinct
from curriculum.store.names import ABSENT, FIXED, STEPS
from curriculum.store.reader import Run

if TYPE_CHECKING:
    import pyarrow as pa

FREE = ("seeds", "record.checkpoint_every", "record.checkpoint_seconds")  # settings that change no result of a seed
ALIKE = ("steps", "parameters", "look", "snapshots", "probes", "hooks", "tracked")
# A config that an earlier version stored lacks the settings that were added since.
DEFAULTS = {name: field.default for name, field in Config.model_fields.items() if isinstance(field.default, str | int)}
OF_SEEDS = ("outputs", "latents")  # what each seed has of its own at the end of a phase
Arrays = dict[str, NDArray[Any]]
Rows = list[tuple[int, int]]  # for each seed in order, the block that it is in and its place there


def differences(first: Run, other: Run) -> list[str]:
    """List in what a block was trained differently from another one, each as a clause; their seeds differ anyhow."""
    found = []
    one, two = first.manifest, other.manifest
    for key in ("name", "version", *(() if first.tracked else ("source", "data"))):
        if one["task"].get(key) != two["task"].get(key):
            shown = key in ("name", "version")
            found.append(f"task {key}: {two['task'].get(key)} and {one['task'].get(key)}" if shown else f"the {key} of the task")
    if one["hashes"]["sheet"] != two["hashes"]["sheet"]:
        found.append(f"the sheet (first at line {differing_line(first.sheet_bytes, other.sheet_bytes)})")
    before, after = ({**DEFAULTS, **flat_settings(run.config_text, str(run.config_path))} for run in (first, other))
    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    found += [
        f"{key}: {after.get(key, 'absent')} and {before.get(key, 'absent')}"
        for key in keys
        if key not in FREE and not key.startswith("seeds.")
    ]
    if not found:
        found += [f"{key} of run.json" for key in ALIKE if one.get(key) != two.get(key)]
    if not found and _moved(first) != _moved(other):
        found.append("the retargets of a hook, so that the schedules differ")
    return found


def _moved(run: Run) -> list[tuple[Any, ...]]:
    keys = ("step", "name", "value", "duration")
    return [tuple(event[key] for key in keys) for event in run.events if event.get("event") == "retarget"]


def check_blocks(blocks: Sequence[Run]) -> None:
    """Check that blocks can be joined. Raises `InputError` with what differs, or a seed that two of them have."""
    check_distinct((f"block {run.name}", run.seeds) for run in blocks)
    for other in blocks[1:]:
        if found := differences(blocks[0], other):
            raise InputError(
                f"{other.path} cannot be joined with {blocks[0].path}: they were created with different inputs: {'; '.join(found)}. "
                "Move one of them elsewhere"
            )


def merged_rows(blocks: Sequence[Run]) -> tuple[tuple[int, ...], Rows]:
    """Give the seeds of all blocks in order, and where each is."""
    order = sorted((seed, number, place) for number, run in enumerate(blocks) for place, seed in enumerate(run.seeds))
    return tuple(seed for seed, _, _ in order), [(number, place) for _, number, place in order]


def _along(parts: Sequence[NDArray[Any]], rows: Rows, axis: int) -> NDArray[Any]:
    """Join arrays along the axis of seeds, in the order of the seeds."""
    starts = np.cumsum([0, *(part.shape[axis] for part in parts)])
    places = [int(starts[number]) + place for number, place in rows]
    return np.take(np.concatenate(parts, axis=axis), places, axis=axis)


def _by_seed(blocks: Sequence[Run], parts: Sequence[Mapping[str, NDArray[Any]]], rows: Rows, names: Sequence[str]) -> Arrays:
    """Join arrays `[S, ...]` by name; a block that ended before it had one gets what is not a number."""
    found = {}
    for name in names:
        like = next(part[name] for part in parts if name in part)
        kind = like.dtype if all(name in part for part in parts) else np.result_type(like.dtype, np.float32)
        every = [
            part[name].astype(kind, copy=False) if name in part else np.full((len(run.seeds), *like.shape[1:]), np.nan, kind)
            for run, part in zip(blocks, parts, strict=True)
        ]
        found[name] = _along(every, rows, 0)
    return found


def merged_exhibits(blocks: Sequence[Run], rows: Rows) -> Arrays:
    """Merge what the task shows of its models, and what actions captured; what no model changes is that of the first block."""
    parts = [run.exhibits for run in blocks]
    names = list(dict.fromkeys(name for part in parts for name in part))
    fixed = {f"{FIXED}{name.removeprefix(FIXED)}": array for run in reversed(blocks) for name, array in run.fixed.items()}
    return {**_by_seed(blocks, parts, rows, names), **fixed}


def merged_model(blocks: Sequence[Run], rows: Rows) -> Arrays:
    """Merge the weights after the last update."""
    parts = [run.model for run in blocks]
    return _by_seed(blocks, parts, rows, list(parts[0]))


def merged_phase_ends(blocks: Sequence[Run], rows: Rows) -> Arrays:
    """Merge what the models made of the validation data at the ends of phases."""
    parts = [run.phase_ends for run in blocks]
    names = list(dict.fromkeys(name for part in parts for name in part))
    own = [name for name in names if name.rpartition(".")[2] in OF_SEEDS]
    shared = {name: next(part[name] for part in parts if name in part) for name in names if name not in own}
    return {**shared, **_by_seed(blocks, parts, rows, own)}


def merged_snapshots(blocks: Sequence[Run], rows: Rows) -> Arrays:
    """Merge snapshots at the steps that all blocks have; a block that diverged keeps its last weights from there on."""
    whole = [run for run in blocks if run.status == "finished"] or list(blocks)
    steps = whole[0].snapshots.steps
    for run in whole[1:]:
        steps = np.intersect1d(steps, run.snapshots.steps)
    if len(steps) == 0:
        return {}
    places = [np.maximum(np.searchsorted(run.snapshots.steps, steps, side="right") - 1, 0) for run in blocks]
    weights = {
        name: _along([run.snapshots.parameters[name][own] for run, own in zip(blocks, places, strict=True)], rows, 1)
        for name in blocks[0].snapshots.parameters
    }
    return {STEPS: steps, **weights}


def merged_traces(blocks: Sequence[Run], rows: Rows) -> Arrays:
    """Merge curves at all steps that a block has; what another did not record there is not a number."""
    found: Arrays = {}
    parts = [run.traces if run.trained_steps else {} for run in blocks]
    names = dict.fromkeys(name for part in parts for name in part if not name.endswith(f".{STEPS}") and not name.startswith(ABSENT))
    for name in names:
        like = next(part[name] for part in parts if name in part)
        own = [part[f"{name}.{STEPS}"] if name in part else np.empty(0, np.int64) for part in parts]
        steps = np.unique(np.concatenate(own))
        absent = np.concatenate([_missing(part, name, len(run.seeds), steps) for part, run in zip(parts, blocks, strict=True)], axis=1)
        kind = like.dtype if not absent.any() else np.result_type(like.dtype, np.float32)
        every = []
        for run, part, at in zip(blocks, parts, own, strict=True):
            values = np.full((len(steps), len(run.seeds), *like.shape[2:]), np.nan if kind.kind == "f" else 0, kind)
            if name in part:
                values[np.searchsorted(steps, at)] = part[name]
            every.append(values)
        found[name], found[f"{name}.{STEPS}"] = _along(every, rows, 1), steps
        if absent.any():
            found[f"{ABSENT}{name}"] = _along([absent.astype(np.uint8)], _flat_rows(blocks, rows), 1)
            found[f"{ABSENT}{name}.{STEPS}"] = steps
    return found


def _missing(part: Mapping[str, NDArray[Any]], name: str, seeds: int, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark where the seeds of a block have no value of a curve, at `steps` `[F]`: `[F, S]`."""
    missing = np.ones((len(steps), seeds), dtype=bool)
    if name in part:
        before = part.get(f"{ABSENT}{name}")
        missing[np.searchsorted(steps, part[f"{name}.{STEPS}"])] = before.astype(bool) if before is not None else False
    return missing


def _flat_rows(blocks: Sequence[Run], rows: Rows) -> Rows:
    starts = np.cumsum([0, *(len(run.seeds) for run in blocks)])
    return [(0, int(starts[number]) + place) for number, place in rows]


def merged_metrics(blocks: Sequence[Run], tables: Sequence[pa.Table]) -> pa.Table:
    """Merge the rows of losses, in the order of steps and seeds; a seed whose block ended early has no losses from there on."""
    import pyarrow as pa

    joined = pa.concat_tables(tables, promote_options="default")
    trained = max(run.trained_steps for run in blocks)
    short = [] if blocks[0].tracked else [run for run in blocks if run.trained_steps < trained]
    for run in short:
        steps = np.arange(run.trained_steps, trained)
        rows = {"step": np.repeat(steps, len(run.seeds)), "seed": np.tile(np.asarray(run.seeds), len(steps))}
        rest = {field.name: pa.nulls(len(rows["step"]), field.type) for field in joined.schema if field.name not in rows}
        joined = pa.concat_tables([joined, pa.table({**rows, **rest}).select(joined.column_names)])
    return joined.sort_by([("step", "ascending"), ("seed", "ascending")]).combine_chunks()


def merged_events(blocks: Sequence[Run]) -> list[dict[str, Any]]:
    """Merge the logs of events: those of the block that came farthest, and what is about single seeds in the others."""
    farthest = max(range(len(blocks)), key=lambda number: (blocks[number].trained_steps, -number))
    found = list(blocks[farthest].events)
    for number, run in enumerate(blocks):
        if number != farthest:
            found += [event for event in run.events if "seed" in event]
            said = {event.get("message") for event in found}
            found += [event for event in run.events if event["event"] == "warning" and event.get("message") not in said]
    return sorted(found, key=lambda event: int(event["step"]))
