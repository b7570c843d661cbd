"""What `run.json` holds, as types: how a run was made and how it ended."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from curriculum.config.settings import SEEDS_ALLOWED
from curriculum.errors import CurriculumError, InputError, RunError
from curriculum.sheet.document import LAST_STEP_ALLOWED
from curriculum.store.files import SEAL, read_document, reason, seal_holds
from curriculum.store.names import CONFIG, MANIFEST, SCHEMA, SHEET

MOST_LISTED = 100  # measures, probes or figures: each costs time wherever the run is read
Listed = TypeVar("Listed", bound=Sequence[Any])


def _once(names: Listed) -> Listed:
    """Raise `ValueError` for a list that names something twice."""
    repeated = [(name, count) for name, count in Counter(names).items() if count > 1]
    if repeated:
        name, count = repeated[0]
        raise ValueError(f"{name!r} is named {count} times")
    return names


Names = Annotated[list[str], Field(max_length=MOST_LISTED), AfterValidator(_once)]


class TaskManifest(BaseModel):
    """The task of a run."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    version: int


class ProbeManifest(BaseModel):
    """A probe of a run."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    title: str
    uses: list[str]


class HypothesisManifest(BaseModel):
    """A hypothesis: its question, and the ids of the measures that it is about.

    In old runs `measures` is missing: the hypothesis is about the measures whose ids begin with its own.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    question: str
    measures: Names | None = None


class ScoreManifest(BaseModel):
    """How a score is shown: `scale` times the stored value, in a unit.

    `smallest` is its smallest effect of interest, and `level` one that training is to reach, both in that unit.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    better: Literal["lower", "higher"]
    unit: str = ""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    smallest: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    level: Annotated[float, Field(allow_inf_nan=False)] | None = None


class OwnMeasureManifest(BaseModel):
    """A measure of the task's own. Its values were computed when training ended, and are stored as `measure.ID`.

    The other fields are those of `Metric`.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    id: Annotated[str, Field(min_length=1)]
    title: str
    unit: str = ""
    effect: Literal["ratio", "difference", "share", "time"] = "ratio"
    better: Literal["lower", "higher"] = "lower"
    needs: str = ""
    exploratory: bool = False
    counts: bool = False
    limit: float | None = None
    smallest: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class LookManifest(BaseModel):
    """How a run is looked at: by which measures and plots, and what the task's pictures show.

    Runs from before version 0.2 say `circle` for one circle of radius 1, and give only the question of a hypothesis.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    measures: Names
    hypotheses: Annotated[dict[str, HypothesisManifest], Field(max_length=MOST_LISTED)]
    plots: Names
    error_unit: str
    circles: Annotated[list[float], Field(max_length=MOST_LISTED)] = []
    scores: Annotated[dict[str, ScoreManifest], Field(max_length=MOST_LISTED)] = {}
    own_measures: Annotated[list[OwnMeasureManifest], Field(max_length=MOST_LISTED)] = []

    @model_validator(mode="before")
    @classmethod
    def _from_before(cls, plain: Any) -> Any:
        if not isinstance(plain, dict):
            return plain
        new = dict(plain)
        if "circle" in new:
            new["circles"] = [1.0] if new.pop("circle") else []
        if isinstance(found := new.get("hypotheses"), dict):
            new["hypotheses"] = {name: {"question": own} if isinstance(own, str) else own for name, own in found.items()}
        return new

    @field_validator("own_measures")
    @classmethod
    def _own_measures_once(cls, measures: list[OwnMeasureManifest]) -> list[OwnMeasureManifest]:
        _once([measure.id for measure in measures])
        return measures


class BlockManifest(BaseModel):
    """A block of a run: the seeds that one stack or process trained, in the folder `blocks/NAME`."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: Annotated[str, Field(min_length=1)]
    seeds: Annotated[list[int], Field(min_length=1, max_length=SEEDS_ALLOWED)]
    trained: Annotated[int, Field(ge=0)]


class HashesManifest(BaseModel):
    """What a run was made from, by hash."""

    model_config = ConfigDict(extra="allow", strict=True)

    sheet: str
    config: str
    probes: dict[str, str]


