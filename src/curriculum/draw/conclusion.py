"""What a video ends with: the verdicts of a comparison of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Conclusion:
    """A title, and lines with the verdict that each says, the most important first."""

    title: str
    lines: tuple[tuple[str, str], ...]


def conclusion_of(found: Mapping[str, Any]) -> Conclusion | None:
    """Say the verdicts of a comparison, given as its plain values: final errors first. None where nothing was judged."""
    judged = [*found["guards"], *found["verdicts"]]
    if not judged:
        return None
    names = [str(run["name"]) for run in found["runs"]]
    pairs = dict.fromkeys((own["first"], own["other"]) for own in judged)
    title = "; ".join(f"{names[first]} against {names[other]}" for first, other in pairs)
    return Conclusion(title, tuple((str(own["sentence"]), str(own["verdict"])) for own in judged))
