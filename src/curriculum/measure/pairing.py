"""Line runs up for a comparison: whether they can be compared, what each is called, and which of their seeds form pairs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curriculum.errors import InputError
from curriculum.measure.stats import Array
from curriculum.store.blocks import seeds_text
from curriculum.store.experiment import arm_of
from curriculum.store.manifest import skipped_updates
from curriculum.store.reader import Run
from curriculum.store.waiting import waiting

FEWEST = 8  # pairs, below which nothing is tested
DISTINCT = 2**32  # seeds that PyTorch tells apart
DIVERGED_SHARE = 0.25  # of a run's seeds, above which only the divergence is reported
USABLE = ("finished", "diverged", "interrupted")


@dataclass(frozen=True)
class ComparedRun:
    """A run of a comparison. No other one has the same `name`: the shortest end of the path that tells it from them.

    Where its experiment gives it a label of its own, that is its name. `color` is the one that its experiment gives it.
    """

    name: str
    path: str
    status: str
    sheet: str
    created: str
    steps: int
    last_step: int
    seeds: tuple[int, ...]
    diverged: dict[int, str]
    color: str | None = None


@dataclass(frozen=True)
class Pairing:
    """Two runs that are compared, by their places among the runs, and the seeds by which they are: `first` against `other`.

    `first_places` and `other_places` are the places of these seeds in their runs: where the runs share seeds, the shared
    ones, in the same order; else all. `tested` says whether their differences are tested.
    """

    first: int
    other: int
    first_places: tuple[int, ...]
    other_places: tuple[int, ...]
    paired: bool
    tested: bool

    def pick(self, values: tuple[Sequence[float], Sequence[float]]) -> tuple[Array, Array]:
        """Pick the values of these seeds from those of the two runs: `[N]` of the first, and `[M]` of the other."""
        first, other = values
        return np.array([first[place] for place in self.first_places]), np.array([other[place] for place in self.other_places])


@dataclass(frozen=True)
class Lineup:
    """The runs of a comparison, the pairs of them that are compared, and what a reader must know of them."""

    runs: tuple[ComparedRun, ...]
    pairings: tuple[Pairing, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.name for run in self.runs)


def line_up(runs: Sequence[Run], baseline: int | None = None, all_pairs: bool = False, unequal: bool = False) -> Lineup:
    """Check that runs can be compared, name them, choose the pairs of runs that are, and pair their seeds.

    Without a `baseline`, the first run is compared against each other one; else each other one against the baseline. With
    `all_pairs` each run is compared against each one after it. Runs that trained for different numbers of steps are tested only
    where they may be `unequal`. Raises `InputError` for fewer than two runs, runs that are not over, or runs of different tasks,
    models or probes.
    """
    names = names_of(runs)
    _check(runs, names)
    if all_pairs:
        chosen = [(first, other) for first in range(len(runs)) for other in range(first + 1, len(runs))]
    elif baseline is not None:
        chosen = [(first, baseline) for first in range(len(runs)) if first != baseline]
    else:
        chosen = [(0, other) for other in range(1, len(runs))]
    pairings = tuple(_pair(runs, first, other, unequal) for first, other in chosen)
    return Lineup(tuple(map(_describe, runs, names)), pairings, tuple(_notes(runs, names, pairings)))


def names_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Name each run by its label, or by the shortest end of its path that no other run has: its folder's name, where that is enough.

    A label that another run has as well, as label or name, is not used.
    """
    paths = [Path(os.path.abspath(run.path)).parts for run in runs]
    names = [_shortest(path, [other for other in paths if other != path]) for path in paths]
    labels = [arm_of(run).label or name for run, name in zip(runs, names, strict=True)]
    return tuple(label if labels.count(label) == 1 else name for label, name in zip(labels, names, strict=True))


