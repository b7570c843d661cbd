"""How many movements the drift of the latents is made of: the spectral arc length of its speed (SPARC)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import FILTER, speed_throughout
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside, intervals

THRESHOLD = 0.05  # of the largest magnitude, below which the spectrum is noise
PADDING = 4  # powers of two by which the speed is padded with zeros, so that its spectrum is a curve
HIGHEST = 2 / FILTER  # cycles per step: the first zero of the low-pass that makes the drift, beyond which it has none
FEWEST = 8  # speeds in a stretch, below which they have no spectrum to speak of


def arc_length(speed: Array, interval: float, highest: float) -> float:
    """Compute the arc length of the amplitude spectrum of a speed profile `[K]`: the longer, the less smooth.

    The spectrum V(f) of the zero-padded profile is divided by its largest value, and taken from 0 to the last frequency, at most
    `highest`, where it is at least 0.05; frequencies are divided by that one. The length is then the sum of
    sqrt(df^2 + dV^2). Balasubramanian et al. 2012 and 2015 define it with a minus sign. It knows neither the
    size nor the duration of a movement; a minimum-jerk one has about 1.4. `interval` and `highest` are in steps and per step.
    NaN where nothing moves.
    """
    size = 2 ** (int(np.ceil(np.log2(len(speed)))) + PADDING)
    magnitude = np.abs(np.fft.rfft(speed, size))
    if not magnitude.max() > 0:
        return float("nan")
    magnitude = magnitude[np.fft.rfftfreq(size, interval) <= highest] / magnitude.max()
    curve = magnitude[: np.flatnonzero(magnitude >= THRESHOLD)[-1] + 1]
    return float(np.hypot(1 / (len(curve) - 1), np.diff(curve)).sum())


def sparc(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean arc length over the stretches of the window: of the transitions, each is one.

    The drift is that of the whole run, so that stretches shorter than its filter have one too.
    """
    found = speed_throughout(trace)
    if found is None:
        return float("nan")
    steps, speed = found
    # The last speed is that between the last two positions, of which the window may mark the later one.
    marked = inside(np.append(steps, steps[-1] + trace.motion_stride), window)
    lengths = []
    for first, last in intervals(marked):
        if last - first >= FEWEST:
            lengths.append(arc_length(speed[first:last], trace.motion_stride, HIGHEST))
    return float(np.mean(lengths)) if lengths else float("nan")


METRIC = Metric(
    "E9",
    "spectral arc length of the drift (-SPARC, transitions)",
    "",
    sparc,
    windowed=False,
    window="transitions",
    exploratory=True,
    needs=f"a transition in which the latents move, with {FEWEST + 1} recorded",
    latents=True,
    order=14,
)
