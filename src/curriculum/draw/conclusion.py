"""What a video ends with: the verdicts of a comparison of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curriculum.measure.effects import SCALED, number, text
from curriculum.measure.metric import label


@dataclass(frozen=True)
class Line:
    """A verdict, as a `sentence`, and `short`, where there is no room for sentences."""

    sentence: str
    short: str
    verdict: str


@dataclass(frozen=True)
class Conclusion:
    """A title, and the verdicts, the most important first."""

    title: str
    lines: tuple[Line, ...]


def conclusion_of(found: Mapping[str, Any]) -> Conclusion | None:
    """Say the verdicts of a comparison, given as its plain values: of each pair of runs final errors first.

    None where nothing was judged, and for values that are not those of a comparison.
    """
    try:
        names = [str(run["name"]) for run in found["runs"]]
        judged = [*found["guards"], *found["verdicts"]]
        lines = tuple(Line(str(own["sentence"]), _short(own, names), str(own["verdict"])) for own in judged)
        pairs = dict.fromkeys((int(own["first"]), int(own["other"])) for own in judged)
        title = "; ".join(f"{names[first]} against {names[other]}" for first, other in pairs)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return Conclusion(title, lines) if lines else None


def _short(own: Mapping[str, Any], names: Sequence[str]) -> str:
    """Say a verdict with its effect and interval alone: what the sentence adds are pairs, p and caveats."""
    effect, link = str(own["effect"]), "of" if own["effect"] in SCALED else "against"
    value, low, high = (math.nan if own[key] is None else float(own[key]) for key in ("value", "low", "high"))
    interval = f"[{number(low, effect)}, {number(high, effect)}]"
    found = f"{names[own['first']]} {text(value, effect, str(own['unit']))} {link} {names[own['other']]} {interval}"
    return f"{label(str(own['id']), str(own['title']))}: {found}: {own['verdict']}"
