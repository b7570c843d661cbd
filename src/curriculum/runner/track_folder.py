"""The folders of a tracked run: the run itself, and the block of each process that fills it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from curriculum.errors import InputError, InUseError, OutputExistsError
from curriculum.play.sheets import load_sheet
from curriculum.runner.stamps import close_segments, holder_of, new_segment, now, place
from curriculum.sheet.document import Dopesheet, write
from curriculum.sheet.lines import differing_line
from curriculum.sheet.schedule import Schedule, compile_sheet
from curriculum.store.blocks import block_paths, check_distinct
from curriculum.store.checkpoint import Checkpoint, CheckpointRecord, usable
from curriculum.store.files import digest
from curriculum.store.integrity import check_stored_until
from curriculum.store.lock import Lock, wait_for_lock
from curriculum.store.names import BLOCKS, OVER
from curriculum.store.reader import Run
from curriculum.store.writer import RunFolder
from curriculum.train.scores import Score

TASK = {"name": "tracked", "version": 1}
LOGGED = "logged"  # the probe of metrics that a loop logs
PATIENCE = 1.0  # seconds to wait for a lock that whoever lists the runs may hold for a moment


@dataclass(frozen=True)
class Inputs:
    """What a tracked run is made from: the sheet, as it is named and stored, its schedule, the seed, and the declared metrics."""

    sheet: str
    sheet_bytes: bytes
    schedule: Schedule
    seed: int
    scores: Mapping[str, Score]


def read_inputs(sheet: str | Path | Dopesheet | Schedule, seed: int, scores: Mapping[str, Score]) -> Inputs:
    """Read a sheet by its path or name. Raises `InputError` for one that cannot be read, and for a seed that is none."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError(f"a seed is a whole number from 0 on, not {seed!r}")
    if isinstance(sheet, Schedule):
        return Inputs("from Python", write(sheet.sheet).encode(), sheet, seed, scores)
    found, stored = load_sheet(sheet)
    return Inputs(Path(found.source).name, stored, compile_sheet(found), seed, scores)


def _config_of(inputs: Inputs) -> str:
    metrics = "".join(f"  {json.dumps(name)}: {json.dumps(asdict(score))}\n" for name, score in inputs.scores.items())
    return f"task: {TASK['name']}\nmetrics:{' {}' if not metrics else ''}\n{metrics}"


def _manifest_of(inputs: Inputs) -> dict[str, Any]:
    config, schedule = _config_of(inputs), inputs.schedule
    scores = {name: asdict(score) for name, score in inputs.scores.items()}
    return {
        "created": now(),
        "tracked": True,
        "segments": [new_segment(0)],
        "argv": list(sys.argv),
        "task": {**TASK, **_script()},
        "sheet": inputs.sheet,
        "seeds": [inputs.seed],
        "steps": len(schedule),
        "sheet_steps": len(schedule),
        "snapshots": False,
        "parameters": {},
        "probes": [{"name": LOGGED, "title": "", "uses": ["scores"]}],
        "look": {
            "measures": [],
            "hypotheses": {name: {"question": f"a {own.better} {name}", "measures": [name]} for name, own in inputs.scores.items()},
            "plots": [],
            "error_unit": "",
            "scores": scores,
        },
        "hashes": {
            "sheet": digest(inputs.sheet_bytes),
            "config": digest(config.encode()),
            "training": digest(config.encode()),
            "probes": {},
        },
        "hooks": [],
        **place(),
    }