def _shortest(path: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    lengths = range(1, len(path) + 1)
    length = next((length for length in lengths if all(other[-length:] != path[-length:] for other in others)), len(path))
    return Path(*path[-length:]).as_posix()


def _check(runs: Sequence[Run], names: Sequence[str]) -> None:
    if len(runs) < 2:
        raise InputError("a comparison needs at least two runs")
    paths = [run.path.resolve() for run in runs]
    for run, name, path in zip(runs, names, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"the run {name!r} is listed twice: a comparison needs different runs")
        if run.status not in USABLE:
            raise InputError(f"the run {name!r} cannot be compared: its status is {run.status!r}")
    for run, name in zip(runs[1:], names[1:], strict=True):
        _check_alike(runs[0], run, names[0], name)


def _check_alike(first: Run, other: Run, name: str, other_name: str) -> None:
    if any(other.manifest["task"].get(key) != first.manifest["task"].get(key) for key in ("name", "version")):
        raise InputError(f"runs of different tasks cannot be compared: {name!r} is {_task(first)}, {other_name!r} is {_task(other)}")
    if other.manifest["parameters"] != first.manifest["parameters"]:
        raise InputError(
            f"{name!r} and {other_name!r} cannot be compared: their models have different parameters "
            f"({_size(first)} and {_size(other)} numbers), so their configs describe different models"
        )
    if other.manifest["hashes"].get("probes") != first.manifest["hashes"].get("probes"):
        raise InputError(f"{name!r} and {other_name!r} cannot be compared: their probes differ")
    before, after = first.look.scores, other.look.scores
    if first.tracked and (strange := [own for own in dict.fromkeys([*before, *after]) if before.get(own) != after.get(own)]):
        raise InputError(
            f"{name!r} and {other_name!r} cannot be compared: they declare the metric {strange[0]!r} differently, or only one of them does"
        )


def _pair(runs: Sequence[Run], first: int, other: int, unequal: bool) -> Pairing:
    both = runs[first], runs[other]
    distinct = [_distinct(run.seeds) for run in both]
    shared = [seed for seed in distinct[0] if seed in distinct[1]]
    places, other_places = (tuple(run.seeds.index(seed) for seed in shared or own) for run, own in zip(both, distinct, strict=True))
    enough = min(len(places), len(other_places)) >= FEWEST
    healthy = max(map(_diverged_share, both)) <= DIVERGED_SHARE
    tested = enough and healthy and (unequal or not _unequal(*both))
    return Pairing(first, other, places, other_places, paired=bool(shared), tested=tested)


def _distinct(seeds: Sequence[int]) -> list[int]:
    """Leave out the seeds that are equal to an earlier one modulo 2^32: PyTorch makes the same weights of both."""
    found: dict[int, int] = {}
    for seed in seeds:
        found.setdefault(seed % DISTINCT, seed)
    return list(found.values())


def _unequal(first: Run, other: Run) -> bool:
    """Tell whether two runs were trained for different numbers of steps, or one of them was interrupted."""
    return first.trained_steps != other.trained_steps or "interrupted" in (first.status, other.status)


def _describe(run: Run, name: str) -> ComparedRun:
    manifest, path = run.manifest, str(run.path.resolve())
    last_step = run.schedule.last_step
    what = name, path, run.status, manifest["sheet"], run.created, manifest["steps"], last_step, run.seeds, run.diverged
    return ComparedRun(*what, arm_of(run).color)


def _notes(runs: Sequence[Run], names: Sequence[str], pairings: Sequence[Pairing]) -> Iterator[str]:
    """Say what the runs differ in beside their sheets, how far their seeds form pairs, and which did not finish."""
    for pairing in pairings:
        first, other = pairing.first, pairing.other
        yield from _differences(runs[first], runs[other], names[first], names[other], pairing)
        yield from _pairs(runs[first], runs[other], names[first], names[other], pairing)
    for run, name in zip(runs, names, strict=True):
        whole = run.manifest.get("sheet_steps") or run.manifest["steps"]
        if run.manifest["steps"] < whole:
            yield f"{name} was trained on the first {run.manifest['steps']:,} of its sheet's {whole:,} steps only (--steps)"
        if repeated := len(run.seeds) - len(_distinct(run.seeds)):
            yield f"{name}: {repeated} of its seeds equal another one modulo 2^32, so they are no replicates, and are left out"
        yield from (f"{name}: {note}" for note in waiting(run))
        if len(versions := _versions(run)) > 1:
            what = "the script" if run.tracked else "the code of the task"
            yield f"{what} has changed between the seeds of {name}: {'; '.join(map(seeds_text, versions))}"
        if run.status != "finished":
            ended = "diverged" if run.status == "diverged" else "was interrupted"
            yield f"{name} {ended} after {run.trained_steps:,} of its {run.manifest['steps']:,} steps"
        for segment in run.manifest.get("segments", []):
            if "task" in segment:
                yield f"{name} was trained by other code of the task from step {segment['from']:,} on than before (--accept-changed-code)"
        if run.diverged:
            lost = ", ".join(map(str, run.diverged))
            yield f"{name}: {len(run.diverged)} of {len(run.seeds)} seeds diverged and rank worst (seed {lost})"
        if skipped := skipped_updates(run.manifest):
            most = max(skipped, key=lambda seed: skipped[seed].updates)
            yield (
                f"{name}: {len(skipped)} of {len(run.seeds)} seeds skipped updates that were not finite, "
                f"at most {skipped[most].updates:,} of {run.trained_steps:,} (seed {most})"
            )
        if _diverged_share(run) > DIVERGED_SHARE:
            yield f"more than {DIVERGED_SHARE:.0%} of the seeds of {name} diverged: nothing else is tested"


def _versions(run: Run) -> list[list[int]]:
    """Group the seeds of the blocks of a run by the code that trained them."""
    found: dict[str, list[int]] = {}
    for block in run.manifest.get("blocks") or ():
        if "source" in block:
            found.setdefault(block["source"], []).extend(block["seeds"])
    return [sorted(seeds) for seeds in found.values()]


def _differences(first: Run, other: Run, name: str, other_name: str, pairing: Pairing) -> Iterator[str]:
    if other.manifest["hashes"].get("sheet") == first.manifest["hashes"].get("sheet"):
        yield f"the sheets of {name} and {other_name} are identical"
    if other.manifest["task"].get("source") != first.manifest["task"].get("source"):
        what = "the script" if first.tracked else "the code of the task"
        yield f"{what} has changed between {name} and {other_name}: the sheets are not the only difference"
    if len(other.schedule) != len(first.schedule):
        yield (
            f"{name} has {len(first.schedule):,} steps and {other_name} {len(other.schedule):,}: "
            "stability is measured over the common steps, the final error at the end of each run"
        )
    if _unequal(first, other) and not pairing.tested:
        trained = f"{name} was trained for {first.trained_steps:,} steps and {other_name} for {other.trained_steps:,}"
        yield f"{trained}: their differences are described, not judged (--unequal judges them)"
    if other.manifest["hashes"].get("training") != first.manifest["hashes"].get("training"):
        yield f"{name} and {other_name} were trained with different configs: the sheets are not the only difference"


def _pairs(first: Run, other: Run, name: str, other_name: str, pairing: Pairing) -> Iterator[str]:
    count = len(pairing.first_places)
    if min(count, len(pairing.other_places)) < FEWEST:
        shared = count if pairing.paired else 0
        yield (
            f"too few seeds to test: {name} and {other_name} share {shared} seed{'' if shared == 1 else 's'}, but "
            f"at least {FEWEST} are needed; the results are only descriptive"
        )
    elif not pairing.paired:
        yield f"{name} and {other_name} share no seeds: they are compared unpaired, which detects only larger effects"
    elif left := len({*_distinct(first.seeds), *_distinct(other.seeds)}) - count:
        yield f"{left} seeds of {name} and {other_name} are not in both runs and are excluded from the tests"


def _diverged_share(run: Run) -> float:
    return len(run.diverged) / len(run.seeds)


def _size(run: Run) -> str:
    return f"{sum(math.prod(shape) for shape in run.manifest['parameters'].values()):,}"


def _task(run: Run) -> str:
    return f"{run.task_name!r} version {run.manifest['task'].get('version')}"
