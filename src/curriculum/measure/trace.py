"""Read the curves that a run recorded on the task's probes: what every measure is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import RunError
from curriculum.store.manifest import LookManifest, ProbeManifest, ScoreManifest, skipped_updates
from curriculum.store.names import ABSENT, STEPS
from curriculum.store.reader import Run

Array = NDArray[np.float64]
Found = TypeVar("Found")
FINAL_SHARE = 0.05  # of a run's steps, the last ones, make its final error
LOWEST = 1e-12  # an error below this counts as this, so that its logarithm exists


@dataclass(frozen=True)
class Trace:
    """The curves of one seed of one run.

    `y` `[F]` is log10 of the unweighted error on the main probe at `steps` `[F]`, which are `stride` apart
    (dex; 0.3 is a factor of 2). `latents` `[G, N, L]` are those of the motion probe at `motion_steps` `[G]`.
    Of a task without latents, both are empty. `final` is the mean over the run's last 5% of steps of the same logarithm, on each
    final probe; `scores` is that of each score as it is shown, by `NAME.PROBE`, and `score_curves` are all its recorded values
    `[F]` with their steps `[F]`.

    What a task examines is in `curves`, steps `[G]` and values `[G, ...]` by name; what it exhibits at the end, and what its
    actions captured, in `exhibits`; and what no model changes in `fixed`. `last_step` is that of the run, `properties` are what
    the sheet says, `[T]` by name. `skipped` is the share of its updates that the seed skipped because they were not finite.
    `known` keeps what several measures compute of the same seed, by what was asked for; `kept` what is small, as long as the run is
    open.
    """

    stride: int
    steps: NDArray[np.int64]
    y: Array
    motion_steps: NDArray[np.int64]
    latents: Array
    final: dict[str, float]
    last_step: int = 0
    curves: Mapping[str, tuple[NDArray[np.int64], NDArray[Any]]] = field(default_factory=dict)
    exhibits: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    fixed: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    properties: Mapping[str, Array] = field(default_factory=dict)
    score_curves: Mapping[str, tuple[NDArray[np.int64], Array]] = field(default_factory=dict)
    skipped: float = 0.0
    known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, what: Hashable, compute: Callable[[], Found]) -> Found:
        """Give what was computed before as `what`, else compute it."""
        if what not in self.known:
            self.known[what] = compute()
        found: Found = self.known[what]
        return found

    @property
    def motion_stride(self) -> int:
        return int(self.motion_steps[1] - self.motion_steps[0]) if len(self.motion_steps) > 1 else self.stride


def common_strides(runs: Sequence[Run]) -> tuple[int, int]:
    """Find the coarsest grids of steps that all runs have: of the error, and of the latents (1 without latents)."""
    errors = math.lcm(*(_stride(_errors(run)[0]) for run in runs))
    return errors, math.lcm(*(_stride(_latents(run)[0]) for run in runs))


def trace(run: Run, seed_index: int, strides: tuple[int, int]) -> Trace:
    """Read the curves of one seed of a run, at every `strides[0]`-th step, and its latents at every `strides[1]`-th.

    Raises `RunError` where the run has none.
    """
    steps, errors = _errors(run)
    scores = scores_of(run)
    kept = steps % strides[0] == 0
    motion_steps, latents = _latents(run)
    moving = motion_steps % strides[1] == 0
    return Trace(
        stride=strides[0],
        steps=steps[kept],
        y=_dex(errors[kept, seed_index]),
        motion_steps=motion_steps[moving],
        latents=latents[moving, seed_index].astype(np.float64),
        final={probe.name: final_error(run, probe.name, seed_index) for probe in run.probes if "final" in probe.uses},
        scores={f"{score.name}.{score.probe.name}": score.final(seed_index) for score in scores},
        score_curves={f"{score.name}.{score.probe.name}": score.of(seed_index) for score in scores},
        last_step=run.schedule.last_step,
        curves={name: (run.traces[f"{name}.{STEPS}"], run.traces[name][:, seed_index]) for name in _names(run)},
        exhibits={name: array[seed_index] for name, array in run.exhibits.items()},
        fixed=run.fixed,
        properties={name: run.schedule.column(name) for name in run.schedule.properties},
        skipped=_skipped(run, run.seeds[seed_index]),
        kept=run.computed.setdefault((seed_index, strides), {}),
    )


def _skipped(run: Run, seed: int) -> float:
    found = skipped_updates(run.manifest)
    return found[seed].updates / max(run.trained_steps, 1) if seed in found else 0.0


def final_error(run: Run, probe: str, seed_index: int) -> float:
    """Compute the mean of the log10 error on a probe over the run's last 5% of steps, in dex.

    NaN where the run was stopped before its last steps, from which on some probes are recorded.
    """
    if f"loss.{probe}" not in run.traces:
        return math.nan
    steps, errors = _curve(run, "loss", probe)
    return float(_dex(errors[_last(steps), seed_index]).mean())


@dataclass(frozen=True)
class ScoreCurve:
    """A score on a probe over the steps `[F]`, its `values` `[F, S]` as they are shown, in the score's unit.

    `absent` `[F, S]` marks where a seed has no value, because only other seeds were scored there; None where all have all.
    """

    name: str
    title: str
    probe: ProbeManifest
    shown: ScoreManifest
    steps: NDArray[np.int64]
    values: Array
    absent: NDArray[np.bool_] | None = None

    def final(self, seed_index: int) -> float:
        """Compute the mean over the seed's last 5% of steps; NaN where the run was stopped before them."""
        steps, values = self.of(seed_index)
        return float(values[_last(steps)].mean()) if len(steps) else math.nan

    def of(self, seed_index: int) -> tuple[NDArray[np.int64], Array]:
        """Give the values of one seed `[F]`, with their steps `[F]`."""
        there = slice(None) if self.absent is None else ~self.absent[:, seed_index]
        return self.steps[there], self.values[there, seed_index]


