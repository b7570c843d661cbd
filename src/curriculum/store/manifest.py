"""What `run.json` holds, as types: how a run was made and how it ended."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curriculum.sheet.document import LAST_STEP_ALLOWED


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


class LookManifest(BaseModel):
    """How a run is looked at: by which measures and plots, and what the task's pictures show.

    Runs from before version 0.2 say `circle` for one circle of radius 1.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    measures: list[str]
    hypotheses: dict[str, str]
    plots: list[str]
    error_unit: str
    circles: list[float] = []

    @model_validator(mode="before")
    @classmethod
    def _from_before(cls, plain: Any) -> Any:
        if isinstance(plain, dict) and "circle" in plain:
            return {**{key: value for key, value in plain.items() if key != "circle"}, "circles": [1.0] if plain["circle"] else []}
        return plain


class HashesManifest(BaseModel):
    """What a run was made from, by hash."""

    model_config = ConfigDict(extra="allow", strict=True)

    sheet: str
    config: str
    probes: dict[str, str]


class Manifest(BaseModel):
    """What `run.json` must hold for a run to be read; what else it has is kept as it is."""

    model_config = ConfigDict(extra="allow", strict=True)

    schema_: Literal[1] = Field(alias="schema")
    name: str
    status: Literal["running", "finished", "interrupted", "failed", "diverged"]
    created: str
    sheet: str
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    steps: Annotated[int, Field(ge=1, le=LAST_STEP_ALLOWED + 1)]
    trained: Annotated[int, Field(ge=0)] | None = None
    task: TaskManifest
    probes: list[ProbeManifest]
    look: LookManifest
    parameters: dict[str, list[Annotated[int, Field(ge=0)]]]
    hashes: HashesManifest
    diverged: dict[str, str] = {}
    files: dict[str, str] = {}
    segments: list[dict[str, Any]] = []
    stack: Annotated[list[str], Field(min_length=1)] | None = None
