"""Where the parts of a video's picture are: in each column a head, a square for what moves, and panels over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curriculum.sheet.schedule import RATE

TEXT = 18  # pixels of text in a picture 900 high, that a talk can be followed from the last row
BOTTOM = 8  # pixels around the legend
ROW = 36  # of the head
EDGE, LEFT, RIGHT, TICKS, GAP = 30, 84, 42, 30, 14  # beside the squares and heads; beside, below and between the panels
SHARES = {"schedule": 0.38, RATE: 0.2, "loss": 0.42}  # of the height of panels one above the other
NARROW = 620  # pixels of a column, below which its head has three rows


@dataclass(frozen=True)
class Box:
    """A part of a column, in pixels from its left and the picture's top."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where the parts of each column are. `unit` is a 900th of the picture's height, or less where columns are narrow.

    `lowest` are the panels with ticks below them, and `band` is where everything below the squares begins.
    """

    unit: float
    head: Box
    head_rows: int
    square: Box
    panels: Mapping[str, Box]
    lowest: frozenset[str]
    band: float


def lay_out(width: int, height: int, columns: int, kinds: Sequence[str], legend_rows: int) -> Layout:
    """Give what moves as much room as the picture allows: panels stand below it, or beside it in a single wide column.

    `kinds` are the panels, and `legend_rows` the rows of text below them.
    """
    wide = width / columns
    unit = min(height / 900, wide / 380)
    rows = 3 if wide < NARROW * unit else 2
    head = Box(EDGE * unit, 8 * unit, wide - 2 * EDGE * unit, rows * ROW * unit)
    top = head.top + head.height + 6 * unit
    bottom = height - (legend_rows * 1.35 * TEXT + BOTTOM) * unit
    if columns == 1 and wide > 1.3 * height:
        side = min(bottom - top - 4 * unit, 0.55 * wide)
        square = Box(EDGE * unit, top, side, side)
        left = square.left + side + LEFT * unit
        area = Box(left, top, wide - RIGHT * unit - left, bottom - top - TICKS * unit)
        return Layout(unit, head, rows, square, _stacked(area, kinds, unit), frozenset(kinds[-1:]), top)
    most = wide - 2 * EDGE * unit
    halves = min(most, bottom - top - 196 * unit)
    stack = min(most, bottom - top - 286 * unit)
    beside = halves > 1.05 * stack and wide > NARROW * unit and "loss" in kinds and len(kinds) > 1
    side = min(most, max(halves if beside else stack, 0.3 * height))
    square = Box((wide - side) / 2, top, side, side)
    below = top + side + GAP * unit
    area = Box(LEFT * unit, below, wide - (LEFT + RIGHT) * unit, bottom - below - TICKS * unit)
    if not beside:
        return Layout(unit, head, rows, square, _stacked(area, kinds, unit), frozenset(kinds[-1:]), below - GAP * unit / 2)
    half = (area.width - (LEFT + RIGHT) * unit) / 2
    upper = [kind for kind in kinds if kind != "loss"]
    panels = _stacked(Box(area.left, area.top, half, area.height), upper, unit)
    panels["loss"] = Box(area.left + area.width - half, area.top, half, area.height)
    return Layout(unit, head, rows, square, panels, frozenset((upper[-1], "loss")), below - GAP * unit / 2)


def _stacked(area: Box, kinds: Sequence[str], unit: float) -> dict[str, Box]:
    """Put panels one above the other."""
    whole = sum(SHARES[kind] for kind in kinds)
    room = area.height - GAP * unit * (len(kinds) - 1)
    found, top = {}, area.top
    for kind in kinds:
        high = room * SHARES[kind] / whole
        found[kind] = Box(area.left, top, area.width, high)
        top += high + GAP * unit
    return found