class SkippedManifest(BaseModel):
    """The updates of a seed that were skipped because they were not finite: how many, and what was not finite at the first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    updates: Annotated[int, Field(ge=0)]
    first: str

    def text(self, steps: int) -> str:
        """Say it of a seed that was trained for so many steps."""
        return f"skipped {self.updates:,} of {steps:,} updates because they were not finite, first {self.first}"


class Manifest(BaseModel):
    """What `run.json` must hold for a run to be read; what else it has is kept as it is.

    `defaults` are the values of the columns that a sheet need not have; older runs do not say them.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    schema_: Literal[1] = Field(alias="schema")
    name: str
    status: Literal["running", "finished", "interrupted", "failed", "diverged"]
    created: str
    sheet: str
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1, max_length=SEEDS_ALLOWED), AfterValidator(_once)]
    steps: Annotated[int, Field(ge=1, le=LAST_STEP_ALLOWED + 1)]
    sheet_steps: Annotated[int, Field(ge=1)] | None = None
    trained: Annotated[int, Field(ge=0)] | None = None
    task: TaskManifest
    probes: Annotated[list[ProbeManifest], Field(max_length=MOST_LISTED)]
    look: LookManifest
    snapshots: bool = True
    defaults: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    parameters: dict[str, list[Annotated[int, Field(ge=0)]]]
    hashes: HashesManifest
    versions: dict[str, str] = {}
    diverged: dict[str, str] = {}
    skipped: dict[str, SkippedManifest] = {}
    files: dict[str, str] = {}
    segments: list[dict[str, Any]] = []
    stack: Annotated[list[str], Field(min_length=1), AfterValidator(_once)] | None = None
    tracked: bool = False
    blocks: Annotated[list[BlockManifest], Field(max_length=SEEDS_ALLOWED)] | None = None
    moving: bool = False
    compile: Literal["auto", "on", "off", "held"] = "off"
    compiled: dict[str, bool | str] = {}
    at_once: Annotated[int, Field(ge=1)] | None = None
    flush_denormals: bool = False

    @field_validator("trained")
    @classmethod
    def _not_beyond_the_end(cls, trained: int | None, info: ValidationInfo) -> int | None:
        steps = info.data.get("steps")
        if trained is not None and steps is not None and trained > steps:
            raise ValueError(f"{trained:,} of {steps:,} steps")
        return trained

    @field_validator("probes")
    @classmethod
    def _probes_once(cls, probes: list[ProbeManifest]) -> list[ProbeManifest]:
        _once([probe.name for probe in probes])
        return probes

    @field_validator("diverged", "skipped")
    @classmethod
    def _of_its_seeds(cls, named: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        strange = sorted(set(named) - set(map(str, info.data.get("seeds", []))))
        if strange and "seeds" in info.data:
            raise ValueError(f"{strange[0]!r} is not one of its seeds")
        return named


def skipped_updates(manifest: Mapping[str, Any]) -> dict[int, SkippedManifest]:
    """Read which seeds of a run skipped updates, from its manifest: how many each, and the first."""
    return {int(seed): SkippedManifest.model_validate(own) for seed, own in manifest.get("skipped", {}).items()}


def lost_seeds(manifest: Mapping[str, Any], seeds: Sequence[int], traces: Mapping[str, NDArray[Any]]) -> dict[int, str]:
    """Find the seeds that skipped updates and whose last error `[F, S]` on any probe is not finite: skipping did not save them.

    Each comes with the first update that it skipped.
    """
    errors = [own[-1] for name, own in traces.items() if name.startswith("loss.") and not name.endswith(".steps") and len(own)]
    skipped, places = skipped_updates(manifest), {seed: place for place, seed in enumerate(seeds)}
    return {seed: own.first for seed, own in skipped.items() if not all(isfinite(error[places[seed]]) for error in errors)}


def read_manifest(path: Path) -> tuple[dict[str, Any], Manifest]:
    """Read what `run.json` in a run folder holds: as it is, and checked.

    Raises `InputError` where there is no run, `RunError` where the file is damaged.
    """

    def damaged(why: str) -> RunError:
        return RunError(f"the run {path} is damaged: {path / MANIFEST}: {why}")

    if not os.path.lexists(path / MANIFEST):
        if (path / SHEET).is_file() or (path / CONFIG).is_file():
            raise damaged("it is missing")
        raise InputError(f"{path} is not a run: it has no {MANIFEST}")
    try:
        plain = read_document(path / MANIFEST)
    except FileNotFoundError:
        raise damaged("it is missing") from None
    except CurriculumError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(reason(error)) from None
    if isinstance(plain, dict) and isinstance(plain.get("schema"), int) and plain["schema"] != SCHEMA:
        raise RunError(f"{path} has the schema version {plain['schema']}, this program reads {SCHEMA}")
    if isinstance(plain, dict) and SEAL in plain and not seal_holds(plain):
        raise damaged("its hash differs from the stored one")
    try:
        return plain, Manifest.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise damaged(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
