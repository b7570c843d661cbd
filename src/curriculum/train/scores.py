"""Numbers by which models are judged besides their loss. Without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PERCENT = ("accuracy", "precision", "recall", "f1")  # scores that are shares of samples, by how their names begin or end


@dataclass(frozen=True)
class Score:
    """A number by which models are judged besides their loss: whether `higher` or `lower` is better, and how it is written.

    A value is shown as `scale` times the value, in `unit`. `smallest` is the smallest difference that matters; without it,
    only the direction of a difference is judged. `level` is a value that training is to reach: how many steps that takes is a
    measure. Both are in that unit.
    """

    better: Literal["higher", "lower"]
    unit: str = ""
    scale: float = 1.0
    smallest: float | None = None
    level: float | None = None


def score_of(name: str, declared: str | Score) -> Score:
    """Give the full form of a declared score: a share of samples is shown in percent."""
    if isinstance(declared, Score):
        return declared
    percent = any(name.startswith(known) or name.endswith(known) for known in PERCENT)
    better: Literal["higher", "lower"] = "higher" if declared == "higher" else "lower"
    return Score(better, "%", 100.0) if percent else Score(better)
