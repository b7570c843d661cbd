"""Read stored comparisons: which runs they are of, and what was found."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from curriculum.errors import RunError
from curriculum.store.files import read_document, reason
from curriculum.store.names import COMPARISONS

DOCUMENT = "compare.json"
MOST_COMPARISON = 64 * 2**20  # bytes of it: it has every value of every seed
SCHEMA = 3  # of which what was found is read; of those before, only the runs are
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RunRecord(_Part):
    """A run as it was compared: how the comparison calls it, where it was, and its seeds."""

    name: str
    path: str
    seeds: list[int]


class PairRecord(_Part):
    """Two runs that were compared, by their places: the first against the other."""

    first: int
    other: int


class HypothesisRecord(PairRecord):
    """What was found of a hypothesis, which is about `measures`."""

    id: str
    measures: list[str]
    verdict: str


class VerdictRecord(PairRecord):
    """What was found of a measure."""

    id: str
    title: str
    effect: str
    unit: str
    value: Number
    verdict: str


class SmallestRecord(_Part):
    """The smallest effect of interest: as a share, and that of single measures."""

    ratio: float
    own: dict[str, float]


class ComparisonRecord(_Part):
    """A stored comparison. Those of earlier schemas have neither `pairs` nor `smallest`."""

    path: Path
    created: str
    runs: list[RunRecord]
    pairs: list[PairRecord] = []
    hypotheses: list[HypothesisRecord] = []
    verdicts: list[VerdictRecord] = []
    guards: list[VerdictRecord] = []
    primary: list[str] | None = None
    smallest: SmallestRecord | None = None
    earlier_looks: list[int] = []

    @model_validator(mode="after")
    def _of_its_runs(self) -> Self:
        if any(not 0 <= place < len(self.runs) for pair in self.pairs for place in (pair.first, pair.other)):
            raise ValueError("a pair is of a run that is not among its runs")
        return self

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def paths(self) -> list[str]:
        """Where its runs were."""
        return [run.path for run in self.runs]

    @property
    def shared_seeds(self) -> int:
        """How many seeds all of its runs have."""
        return len(set.intersection(*(set(run.seeds) for run in self.runs))) if self.runs else 0


def comparison_paths(folder: Path) -> list[Path]:
    """List the folders of the comparisons that are stored beside runs."""
    return sorted(path.parent for path in (folder / COMPARISONS).glob(f"*/{DOCUMENT}") if not path.parent.name.startswith("."))


def read_comparison(path: Path) -> ComparisonRecord:
    """Read the comparison in a folder. Raises `RunError` where it is damaged."""
    try:
        document = read_document(path / DOCUMENT, MOST_COMPARISON)
        if not isinstance(document, dict):
            raise ValueError("it is not a comparison")
        known = document if document.get("schema") == SCHEMA else {key: document.get(key) for key in ("created", "runs")}
        return ComparisonRecord.model_validate({**known, "path": path})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RunError(f"the comparison {path} is damaged: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"the comparison {path} is damaged: {reason(error)}") from None


def comparisons_in(folder: Path) -> tuple[list[ComparisonRecord], list[RunError]]:
    """Read the comparisons beside the runs in a folder, the oldest first; also give what is wrong with those that cannot be read."""
    found, damaged = [], []
    for path in comparison_paths(folder):
        try:
            found.append(read_comparison(path))
        except RunError as error:
            damaged.append(error)
    return sorted(found, key=lambda one: (one.created, one.name)), damaged


def comparisons_of(path: Path, folder: Path) -> list[ComparisonRecord]:
    """List the comparisons beside the runs in `folder` of the run at `path`, or of one in it."""
    place, found = os.path.realpath(path), []
    for own in comparison_paths(folder):
        with suppress(RunError):
            record = read_comparison(own)
            if any(Path(os.path.realpath(run.path.replace("\0", ""))).is_relative_to(place) for run in record.runs):
                found.append(record)
    return found
