"""Measures of any score or logged metric over training: its best value, its mean, when it reaches a level, and how unsteady it is.

Each is computed from the recorded values `[F]` of one seed at their steps `[F]`, in the unit in which they are shown. They are
exploratory, unless an experiment makes one of them primary. "Worse" is lower where higher is better, and the reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.store.manifest import ScoreManifest

Steps = NDArray[np.int64]
Array = NDArray[np.float64]
SUDDEN = 100  # steps within which a change is sudden
SPIKE = 7.0  # times the interquartile range of all changes
FEWEST_CHANGES = 4
ORDER = 900  # after the measures that are shipped, before the task's own
NAMES, UNTIL = ("best", "mean", "worsening", "spikes", "fluctuation"), "steps"  # after the id of a score and a colon
TOLERANCE = 1e-12  # of a level: 0.9 as a float32 reaches 0.9


def best(steps: Steps, worse: Array) -> float:
    """Give the best recorded value."""
    return float(worse.min())


def mean(steps: Steps, worse: Array) -> float:
    """Compute the area under the curve (trapezoids) divided by its length in steps: the mean over training."""
    if len(steps) == 1:
        return float(worse[0])
    return float(np.trapezoid(worse, steps) / (steps[-1] - steps[0]))


def worsening(steps: Steps, worse: Array) -> float:
    """Compute the largest sudden worsening: against the best value of the 100 steps before, or the one before where none is as near."""
    if len(steps) < 2:
        return math.nan
    first = np.minimum(np.searchsorted(steps, steps - SUDDEN), np.arange(len(steps)) - 1)
    found = [worse[place] - worse[first[place] : place].min() for place in range(1, len(steps))]
    return float(max(0.0, *found))


def spikes(steps: Steps, worse: Array) -> float:
    """Count the values that are worse than the one before by more than 7 times the interquartile range of all changes."""
    changes = np.diff(worse)
    if len(changes) < FEWEST_CHANGES:
        return math.nan
    low, high = np.quantile(changes, [0.25, 0.75])
    return float((changes > SPIKE * (high - low)).sum())


def fluctuation(steps: Steps, worse: Array) -> float:
    """Compute the interquartile range of the changes from one recorded value to the next."""
    changes = np.diff(worse)
    if len(changes) < FEWEST_CHANGES:
        return math.nan
    low, high = np.quantile(changes, [0.25, 0.75])
    return float(high - low)


def reached(trace: Trace, window: Mask, place: str, sign: int, level: float) -> float:
    """Find the first step at which a score is at its level or better; the step after the last where it never is."""
    steps, values = trace.score_curves.get(place, (np.empty(0, np.int64), np.empty(0)))
    if not len(steps):
        return math.nan
    there = np.flatnonzero(sign * values <= sign * level + TOLERANCE * abs(level))
    return float(steps[there[0]]) if len(there) else float(trace.last_step + 1)


def ids_of(id_: str, has_level: bool) -> list[str]:
    """List the ids of a score's measures: its own, and those of this module."""
    return [id_, *(f"{id_}:{name}" for name in (*NAMES, *([UNTIL] if has_level else [])))]


def metrics_of_score(id_: str, place: str, about: str, shown: ScoreManifest, window: str) -> list[Metric]:
    """Make the measures of a score that is stored at a `place`, with ids such as `accuracy:best`; `about` names it in titles."""
    sign = 1 if shown.better == "lower" else -1

    def made(name: str, title: str, compute: Callable[[Steps, Array], float], signed: bool, **more: object) -> Metric:
        settings = {"unit": shown.unit, "effect": "difference", "better": "lower", "order": ORDER, **more}
        function = partial(_of_curve, place=place, sign=sign, compute=compute, signed=signed)
        needs = f"at least {FEWEST_CHANGES + 1} recorded values"
        return Metric(f"{id_}:{name}", f"{title} of {about}", compute=function, window=window, exploratory=True, needs=needs, **settings)  # type: ignore[arg-type]

    found = [
        made("best", "best value", best, True, better=shown.better, smallest=shown.smallest),
        made("mean", "mean over training", mean, True, better=shown.better, smallest=shown.smallest),
        made("worsening", f"largest sudden worsening ({SUDDEN} steps)", worsening, False, smallest=shown.smallest),
        made("spikes", "spikes", spikes, False, unit="spikes", counts=True),
        made("fluctuation", "fluctuation", fluctuation, False, effect="ratio"),
    ]
    if shown.level is not None:
        unit = f"{shown.unit}" if shown.unit == "%" else f" {shown.unit}".rstrip()
        found.append(
            Metric(
                id=f"{id_}:{UNTIL}",
                title=f"steps until {about} is {shown.level:g}{unit}",
                unit="steps",
                compute=partial(reached, place=place, sign=sign, level=shown.level),
                effect="time",
                exploratory=True,
                window=window,
                needs="a recorded value",
                order=ORDER,
            )
        )
    return found


def _of_curve(trace: Trace, window: Mask, place: str, sign: int, compute: Callable[[Steps, Array], float], signed: bool) -> float:
    steps, values = trace.score_curves.get(place, (np.empty(0, np.int64), np.empty(0)))
    known = np.isfinite(values)
    if not known.any():
        return math.nan
    found = compute(steps[known], sign * values[known])
    return sign * found if signed else found
