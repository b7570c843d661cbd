"""Lay out a figure: a title, one legend and a note around its panels.

Text has the same size at every width: it wraps, and the figure becomes as high as that needs. The panels between are laid out by
matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator

from curriculum.draw import style

NARROW = 5.5  # inches, below which panels do not stand side by side
EDGE, GAP = 0.1, 0.09  # inches: around everything, and between the parts
POINTS = 72  # of an inch
LEADING = 1.25  # height of a line, in sizes of its text


def page(theme: style.Theme, usual: float, body: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """Make an empty figure of the theme's width or the usual one, in inches, whose panels are to be `body` inches high.

    `layout` is `compressed` for panels whose two axes have the same scale.
    """
    dpi = style.DPI if theme.width is None else style.PRINT_DPI
    made = Figure(figsize=(theme.width or usual, body), dpi=dpi, layout=layout)
    FigureCanvasAgg(made)
    return made


def finish(
    figure: Figure,
    theme: style.Theme,
    title: str,
    lines: Sequence[Any] = (),
    labels: Sequence[str] = (),
    note: str = "",
    inner: float | None = None,
) -> Figure:
    """Put a title and a legend above the panels and a note below them; the figure grows by their heights.

    `inner` is how high the panels of a column are to be together, in inches, without what stands between them. A legend is given its
    lines and labels: of curves, matplotlib leaves out those whose label begins with `_`.
    """
    width, body = figure.get_size_inches()
    inside = width - 2 * EDGE
    heading = wrapped(figure, title, inside, 1.15 * theme.size, "bold")
    head = EDGE + lines_high(heading, 1.15 * theme.size)
    key = _legend(figure, theme, lines, [wrapped(figure, label, inside - 0.5, theme.size - 1) for label in labels]) if labels else None
    place = (EDGE, head + GAP)
    if key is not None:
        box = key.get_window_extent()
        wide, high = box.width / figure.dpi, box.height / figure.dpi
        beside = "\n" not in heading and text_width(figure, heading, 1.15 * theme.size, "bold") + 3 * GAP + wide <= inside
        place = (width - EDGE - wide, EDGE) if beside else place
        head = max(head, place[1] + high)
    small = theme.size - 1
    below = wrapped(figure, note, inside, small)
    foot = lines_high(below, small) + EDGE + GAP if note else EDGE
    engine: Any = figure.get_layout_engine()
    total = _laid_out(figure, head + GAP, body, foot)
    if any(axes.get_aspect() != "auto" for axes in figure.axes):
        # Panels whose axes have the same scale may need less height than was guessed.
        engine.execute(figure)
        used = [found for axes in figure.axes if (found := axes.get_tightbbox(for_layout_only=True)) is not None]
        need = (max(own.y1 for own in used) - min(own.y0 for own in used)) / figure.dpi
        total = _laid_out(figure, head + GAP, need + 0.08, foot)
    if inner is not None:
        engine.execute(figure)
        body += inner - sum(axes.get_position().height for axes in figure.axes) * total
        total = _laid_out(figure, head + GAP, body, foot)
    kind: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": LEADING, "in_layout": False}
    figure.text(EDGE / width, 1 - EDGE / total, heading, fontsize=1.15 * theme.size, fontweight="bold", **kind)
    if note:
        figure.text(EDGE / width, (foot - GAP) / total, below, fontsize=small, color=theme.muted, **kind)
    if key is not None:
        key.set_bbox_to_anchor((place[0] / width, 1 - place[1] / total), transform=figure.transFigure)
    _settle(figure)
    return figure


def _settle(figure: Figure) -> None:
    """Lay out the panels, and leave them there, but for the last bits of where they are, which differ from time to time."""
    engine: Any = figure.get_layout_engine()
    engine.execute(figure)
    for axes in figure.axes:
        left, bottom, width, height = (round(float(value), 6) for value in axes.get_position(original=True).bounds)
        axes.set_position((left, bottom, width, height))
    figure.set_layout_engine("none")


def _laid_out(figure: Figure, head: float, body: float, foot: float) -> float:
    """Set the height of a figure with so many inches above, of and below its panels, and give it."""
    body = round(body, 3)  # what is measured differs in its last bits from time to time, and an SVG must not
    width, total = figure.get_figwidth(), head + body + foot
    figure.set_figheight(total)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(EDGE / width, foot / total, 1 - 2 * EDGE / width, body / total), w_pad=0.02, h_pad=0.03, wspace=0.03, hspace=0.06)
    return total


def _legend(figure: Figure, theme: style.Theme, lines: Sequence[Any], labels: Sequence[str]) -> Legend:
    """Make a legend with as many entries side by side as fit."""
    room = (figure.get_figwidth() - 2 * EDGE) * figure.dpi
    for columns in range(len(labels), 0, -1):
        made = figure.legend(
            lines, labels, loc="upper left", ncols=columns, borderaxespad=0, borderpad=0, handlelength=1.6, columnspacing=1.4
        )
        if made.get_window_extent().width <= room or columns == 1:
            break
        made.remove()
    return made


def wrapped(figure: Figure, text: str, inches: float, size: float, weight: str = "normal") -> str:
    """Break lines of a text so that none is wider than so many inches; a word that is wider by itself is broken, too."""
    found = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(figure, longer, size, weight) <= inches:
                line = longer
                continue
            if line:
                found.append(line)
            line = word
            while text_width(figure, line, size, weight) > inches and len(line) > 1:
                fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or text_width(figure, line[:n], size, weight) <= inches)
                found.append(line[:fits])
                line = line[fits:]
        found.append(line)
    return "\n".join(found)


def fitted(figure: Figure, text: str, inches: float, size: float, least: float, weight: str = "normal") -> tuple[str, float]:
    """Make a line of text smaller, down to the least size, and then shorter, until it fits."""
    while size > least and text_width(figure, text, size, weight) > inches:
        size = max(least, 0.94 * size)
    if text_width(figure, text, size, weight) <= inches:
        return text, size
    while len(text) > 1 and text_width(figure, f"{text}\N{HORIZONTAL ELLIPSIS}", size, weight) > inches:
        text = text[:-1]
    return f"{text.rstrip()}\N{HORIZONTAL ELLIPSIS}", size


def text_width(figure: Figure, text: str, size: float, weight: str = "normal") -> float:
    """Measure a line of text in inches."""
    canvas: Any = figure.canvas
    font = FontProperties(family=style.FAMILY, size=size, weight=weight)
    wide, _, _ = canvas.get_renderer().get_text_width_height_descent(text, font, False)
    return float(wide / figure.dpi)


def lines_high(text: str, size: float) -> float:
    """Give the height of the lines of a text in inches."""
    return (text.count("\n") + 1) * LEADING * size / POINTS


def step_axis(axes: Axes, last: int, inches: float, theme: style.Theme, label: bool = True) -> None:
    """Set a horizontal axis of steps up to `last`, with as many ticks as fit into so many inches."""
    axes.set_xlim(0, max(last, 1))
    room = 0.75 * len(f"{last:,}") * theme.size / POINTS
    axes.xaxis.set_major_locator(MaxNLocator(max(1, min(6, int(inches / (1.6 * room)))), integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if label:
        axes.set_xlabel("step")
