"""Checkpoints of a run: all that training needs to go on from a step, and what is stored of the run until there.

Each is a pair of files beside the run's others, `checkpoint-STEP.safetensors` with the arrays, and `checkpoint-STEP.json`,
which has their hash and its own, and appears last. A damaged one is noticed, and there is an earlier one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curriculum.errors import CurriculumError, RunError
from curriculum.store.files import (
    Arrays,
    digest,
    digest_file,
    read_document,
    read_safetensors,
    reason,
    seal_holds,
    sealed,
    to_safetensors,
    write_file,
)
from curriculum.store.manifest import SkippedManifest

SCHEMA = 1
MOST_KEPT = 8  # checkpoints of a run, or
MOST_BYTES = 256 * 2**20  # as many as fit into this; but never fewer than two
Step = Annotated[int, Field(ge=0)]


class EventsRecord(BaseModel):
    """How much of the log of events belongs to a checkpoint: its first `size` bytes, with their hash."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    size: Annotated[int, Field(ge=0)]
    hash: str


class CheckpointRecord(BaseModel):
    """What the JSON file of a checkpoint holds.

    `chunk` are the first step and the one after the last of the steps whose batches are drawn together, where `step`
    lies amid them. `parts` are the files that hold the run until `step`, with their hashes, by the name of the file that
    they will make. `arrays` is the hash of the checkpoint's own arrays.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    step: Step
    chunk: tuple[Step, Step] | None
    trained: Step
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    events: EventsRecord
    parts: dict[str, dict[str, str]]
    diverged: dict[Annotated[str, Field(pattern=r"^[0-9]{1,19}$")], str]
    skipped: dict[Annotated[str, Field(pattern=r"^[0-9]{1,19}$")], SkippedManifest] = {}
    arrays: str
    sha256: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read: its record, and its arrays by name, the seeds being their first axis."""

    record: CheckpointRecord
    arrays: Mapping[str, NDArray[Any]]

    @property
    def step(self) -> int:
        return self.record.step


def steps_in(folder: Path) -> list[int]:
    """List the steps of which a run folder has checkpoints, damaged or not, in order."""
    found = (re.fullmatch(r"checkpoint-([0-9]{9,12})\.json", path.name) for path in folder.glob("checkpoint-*.json"))
    return sorted(int(match[1]) for match in found if match)


def files_of(folder: Path, step: int) -> tuple[Path, Path]:
    """Give the paths of a checkpoint: of its record and of its arrays."""
    return folder / f"checkpoint-{step:09d}.json", folder / f"checkpoint-{step:09d}.safetensors"


def store(folder: Path, record: Mapping[str, Any], arrays: Arrays) -> None:
    """Store a checkpoint, read it back, and only then drop those that are no longer needed.

    `record` is that of `CheckpointRecord`, but for the hashes. Raises `RunError` where it cannot be written or is not
    read as it was written; the earlier ones are all there then.
    """
    document, data = files_of(folder, record["step"])
    content = to_safetensors(arrays)
    write_file(data, content)
    if data.read_bytes() != content:
        raise RunError(f"cannot write {data}: reading it back gives other bytes")
    write_file(document, (json.dumps(sealed({"schema": SCHEMA, **record, "arrays": digest(content)})) + "\n").encode())
    read_record(folder, record["step"])
    _thin(folder, record["step"], len(content))


def _thin(folder: Path, newest: int, size: int) -> None:
    """Drop checkpoints until few enough are left, and keep those apart: always the first to go closes the smallest gap."""
    steps = [step for step in steps_in(folder) if step <= newest]
    while len(steps) > max(2, min(MOST_KEPT, MOST_BYTES // max(size, 1))):
        inner = range(len(steps) - 2)
        place = min(inner, key=lambda n: steps[n + 1] - (steps[n - 1] if n else 0))
        drop(folder, steps.pop(place))


def drop(folder: Path, step: int) -> None:
    """Remove a checkpoint, its record first."""
    for path in files_of(folder, step):
        path.unlink(missing_ok=True)


def drop_after(folder: Path, step: int) -> None:
    """Remove every checkpoint of a later step than this, and arrays that have no record."""
    for later in steps_in(folder):
        if later > step:
            drop(folder, later)
    kept = {files_of(folder, earlier)[1] for earlier in steps_in(folder)}
    for path in set(folder.glob("checkpoint-*.safetensors")) - kept:
        path.unlink()


def read_record(folder: Path, step: int) -> CheckpointRecord:
    """Read what a checkpoint says, without its arrays. Raises `RunError` where it is damaged."""
    path = files_of(folder, step)[0]
    try:
        document = read_document(path)
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"the checkpoint {path} is damaged: {reason(error)}") from None
    if not isinstance(document, dict) or not seal_holds(document):
        raise RunError(f"the checkpoint {path} is damaged: its hash differs from the stored one")
    try:
        record = CheckpointRecord.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RunError(f"the checkpoint {path} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if record.step != step:
        raise RunError(f"the checkpoint {path} is damaged: it is of step {record.step}")
    return record


def read(folder: Path, step: int) -> Checkpoint:
    """Read a checkpoint. Raises `RunError` where it is damaged."""
    record, path = read_record(folder, step), files_of(folder, step)[1]
    try:
        if digest_file(path) != record.arrays:
            raise ValueError("its hash differs from the stored one")
        return Checkpoint(record, read_safetensors(path))
    except CurriculumError:
        raise
    except Exception as error:
        # Whatever a damaged file makes its library raise, the person hears which file it was.
        raise RunError(f"the checkpoint {path} is damaged: {reason(error)}") from None


def newest_record(folder: Path) -> CheckpointRecord | None:
    """Read the record of the newest checkpoint that is not damaged; None where there is none."""
    for step in reversed(steps_in(folder)):
        with suppress(CurriculumError):
            return read_record(folder, step)
    return None


def usable(folder: Path, check: Callable[[CheckpointRecord], None]) -> tuple[list[Checkpoint], list[CurriculumError]]:
    """Read the checkpoints of a folder, the newest first; also give what is wrong with the others.

    `check` raises where what a record says is stored is not.
    """
    good: list[Checkpoint] = []
    damaged: list[CurriculumError] = []
    for step in reversed(steps_in(folder)):
        try:
            found = read(folder, step)
            check(found.record)
            good.append(found)
        except CurriculumError as error:
            damaged.append(error)
    return good, damaged
