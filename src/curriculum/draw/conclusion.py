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
    """Say the verdicts of a comparison, given as its plain values: of each pair of runs final errors first.

    None where nothing was judged, and for values that are not those of a comparison.
    """
    try:
        names = [str(run["name"]) for run in found["runs"]]
        judged = [*found["guards"], *found["verdicts"]]
        lines = tuple((str(own["sentence"]), str(own["verdict"])) for own in judged)
        pairs = dict.fromkeys((int(own["first"]), int(own["other"])) for own in judged)
        title = "; ".join(f"{names[first]} against {names[other]}" for first, other in pairs)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return Conclusion(title, lines) if lines else None
