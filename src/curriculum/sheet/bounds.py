"""The bounds of a property's values, and the check that the path of a retarget stays within them.

The keys of a sheet are checked one by one: between keys a path never leaves their range. A retarget starts from a state
of motion, so its path may overshoot both its start and its target, and is checked as a whole.
"""

from __future__ import annotations

import math
import sys
from itertools import count

import numpy as np

from curriculum.errors import InputError
from curriculum.sheet.easings import SPACES
from curriculum.sheet.schedule import Schedule
from curriculum.sheet.tracks import Track

Bounds = tuple[float, float]  # the smallest and the largest value, both allowed

UNBOUNDED: Bounds = (-math.inf, math.inf)
NONNEGATIVE: Bounds = (0.0, math.inf)
# The lower bound of what may be as small as you like, but not 0. Smaller numbers are denormal, which count as 0 while training.
ABOVE_ZERO = sys.float_info.min

ROUNDING = 1e-12  # of the largest value on a path: it is out of bounds only by more


def allowed(bounds: Bounds) -> str:
    """Describe bounds in words: `0 to 1`, `at least 0`, `above 0, at most 2`."""
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high) and low != ABOVE_ZERO:
        return f"{low:g} to {high:g}"
    lower = "above 0" if low == ABOVE_ZERO else f"at least {low:g}" if math.isfinite(low) else ""
    upper = f"at most {high:g}" if math.isfinite(high) else ""
    return ", ".join(filter(None, (lower, upper)))


def check_path(schedule: Schedule, name: str, step: int, bounds: Bounds) -> None:
    """Check that a property that was retargeted at `step` stays within its bounds from there to the end.

    On a side without a bound, the path may overshoot by the range that is spanned by the property's keys, the value at
    `step` and the target, in the property's own space.

    Raises `InputError` with the extreme value, the step at which it is reached, the bounds, and what to do.
    """
    track = next(track for track in schedule.tracks if track.name == name)
    later = [key for key in track.keys if key[0] > schedule.last_step]
    steps = np.append(np.arange(step, len(schedule)), [at for at, _ in later]).astype(np.int64)
    path = np.append(schedule.column(name)[step:], [value for _, value in later])
    low, high = limits = _limits(track, bounds)
    excess = np.maximum(low - path, path - high)
    worst = int(excess.argmax())
    if excess[worst] <= ROUNDING * np.abs(path).max():
        return
    target = next(value for at, value in track.keys if at > step)
    if not bounds[0] <= target <= bounds[1]:
        raise InputError(f"the target {_digits(target, bounds)} of {name!r} is outside its bounds (allowed: {allowed(bounds)})")
    reached = float(path[worst])
    if bounds[0] <= reached <= bounds[1]:
        limit = f"above {high:.4g}" if reached > high else f"below {low:.4g}"
        least, most = _range(track)
        where = f"{limit}: a path may overshoot by the range of its keys, {least:.4g} to {most:.4g}"
    else:
        where = f"outside its bounds (allowed: {allowed(bounds)})"
    raise InputError(
        f"{name!r} would reach {_digits(reached, limits)} at step {steps[worst]}, {where}; choose a shorter duration, "
        f"or retarget while {name!r} is moving more slowly"
    )


def _range(track: Track) -> tuple[float, float]:
    """Find the smallest and the largest key; a retarget's start and target are among the keys."""
    values = [value for _, value in track.keys]
    return min(values), max(values)


def _limits(track: Track, bounds: Bounds) -> Bounds:
    """Find how far a path may go: to its bounds, and where there is none, by the range of the keys beyond them."""
    space = SPACES[track.space]
    with np.errstate(over="ignore"):
        low, high = space.into(np.array(_range(track)))
        below, above = space.out(np.array([low - (high - low), high + (high - low)]))
    return (bounds[0] if math.isfinite(bounds[0]) else float(below), bounds[1] if math.isfinite(bounds[1]) else float(above))


def _digits(value: float, limits: Bounds) -> str:
    """Write a value with as many digits as set it apart from its limits, at least 4."""
    return next(text for digits in count(4) if float(text := f"{value:.{digits}g}") not in limits)