def scores_of(run: Run) -> list[ScoreCurve]:
    """Read the scores of a run on its final probes, or those that a training loop logged, in the order of the task."""
    found = []
    for name, shown, probe in scored(run.look, run.probes):
        curve = f"score.{name}.{probe.name}"
        empty = np.empty(0, dtype=np.int64), np.empty((0, len(run.seeds)))
        steps, values = (run.traces[f"{curve}.{STEPS}"], run.traces[curve]) if curve in run.traces else empty
        title = f"{name} on {probe.title}" if probe.title else name
        absent = run.traces[f"{ABSENT}{curve}"].astype(bool) if f"{ABSENT}{curve}" in run.traces else None
        found.append(ScoreCurve(name, title, probe, shown, steps, shown.scale * values.astype(np.float64), absent))
    return found


def scored(look: LookManifest, probes: Sequence[ProbeManifest]) -> list[tuple[str, ScoreManifest, ProbeManifest]]:
    """List the scores, each on each final probe, or those that a training loop logged, in the order of the task."""
    final = [probe for probe in probes if {"final", "scores"} & set(probe.uses)]
    return [(name, shown, probe) for name, shown in look.scores.items() for probe in final]


def median_seeds(runs: Sequence[Run]) -> list[int]:
    """Choose the seed that stands for each run, by its place: the same seed for all where they share it.

    It is the seed whose final error on the main probe is the median in the first run; without an error, its first score.
    """
    first = _median_seed(runs[0])
    seed = runs[0].seeds[first]
    return [run.seeds.index(seed) if seed in run.seeds else _median_seed(run) for run in runs]


