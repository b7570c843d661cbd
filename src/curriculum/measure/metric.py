"""Measures of a run, one file each. A module here names its measure as `METRIC`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Effect = Literal["ratio", "difference", "share", "time"]
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A measure of one seed's trace within a window of steps.

    `compute(trace, window)` gives a number, NaN where there is none; `window` `[T]` marks steps. `needs` says what must be
    there for a number, such as `a rise of the error`: a comparison tells it of seeds that have none. The measure is judged
    over one `window`; `windowed` says whether it is also reported for the others. `better` is `lower` or `higher`.
    `variants` are other settings, as keywords of `compute`: a finding that does not hold for them depends on the window. An
    `exploratory` measure is none of the family that is tested. One with a `limit` is a gate: a seed passes where it is
    not on the worse side of that, and no effect is judged. One that `counts` events is also shown per 1,000 steps where runs
    differ in length.

    One that is of `latents` has no value for runs without them, and is not asked for there. `smallest` is the smallest effect of
    interest: of a ratio, a time or a count a share (0.1 is 10%, of a count's mean), of a share in points / 100, of another
    difference in its unit. None stands for the general one, which differences do not have: they are judged for direction only.

    `effect` is how two runs are compared: by their `ratio` or their `difference`; by the shares of their seeds for which
    it holds, where each number is 0 or 1 (`share`); or by the ratio of the steps at which something happened (`time`),
    where a seed for which it never did has the number after its last step. Tables show measures in their `order`.
    """

    id: str
    title: str
    unit: str
    compute: Callable[..., float]
    windowed: bool = False
    effect: Effect = "ratio"
    better: Better = "lower"
    variants: tuple[Mapping[str, float], ...] = ()
    exploratory: bool = False
    limit: float | None = None
    window: str = "whole"
    counts: bool = False
    needs: str = ""
    latents: bool = False
    smallest: float | None = None
    order: int = 1000


def label(id_: str, title: str) -> str:
    """Write a measure's id and title; final errors and scores have the title alone."""
    return title if id_ == "final" or title.startswith((f"{id_} on ", f"{id_} at the end")) else f"{id_} {title}"