def _script() -> dict[str, str]:
    """Name the script that runs, and hash it; nothing in a notebook or a console."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    with suppress(OSError, TypeError):
        path = Path(file or "").resolve()
        return {"source": digest(path.read_bytes()), "file": str(path)} if path.is_file() else {}
    return {}


@dataclass
class Block:
    """The block of a process: its path, and whether it is over already. Its lock is held until it is released."""

    path: Path
    done: bool
    folder: RunFolder | None = None  # of a block that is new, or was opened to be trained on
    lock: Lock | None = None

    def checkpoint(self) -> Checkpoint | None:
        """Read the newest checkpoint that is not damaged; None where there is none."""
        if self.folder is not None or self.done:
            return None
        good, _ = usable(self.path, partial(check_stored_until, self.path))
        return good[0] if good else None

    def open(self, record: CheckpointRecord | None) -> RunFolder:
        """Open the block to be trained from a checkpoint, or from the beginning where that is None."""
        if self.folder is None:
            assert self.lock is not None
            run, step = Run(self.path), record.step if record else 0
            segments = [*close_segments(run.manifest.get("segments", []), step, "killed"), new_segment(step)]
            self.folder = RunFolder.reopen(run, self.lock, record, segments=segments)
        return self.folder

    def release(self) -> None:
        """Let another process have the block."""
        if self.folder is not None:
            self.folder.release()
        elif self.lock is not None:
            self.lock.release()


def open_block(path: Path, inputs: Inputs) -> Block:
    """Make the run at `path` unless it is there, and open the block of a seed in it.

    Raises `InputError` if the run was created with another sheet or other metrics, or is none that was tracked, and for a seed that
    equals another one modulo 2^32; `InUseError` if another process trains this seed; `RunError` where nothing can be written.
    """
    manifest, config = _manifest_of(inputs), _config_of(inputs)
    if not os.path.lexists(path):
        # Another process may be faster: then the run is there, and is looked at like any other.
        with suppress(OutputExistsError):
            RunFolder.create(path, {**manifest, "segments": [], "blocks": []}, config, inputs.sheet_bytes).release()
    run = Run(path)
    _check_same(run, inputs, manifest)
    block = path / BLOCKS / str(inputs.seed)
    others = [(str(own), Run(own).seeds) for own in block_paths(path) if own != block]
    check_distinct([*others, (f"the seed {inputs.seed}", [inputs.seed])])
    if not os.path.lexists(block):
        with suppress(OutputExistsError):
            return Block(block, False, RunFolder.create(block, {**manifest, "block_of": path.name}, config, inputs.sheet_bytes))
    lock = _lock(path, block, inputs.seed)
    stored = Run(block)
    try:
        _check_same(stored, inputs, manifest)
    except BaseException:
        lock.release()
        raise
    if stored.status in OVER:
        lock.release()
        return Block(block, True)
    return Block(block, False, None, lock)


def _lock(path: Path, block: Path, seed: int) -> Lock:
    try:
        return wait_for_lock(block, PATIENCE)
    except InUseError:
        message = f"{path}: seed {seed} is being trained by another process{holder_of(block)}: wait for it, or choose another seed"
        raise InUseError(message) from None


def _check_same(run: Run, inputs: Inputs, manifest: Mapping[str, Any]) -> None:
    if not run.tracked:
        raise InputError(f"{run.path} is a run of the task {run.task_name!r}, which no loop can be tracked into: choose another folder")
    found = []
    if run.manifest["hashes"]["sheet"] != digest(inputs.sheet_bytes):
        found.append(f"the sheet {inputs.sheet} differs, first at line {differing_line(run.sheet_bytes, inputs.sheet_bytes)}")
    before, after = run.manifest["look"]["scores"], manifest["look"]["scores"]
    found += _other_metrics(before, after, dict.fromkeys([*before, *after]))
    if found:
        raise InputError(f"{run.path} was created with different inputs: {'; '.join(found)}. Choose another folder for a new run")


def check_metrics(run: Run, scores: Mapping[str, Score]) -> None:
    """Check that a run judges these metrics as they are declared now; it may have others. Raises `InputError`."""
    if found := _other_metrics(run.manifest["look"]["scores"], {name: asdict(score) for name, score in scores.items()}, scores):
        what = f"{run.path} was created with different inputs: {'; '.join(found)}"
        raise InputError(f"{what}. Restore the metrics, or remove or rename the run to train again")


def check_logged(runs: Sequence[Run]) -> None:
    """Check that every declared metric was logged. Raises `InputError` with the runs to remove."""
    missing = {name: [run for run in runs if _lacks(run, name)] for run in runs for name in run.manifest["look"]["scores"]}
    for name, lacking in missing.items():
        if lacking:
            paths = " and ".join(str(run.path) for run in lacking)
            raise InputError(
                f"the metric {name!r} is declared, but was never logged. Correct its name, remove {paths}, and run the same command again"
            )


def _lacks(run: Run, name: str) -> bool:
    return name in run.manifest["look"]["scores"] and f"score.{name}.{LOGGED}" not in run.traces


def _other_metrics(before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [
        f"the metric {name!r} is {_shown(after.get(name))}, was {_shown(before.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _shown(score: Mapping[str, Any] | None) -> str:
    return "not declared" if score is None else ", ".join(f"{key} {value}" for key, value in score.items() if value not in (None, ""))
