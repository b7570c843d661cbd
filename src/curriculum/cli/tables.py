"""A comparison as a table for a paper or a page: LaTeX and Markdown."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curriculum.measure.comparison import Comparison, Pair

SPECIAL = str.maketrans({char: f"\\{char}" for char in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"})


class Format(StrEnum):
    """How a comparison is printed."""

    text = "text"
    markdown = "markdown"
    latex = "latex"


def table(found: Comparison, form: Format) -> str:
    """Write what was judged of each pair of runs as a table: level of both runs, effect with its 95% interval, p, and verdict."""
    blocks = [(f"{found.names[pair.first]} against {found.names[pair.other]}", _rows(found, pair)) for pair in found.pairs]
    write = _markdown if form == Format.markdown else _latex
    return "\n\n".join(write(title, rows) for title, rows in blocks)


def _rows(found: Comparison, pair: Pair) -> list[list[str]]:
    from curriculum.measure import effects

    rows = [["measure", found.names[pair.first], found.names[pair.other], "effect", f"{found.level} interval", "pairs", "p", "verdict"]]
    for verdict in (*found.verdicts, *found.guards):
        if (verdict.first, verdict.other) == (pair.first, pair.other):
            # The label of a final error has its unit.
            levels = [effects.level(level, "" if verdict.unit in verdict.label else verdict.unit) for level in verdict.levels]
            count = f"{verdict.estimate.n}" if verdict.estimate.paired else "unpaired"
            rows.append([verdict.label, *levels, verdict.amount, verdict.interval, count, verdict.chance, verdict.verdict])
    return rows


def _markdown(title: str, rows: list[list[str]]) -> str:
    lines = [[re.sub(r"([|\\`*<])", r"\\\1", cell) for cell in row] for row in rows]
    ruled = [lines[0], ["---", *["---:"] * 6, "---"], *lines[1:]]
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in ruled)])


def _latex(title: str, rows: list[list[str]]) -> str:
    lines = [[_escaped(cell) for cell in row] for row in rows]
    body = [f"{' & '.join(row)} \\\\" for row in lines]
    return "\n".join(
        [
            f"% {title}; needs \\usepackage{{booktabs}}",
            r"\begin{tabular}{lrrrrrrl}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(cell: str) -> str:
    """Escape what LaTeX reads otherwise, and write a factor with the sign of multiplication and a minus as one."""
    plain = cell.replace("\\", "\0").translate(SPECIAL).replace("\0", r"\textbackslash{}")
    plain = re.sub(r"(?<!\w)-(?=\d)", "$-$", plain)
    plain = re.sub(r"([\d.]+)e([+-])0*(\d+)", lambda found: f"${found[1]} \\times 10^{{{found[2].strip('+')}{found[3]}}}$", plain)
    return re.sub(r"^x(?=[\d.]+$)", r"$\\times$", plain)
