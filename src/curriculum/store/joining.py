"""Join the finished blocks of a run to the run's own files, all at once or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curriculum.config.yaml import with_seeds
from curriculum.errors import InUseError, RunError
from curriculum.store import merging
from curriculum.store.blocks import block_name, block_paths
from curriculum.store.checkpoint import files_of, steps_in
from curriculum.store.files import digest, link_file, read_parquet, to_parquet, to_safetensors, write_file
from curriculum.store.lock import wait_for_lock
from curriculum.store.names import (
    BLOCKS,
    CONFIG,
    EVENTS,
    EXHIBITS,
    IN_PARTS,
    JOINED,
    MANIFEST,
    METRICS,
    MODEL,
    OVER,
    PHASE_ENDS,
    SHEET,
    SNAPSHOTS,
    TRACES,
    parts_of,
)
from curriculum.store.reader import Run
from curriculum.store.writer import to_json

PATIENCE = 5.0  # seconds to wait for a lock that a glance at the run may hold, before its holder counts as one that trains it
ADOPTING = ".adopting."  # how the name of a folder begins that is to become a block
OF_ONE_BLOCK = (
    *("name", "status", "files", "sha256", "stack", "block_of", "timings", "ended", "segments", "argv", "error", "moving"),
    *("at_once", "compiled"),
)


@dataclass(frozen=True)
class Joined:
    """What came of joining: the seeds that were added, and the number of seeds that the run has now."""

    added: tuple[int, ...]
    seeds: int


def join(path: Path) -> Joined:
    """Join every finished block of the run at `path` that is not joined yet.

    A run that has no blocks, but to which some were added, becomes a block itself. Nothing happens while another process trains
    that run: it joins the blocks when it has finished. Raises `InputError` for blocks that do not fit together, `RunError`
    for damaged ones; the run stays as it was then.
    """
    before = set(Run(path).seeds) if Run(path).manifest.get("files") else set()
    if not (path / BLOCKS).is_dir():
        return Joined((), len(before))
    # First the blocks', which only those who join them hold: whoever waits for it joins what was finished meanwhile.
    with ExitStack() as locks:
        locks.callback(wait_for_lock(path / BLOCKS).release)
        try:
            locks.callback(wait_for_lock(path, PATIENCE).release)
        except InUseError:
            return Joined((), len(before))
        finish_moving(path)
        _clear(path)
        _adopt(path)
        blocks = [run for run in map(Run, block_paths(path)) if run.status in OVER]
        known = {(own["name"], tuple(own["seeds"])) for own in Run(path).manifest.get("blocks") or ()}
        if not blocks or {(run.name, run.seeds) for run in blocks} == known:
            return Joined((), len(before))
        merging.check_blocks(blocks)
        _replace(path, merge(Run(path), blocks))
    seeds = Run(path).seeds
    return Joined(tuple(seed for seed in seeds if seed not in before), len(seeds))


def _clear(path: Path) -> None:
    """Remove what a process left behind that was killed while it joined blocks. Its caller holds both locks."""
    for own in path.glob(".*.tmp"):
        with suppress(OSError):
            own.unlink()
    for own in [path / JOINED, *(path / BLOCKS).glob(f"{ADOPTING}*")]:
        shutil.rmtree(own, ignore_errors=True)


def _adopt(path: Path) -> None:
    """Make a finished run that has no blocks a block of itself, if another block was added to it."""
    run = Run(path)
    if run.manifest.get("blocks") is not None or not block_paths(path) or run.status not in OVER:
        return
    name = block_name(run.seeds)
    if any(own.name == name for own in block_paths(path)):
        return  # it was one already when this was interrupted, or another one of these seeds is there, which is then refused
    temporary = Path(tempfile.mkdtemp(prefix=ADOPTING, dir=path / BLOCKS))
    try:
        temporary.chmod(0o755)
        checkpoints = [own for step in steps_in(path) for own in files_of(path, step)]
        for own in [*(path / name for name in (CONFIG, SHEET, *run.manifest["files"])), *checkpoints]:
            if own.is_file():
                link_file(own, temporary / own.name)
        write_file(temporary / MANIFEST, to_json({**run.manifest, "name": name, "block_of": path.name}).encode())
        os.rename(temporary, path / BLOCKS / name)
    except OSError as error:
        raise RunError(f"cannot make a block of {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def merge(run: Run, blocks: Sequence[Run]) -> dict[str, bytes]:
    """Make the files of a run from its blocks, by name; `run.json` is among them.

    Memory: the largest file of the whole run, twice, and all others.
    """
    seeds, rows = merging.merged_rows(blocks)
    first = blocks[0]
    arrays = {
        TRACES: merging.merged_traces(blocks, rows),
        SNAPSHOTS: merging.merged_snapshots(blocks, rows) if first.records_snapshots else {},
        PHASE_ENDS: merging.merged_phase_ends(blocks, rows),
        MODEL: merging.merged_model(blocks, rows),
        EXHIBITS: merging.merged_exhibits(blocks, rows),
    }
    always = (TRACES, MODEL, EXHIBITS)
    data = {name: to_safetensors(own) for name, own in arrays.items() if own or name in always}
    tables = [read_parquet(block.path / METRICS) for block in blocks if METRICS in block.manifest["files"]]
    if tables:
        data[METRICS] = to_parquet(merging.merged_metrics(blocks, tables))
    data[EVENTS] = "".join(json.dumps(event) + "\n" for event in merging.merged_events(blocks)).encode()
    config = with_seeds(first.config_text, str(first.config_path), seeds).encode()
    files = {name: digest(own) for name, own in data.items()}
    manifest = {
        "schema": first.manifest["schema"],
        "name": run.path.name,
        "status": "finished" if any(block.status == "finished" for block in blocks) else "diverged",
        **{key: value for key, value in first.manifest.items() if key not in (*OF_ONE_BLOCK, "schema")},
        "created": min(run.created, *(block.created for block in blocks)),
        "seeds": list(seeds),
        "trained": max(block.trained_steps for block in blocks),
        "diverged": {str(seed): why for block in blocks for seed, why in block.diverged.items()},
        "skipped": {seed: own for block in blocks for seed, own in block.manifest.get("skipped", {}).items()},
        "hashes": {**first.manifest["hashes"], "config": digest(config)},
        "blocks": [_described(block) for block in blocks],
        "files": files,
        "moving": True,
    }
    return {**data, CONFIG: config, SHEET: first.sheet_bytes, MANIFEST: to_json(manifest).encode()}


def _described(block: Run) -> dict[str, Any]:
    """Say which block was joined: its seeds, how it ended, and with which versions and which code it was trained."""
    own = block.manifest
    keys = ("created", "ended", "host", "versions")
    return {
        "name": block.path.name,
        "seeds": list(block.seeds),
        "status": block.status,
        "trained": block.trained_steps,
        **{key: own[key] for key in keys if key in own},
        **({"source": source} if (source := own["task"].get("source")) else {}),
    }


def _replace(path: Path, files: Mapping[str, bytes]) -> None:
    """Put files in the place of a run's own: once its manifest is replaced they are what counts, wherever they lie."""
    waiting = path / JOINED
    try:
        shutil.rmtree(waiting, ignore_errors=True)
        waiting.mkdir()
        for name, data in files.items():
            if name != MANIFEST:
                write_file(waiting / name, data)
    except OSError as error:
        raise RunError(f"cannot write {waiting}: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(waiting, ignore_errors=True)
        raise
    write_file(path / MANIFEST, files[MANIFEST])
    finish_moving(path)


def finish_moving(path: Path) -> None:
    """Move files that were joined to their places, and remove what they replace. Its caller holds the run's lock."""
    run = Run(path)
    if not run.manifest.get("moving"):
        return
    waiting = path / JOINED
    try:
        if waiting.is_dir():
            for own in sorted(waiting.iterdir()):
                os.replace(own, path / own.name)
        kept = run.manifest["files"]
        old = [part for name in IN_PARTS for part in parts_of(path, name)]
        checkpoints = [own for step in steps_in(path) for own in files_of(path, step)]
        for own in [*old, *checkpoints, *(path / name for name in (*IN_PARTS, MODEL, EXHIBITS))]:
            if own.name not in kept:
                own.unlink(missing_ok=True)
        write_file(path / MANIFEST, to_json({key: value for key, value in run.manifest.items() if key != "moving"}).encode())
        with suppress(OSError):
            waiting.rmdir()
    except OSError as error:
        raise RunError(f"cannot move joined files to their places in {path}: {error.strerror or error}") from error
