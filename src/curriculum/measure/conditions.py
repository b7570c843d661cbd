"""Conditions on a comparison, such as `final > 1.05` or `accuracy is contradicted`: what a check of one's own looks for."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from curriculum.errors import InputError, unknown
from curriculum.measure import effects
from curriculum.measure.comparison import Comparison
from curriculum.measure.verdicts import CONTRADICTED, INCONCLUSIVE, NOT_JUDGED, NOTHING, SUPPORTED

ORDERS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
WORDS = (SUPPORTED, CONTRADICTED, NOTHING, INCONCLUSIVE, NOT_JUDGED)


@dataclass(frozen=True)
class Condition:
    """What is looked for: the effect on a measure, or the verdict on a measure or hypothesis, by its `id`.

    The effect is compared with `number` by `order`; without an order, the verdict begins with `word`.
    """

    text: str
    id: str
    order: str = ""
    number: float = math.nan
    word: str = ""


def parse_condition(text: str) -> Condition:
    """Read a condition: `ID < NUMBER`, with any of < <= > >=, or `ID is VERDICT`. Raises `InputError` for anything else."""
    compared = re.fullmatch(r"\s*(\S+?)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    if compared:
        try:
            return Condition(text, compared[1], compared[2], float(compared[3]))
        except ValueError:
            pass
    said = re.fullmatch(r"\s*(\S+)\s+is\s+(.+?)\s*", text)
    if said and said[2] in WORDS:
        return Condition(text, said[1], word=said[2])
    raise InputError(
        f"cannot read the condition {text!r}: write a measure and a limit of its effect, as in 'final > 1.05', "
        f"or a verdict, as in 'accuracy is contradicted' (verdicts: {', '.join(WORDS)})"
    )


def met(found: Comparison, conditions: Sequence[Condition]) -> list[str]:
    """Say where which conditions are met, pair by pair.

    Effects are the estimates, whether they are judged or not: a ratio, or a difference in the unit of the measure. Raises
    `InputError` for an id that is neither a measure's nor a hypothesis's.
    """
    rows = [row for row in (*found.measures, *found.final, *found.exploratory) if row.judged]
    verdicts = {(own.id, own.title, own.first, own.other): own.verdict for own in (*found.verdicts, *found.guards)}
    known = list(dict.fromkeys([*(row.id for row in rows), *(own.id for own in found.hypotheses)]))
    said = []
    for condition in conditions:
        if condition.id not in known:
            raise InputError(f"the condition {condition.text!r}: {unknown('measure', condition.id, known)}")
        for row in (row for row in rows if row.id == condition.id):
            between = f"{row.title}, {found.names[row.first]} against {found.names[row.other]}"
            verdict = verdicts.get((row.id, row.title, row.first, row.other), NOT_JUDGED)
            if condition.order and ORDERS[condition.order](row.value, condition.number):
                said.append(f"{condition.text}: {between}: {effects.text(row.value, row.effect, row.unit)}")
            elif condition.word and verdict.startswith(condition.word):
                said.append(f"{condition.text}: {between}: {verdict}")
        for own in found.hypotheses:
            if own.id == condition.id and condition.word and own.verdict.startswith(condition.word):
                said.append(f"{condition.text}: {own.question}, {found.names[own.first]} against {found.names[own.other]}: {own.verdict}")
    return said
