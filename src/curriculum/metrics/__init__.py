"""Measures of a run, one file each. A module here names its measure as `METRIC`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A measure of one seed's trace within a window of steps.

    `compute(trace, window)` gives a number, NaN where the window has too few steps; `window` `[T]` marks
    steps. `windowed` says whether it is also reported for parts of the run. `effect` is how two runs are compared: by
    their `ratio` or their `difference`. `variants` are other settings, as keywords of `compute`: a finding that does not
    hold for them depends on the window. An `exploratory` measure is none of the family that is tested. Lower is better for
    all.
    """

    order: int
    id: str
    title: str
    unit: str
    compute: Callable[..., float]
    windowed: bool
    effect: str = "ratio"
    variants: tuple[Mapping[str, float], ...] = ()
    exploratory: bool = False