def _median_seed(run: Run) -> int:
    if len(run.seeds) == 1:
        return 0
    values = _final_values(run)
    order = sorted(range(len(run.seeds)), key=lambda index: (run.seeds[index] in run.diverged, values[index]))
    return order[(len(order) - len(run.diverged) - 1) // 2] if len(run.diverged) < len(order) else order[0]


def ranked_by(run: Run) -> str:
    """Name the number by which the seeds of a run are ordered, of which one has the median: `final error`, or a score."""
    scores = [] if has_error(run) else scores_of(run)
    return f"final {scores[0].name}" if scores else "final error"


def ranked_seeds(run: Run) -> list[int]:
    """Order the seeds of a run, by their places, from the best to the worst; those that diverged come last."""
    scores = [] if has_error(run) else scores_of(run)
    sign = -1 if scores and scores[0].shown.better == "higher" else 1
    values = [sign * value for value in _final_values(run)]
    return sorted(range(len(run.seeds)), key=lambda index: (run.seeds[index] in run.diverged, np.isnan(values[index]), values[index]))


def _final_values(run: Run) -> list[float]:
    """Give the number by which the seeds of a run are ordered: the final error, or the first score."""
    if has_error(run):
        return [final_error(run, _probe(run, "loss").name, index) for index in range(len(run.seeds))]
    scores = scores_of(run)
    return [scores[0].final(index) if scores else 0.0 for index in range(len(run.seeds))]


def has_error(run: Run) -> bool:
    """Tell whether a run follows the error on a probe. One that a training loop of a user's own filled has only what that logged."""
    return not run.tracked


def _errors(run: Run) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Read the error on the main probe: steps `[F]`, and errors `[F, S]`; empty where there is none."""
    if not has_error(run):
        return np.empty(0, dtype=np.int64), np.empty((0, len(run.seeds)))
    return _curve(run, "loss", _probe(run, "loss").name)


def error_curves(run: Run) -> tuple[NDArray[np.int64], Array]:
    """Read the log10 error on the main probe of all seeds: steps `[F]`, and dex `[F, S]`."""
    steps, errors = _errors(run)
    return steps, _dex(errors)


def untrained(run: Run) -> bool:
    """Tell whether most seeds did not train: the error on the main probe ends no lower than it began, or it or the latents stand still.

    They stand still where they are exactly the same as before at more than half of the steps.
    """
    steps, dex = error_curves(run)
    if len(steps) < 2:
        return False
    latents = _latents(run)[1]
    stuck = ~(dex[_last(steps)].mean(axis=0) < dex[0]) | (np.mean(np.diff(dex, axis=0) == 0, axis=0) > 0.5)
    if len(latents) > 1:
        stuck |= np.mean((latents[1:] == latents[:-1]).all(axis=(2, 3)), axis=0) > 0.5
    return bool(np.mean(stuck) > 0.5)


def _names(run: Run) -> list[str]:
    return [name for name in run.traces if not name.endswith(f".{STEPS}") and not name.startswith(ABSENT)]


def _latents(run: Run) -> tuple[NDArray[np.int64], NDArray[Any]]:
    if run.has_latents:
        return _curve(run, "latents", _probe(run, "motion").name)
    return np.empty(0, dtype=np.int64), np.empty((0, len(run.seeds), 0, 0))


def _last(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the steps `[F]` among the last 5% of those that were trained."""
    return np.asarray(steps >= math.floor((1 - FINAL_SHARE) * (steps[-1] + 1)))


def _probe(run: Run, use: str) -> ProbeManifest:
    for probe in run.probes:
        if use in probe.uses:
            return probe
    raise RunError(f"the run {run.path} is damaged: none of its probes is for {use}")


def _curve(run: Run, kind: str, probe: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    name = f"{kind}.{probe}"
    if name not in run.traces:
        raise RunError(f"the run {run.path} has no curve {name}: it ended before the first value was recorded")
    return run.traces[f"{name}.{STEPS}"], run.traces[name]


def _stride(steps: NDArray[np.int64]) -> int:
    return int(steps[1] - steps[0]) if len(steps) > 1 else 1


def _dex(errors: NDArray[Any]) -> Array:
    return np.log10(np.maximum(errors.astype(np.float64), LOWEST))
