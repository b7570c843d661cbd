"""The grammar of the STEP column: a step, or a position relative to the nearest steps above and below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from curriculum.sheet.spreadsheets import step_advice

INTEGER = re.compile(r"[0-9]{1,18}")
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
UNREADABLE = -1  # stands for an anchor that cannot be read

_RELATIVE = re.compile(r"(?:prev)?(?P<sign>\+)(?P<ahead>.+)|(?:next)?(?P<minus>-)(?P<back>.+)|(?P<percent>.+%)")
_FRACTION = re.compile(r"[0-9]*\.[0-9]+|[0-9]+(\.[0-9]*)?%")
_FORMS = "write a step such as 500, or one relative to the steps above and below it: prev+10, next-1, 40%, next-40%"


def anchors(cells: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Find the nearest anchors above and below each written STEP; an anchor's own cell is both.

    None where there is no anchor, `UNREADABLE` where the nearest one cannot be read.
    """
    own = [_anchor(cell) for cell in cells]
    return list(zip(_carry(own), reversed(_carry(reversed(own))), strict=True))


def resolve(cell: str, before: int | None, after: int | None) -> int:
    """Turn a written STEP into a step, given the nearest anchors above and below.

    A fraction that lands half-way between two steps is rounded to the even one. Raises `ValueError` with a sentence that
    says what is wrong.
    """
    if INTEGER.fullmatch(cell):
        return int(cell)
    match = _RELATIVE.fullmatch(cell)
    if not match:
        raise ValueError(_unreadable(cell))
    amount, backward = match["ahead"] or match["back"] or match["percent"], bool(match["minus"])
    if INTEGER.fullmatch(amount):
        anchor = after if backward else before
        if anchor is None:
            raise ValueError(f"STEP {cell!r} is relative to the step {'below' if backward else 'above'} it, which does not exist")
        step = anchor - int(amount) if backward else anchor + int(amount)
        if step < 0 <= anchor:
            raise ValueError(f"STEP {cell!r} is {amount} before the step below it ({anchor}), which is before step 0")
        return step
    if not _FRACTION.fullmatch(amount):
        raise ValueError(_unreadable(cell))
    # Exact, so that what is written as half-way is half-way when it is rounded.
    fraction = Fraction(Decimal(amount.removesuffix("%"))) / (100 if amount.endswith("%") else 1)
    if not 0 < fraction < 1:
        raise ValueError(f"STEP {cell!r}: a fraction must be strictly between 0 and 1 (0% and 100%)")
    if before is None or after is None:
        missing = "above" if before is None else "below"
        raise ValueError(f"STEP {cell!r} is relative to the steps above and below it, but no step is {missing}")
    return round(after - fraction * (after - before) if backward else before + fraction * (after - before))


def _anchor(cell: str) -> int | None:
    """Read an anchor; None for a relative step."""
    if INTEGER.fullmatch(cell):
        return int(cell)
    return None if _RELATIVE.fullmatch(cell) else UNREADABLE


def _carry(own: Iterable[int | None]) -> list[int | None]:
    """Carry each anchor on to the cells after it, up to the next one."""
    carried: list[int | None] = []
    last: int | None = None
    for anchor in own:
        last = last if anchor is None else anchor
        carried.append(last)
    return carried


def _unreadable(cell: str) -> str:
    """Say what a STEP was probably meant to be, or which forms there are."""
    if not cell:
        return f"STEP is empty, but the row is not: {_FORMS}"
    if DECIMAL.fullmatch(cell) and 0 < float(cell) < 1:
        percent = f"{Decimal(cell) * 100:f}".rstrip("0").rstrip(".") + "%"
        return f"STEP {cell!r} is a bare fraction; if a spreadsheet turned '+{cell}' into '{cell}', write '{percent}' or 'prev+{percent}'"
    if hint := step_advice(cell):
        return f"cannot read STEP {cell!r}: {hint}"
    meant = re.sub(r"\s+", "", cell).replace("\N{MINUS SIGN}", "-").removesuffix(".0")
    if meant != cell and (INTEGER.fullmatch(meant) or _RELATIVE.fullmatch(meant)):
        return f"cannot read STEP {cell!r}: write {meant!r}"
    return f"cannot read STEP {cell!r}: {_FORMS}"
