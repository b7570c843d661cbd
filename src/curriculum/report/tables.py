"""Tables as data, for the templates: every cell is text, set off by words and never by color alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BADGES = ("supported", "contradicted", "inconclusive", "mixed", "exploratory")


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the `note` of one that is marked, and whether it is the word of a verdict, which is shown as a `badge`."""

    text: str
    note: str = ""
    badge: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption. The first cell of each row names it; `right` are the columns of numbers."""

    caption: str
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[int] = frozenset()


def table(caption: str, header: Sequence[str | Cell], rows: Sequence[Sequence[str | Cell]], right: Sequence[int] = ()) -> Table:
    """Make a table from rows of texts and cells."""
    return Table(caption, _cells(header), tuple(map(_cells, rows)), frozenset(right))


def _cells(row: Sequence[str | Cell]) -> tuple[Cell, ...]:
    return tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row)


def badge(verdict: str) -> str:
    """Give the class of a verdict's badge: its side, or `other`."""
    return next((side for side in BADGES if verdict.startswith(side)), "other")
