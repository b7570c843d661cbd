"""What was recorded of the gradients while a network was trained."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.trace import Trace, common_strides, trace
from curriculum.measure.windows import Mask, inside
from curriculum.store.reader import Run

REGULAR, MODIFIED, COMBINED = range(3)
Array = NDArray[np.float64]


def sizes(trace: Trace, window: Mask) -> tuple[NDArray[np.int64], Array]:
    """Read the norms `[G, 3]` of the regular, the modified and the combined gradient at the steps `[G]` of a window."""
    steps, values = _curve(trace, "norms", window)
    return steps, values.reshape(-1, 3)


def own_sizes(trace: Trace, window: Mask) -> Array:
    """Give the norms `[G]` of the gradient that the sheet asks for at each step of a window, before it is clipped."""
    steps, values = sizes(trace, window)
    return values[np.arange(len(steps)), _rule(trace, steps)]


def largest(trace: Trace, window: Mask, rule: int) -> float:
    """Give the largest norm of the gradient of a rule, before clipping, among the steps at which it is recorded."""
    found = sizes(trace, window)[1]
    return float(found[:, rule].max()) if len(found) else float("nan")


def own_directions(trace: Trace, window: Mask) -> Array:
    """Give the sketch `[G, K]` of the direction that the sheet asks for at each step of a window; 0 where it is not finite."""
    steps, values = _curve(trace, "directions", window)
    if not len(steps):
        return np.empty((0, 0))
    found: Array = np.nan_to_num(values.reshape(len(steps), 3, -1), nan=0.0, posinf=0.0, neginf=0.0)
    return found[np.arange(len(steps)), _rule(trace, steps)]


def size_bands(run: Run) -> tuple[NDArray[np.int64], Array]:
    """Compute the 10th, 50th and 90th percentile over seeds of the norms at each recorded step: steps `[G]`, bands `[4, 3, G]`.

    The first of the four is the gradient that the sheet asks for, then the regular, the modified and the combined one. Seeds that
    diverged are left out, unless all did; a norm that is not finite is missing.
    """
    kept = [index for index, seed in enumerate(run.seeds) if seed not in run.diverged] or list(range(len(run.seeds)))
    owns = [trace(run, index, common_strides([run])) for index in kept]
    window = np.ones(len(run.schedule), dtype=bool)
    steps = sizes(owns[0], window)[0]
    values = np.stack([np.column_stack([own_sizes(own, window), sizes(own, window)[1]]) for own in owns])  # [S, G, 4]
    values[~np.isfinite(values)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no seed has a number, there is none
        found: Array = np.nanpercentile(values, (10, 50, 90), axis=0)
    return steps, found.transpose(2, 0, 1)


def median_of(trace: Trace, window: Mask, name: str) -> float:
    """Compute the median of a curve over a window; NaN where it has no value."""
    _, values = _curve(trace, name, window)
    return float(np.median(values)) if len(values) else float("nan")


def _curve(trace: Trace, name: str, window: Mask) -> tuple[NDArray[np.int64], Array]:
    if f"gradient.{name}" not in trace.curves:
        return np.empty(0, np.int64), np.empty(0)
    steps, values = trace.curves[f"gradient.{name}"]
    kept = inside(steps, window)
    return steps[kept], values[kept].astype(np.float64)


def _rule(trace: Trace, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Say which of the three gradients the sheet asks for at each step."""
    feedback, agree = (_column(trace, name, steps, default) for name, default in (("feedback", 1.0), ("agree", 0.0)))
    return np.where(agree >= 0.5, COMBINED, np.where(feedback >= 0.5, REGULAR, MODIFIED))


def _column(trace: Trace, name: str, steps: NDArray[np.int64], default: float) -> Array:
    return trace.properties[name][steps] if name in trace.properties else np.full(len(steps), default)
