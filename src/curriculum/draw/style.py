"""How figures look and are written: themes, colors by name, phase bands, and curves that hide no spike."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from curriculum.measure.verdicts import CONTRADICTED, SUPPORTED
from curriculum.sheet.document import Phase
from curriculum.store.files import write_file
from curriculum.store.place import Place, replace

DPI, PRINT_DPI = 150, 300
PRINT_SIZE = 8  # points
FAMILY = "DejaVu Sans"  # comes with matplotlib
# No date and no random identifiers: the same figure is written as the same bytes.
METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
WRITING: dict[str, Any] = {"pdf.fonttype": 42, "svg.hashsalt": "curriculum"}
NEAR_ONE, SHORT = (1e-2, 1e3), 100  # a log scale within these, whose ends differ by less than this factor, has decimals
LINES = 1.2  # sizes of text between the labels of a log scale, at least
MOVING = 10  # the z-order of what moves in a video: above curves, spines and ticks
TIMES = "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Theme:
    """The colors of a figure, its width and its size of text. `palette` is for curves, in order; `runs` for whole runs.

    `width` is in inches, None for that which suits the figure on a screen; `size` is in points, and is the same at every width.
    """

    back: str
    ink: str
    muted: str
    faint: str
    outline: str
    band: str
    cursor: str
    palette: tuple[str, ...]
    runs: tuple[str, ...]
    width: float | None = None
    size: float = 9


# Chosen so that they are told apart by color-blind readers too, beginning with Okabe and Ito (2008); a test simulates how they look.
LIGHT = Theme(
    back="#ffffff",
    ink="#22262b",
    muted="#656d78",
    faint="#b9bec6",
    outline="#8d949e",
    band="#f1f3f6",
    cursor="#d1242f",
    palette=("#0072b2", "#d55e00", "#09ab6f", "#ba72a9", "#f69400", "#83bef0", "#794574", "#495808"),
    runs=("#0072b2", "#d55e00", "#05ad78", "#4f3a6b", "#6ac6ff", "#6b4a00"),
)
DARK = Theme(
    back="#14171b",
    ink="#e3e6ea",
    muted="#9aa3ae",
    faint="#5a626c",
    outline="#4d555e",
    band="#1d2127",
    cursor="#ff6b6b",
    palette=("#4ea8de", "#fe6b2f", "#3ddc97", "#d664a9", "#fcc462", "#b0defb", "#9685fd", "#cbcd20"),
    runs=("#4ea8de", "#ff8c42", "#4bffb6", "#856df5", "#fff27a", "#b06a58"),
)
THEMES = {"dark": DARK, "light": LIGHT}


def with_runs(theme: Theme, colors: Sequence[str | None]) -> Theme:
    """Give runs the colors that they have of their own; the others keep those of their places."""
    usual = theme.runs
    return replace_fields(theme, runs=tuple(own or usual[place % len(usual)] for place, own in enumerate(colors)))


def for_print(theme: Theme, width: float | None) -> Theme:
    """Make figures of a width in inches, with text of a size that suits a paper; without a width, as on a screen."""
    return theme if width is None else replace_fields(theme, width=width, size=PRINT_SIZE)


def color_of(name: str, names: Sequence[str], theme: Theme) -> str:
    """Give a property or term its color: by its place among all, so that it is the same in every panel."""
    if name == "total":
        return theme.ink
    return theme.palette[list(names).index(name) % len(theme.palette)]


def verdict_color(verdict: str, theme: Theme) -> str:
    """Give the color of a verdict: of one that is supported, of one that is contradicted, or of none of both."""
    sides = {SUPPORTED: theme.palette[2], CONTRADICTED: theme.palette[1]}
    return next((color for side, color in sides.items() if verdict.startswith(side)), theme.muted if verdict else theme.ink)


def class_colors(labels: NDArray[Any]) -> NDArray[np.float32]:
    """Give the colors `[N, 3]` of points by their classes `[N]`: ten colors that color-blind readers tell apart (Petroff 2021)."""
    ten = np.array([to_rgb(color) for color in mpl.color_sequences["petroff10"]], np.float32)
    return ten[labels.astype(np.int64) % len(ten)]


@contextmanager
def themed(theme: Theme, size: float | None = None) -> Iterator[None]:
    """Set the theme for everything that is drawn inside; `size` is that of text in points, if not the theme's."""
    size = theme.size if size is None else size
    settings: dict[str, Any] = {
        "figure.facecolor": theme.back,
        "axes.facecolor": theme.back,
        "savefig.facecolor": theme.back,
        "text.color": theme.ink,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.family": FAMILY,
        "font.size": size,
        "axes.titlesize": size + 1,
        "axes.labelsize": size,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "legend.fontsize": size - 1,
        "legend.frameon": False,
        "lines.linewidth": 1.3,
        "path.simplify": False,
        # Names are the user's: a `$` in one is no formula. So nothing is, and log scales write their powers in plain text.
        "text.usetex": False,
        "text.parse_math": False,
        "axes.formatter.use_mathtext": False,
    }
    with mpl.rc_context(cast(Any, settings)):
        yield


def figure(width: float, height: float, dpi: float = DPI) -> Figure:
    """Make an empty figure of a size in inches, without touching any display."""
    made = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(made)
    return made


def save(made: Figure, path: Path, place: Place = replace) -> Path:
    """Write a figure, whole or not at all, as PNG, SVG or PDF, as its name ends; it gets that by `place`. Returns the path that it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_file(path, rendered(made, path.suffix.lower().removeprefix(".")), place)


def rendered(made: Figure, form: str) -> bytes:
    """Render a figure to the bytes of a PNG, SVG or PDF: the same bytes each time, with its fonts embedded."""
    out = io.BytesIO()
    with mpl.rc_context(cast(Any, WRITING)):
        if form == "png" and isinstance(made.canvas, FigureCanvasAgg):
            # As `savefig` does, which first goes through the figure once without drawing.
            canvas: Any = made.canvas
            canvas.print_png(out, metadata=METADATA[form])
        else:
            made.savefig(out, format=form, dpi=made.dpi, metadata=METADATA[form])
    return out.getvalue()


def bands(axes: Axes, phases: Sequence[Phase], theme: Theme, labels: bool = False, width: float = 100.0) -> int:
    """Shade every other phase; with `labels` name each above the panel where its name fits, in up to two rows; give their number.

    `width` is how many characters fit across the panel.
    """
    total = phases[-1].end + 1
    for index, phase in enumerate(phases):
        if index % 2 == 0:
            axes.axvspan(phase.start, phase.end + 1, color=theme.band, lw=0, zorder=0)
        if index:
            axes.axvline(phase.start, color=theme.faint, lw=0.7, zorder=1)
    if not labels:
        return 0
    # Neighbours of one name are labelled once, over all of them.
    groups: list[Phase] = []
    for phase in phases:
        if groups and groups[-1].name == phase.name:
            groups[-1] = Phase(phase.name, groups[-1].start, phase.end)
        else:
            groups.append(phase)
    rows_end = [-np.inf, -np.inf]
    for phase in groups:
        text = len(phase.name) * total / width
        left = phase.start
        row = 0 if left >= rows_end[0] else 1 if left >= rows_end[1] else None
        if row is None or not phase.name:
            continue
        left_end = min(left, total - text)
        rows_end[row] = left_end + text + total / width
        axes.annotate(
            phase.name,
            (max(left_end, 0), 1),
            xycoords=("data", "axes fraction"),
            xytext=(1, 3 + 10 * row),
            textcoords="offset points",
            fontsize="small",
            ha="left",
            va="bottom",
            annotation_clip=False,
        )
    return sum(end > -np.inf for end in rows_end)


def run_lines(count: int, theme: Theme) -> list[Line2D]:
    """Make a line in each run's color, for a legend.

    A legend is given its lines and labels: of curves, matplotlib leaves out those whose label begins with `_`.
    """
    return [Line2D([], [], color=theme.runs[index % len(theme.runs)], lw=1.8) for index in range(count)]


class _Powers(LogFormatter):
    """Labels the ticks of a log scale that matplotlib would label, with plain text such as 10⁻³, or 0.6 on a short scale near 1.

    Of the ticks between powers of ten, it labels as many as have room.
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not super().__call__(x, pos):
            return ""
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        if int(f"{x:.0e}"[0]) not in (1, *self._between(low, high)):
            return ""
        if NEAR_ONE[0] <= low <= high <= NEAR_ONE[1] and high < SHORT * low:
            return f"{x:g}"
        mantissa, exponent = f"{x:.0e}".split("e")
        power = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
        return power if mantissa == "1" else f"{mantissa}{TIMES}{power}"

    def _between(self, low: float, high: float) -> tuple[int, ...]:
        """Choose the digits that are labelled, on an axis from `low` to `high`: the more, the larger a power of ten is drawn."""
        axes = cast(Any, self.axis).axes
        decade = axes.bbox.height / max(np.log10(high / low), 1e-9) if low > 0 else 0.0
        line = LINES * mpl.rcParams["font.size"] / 72 * axes.figure.dpi
        return next(
            digits
            for gap, digits in ((0.045, tuple(range(2, 10))), (0.12, (2, 3, 4, 6)), (0.3, (2, 5)), (0, ()))
            if gap * decade >= line * (gap > 0)
        )


def log_scale(axes: Axes) -> None:
    """Make the vertical axis a log scale."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_Powers())
    axes.yaxis.set_minor_formatter(_Powers(labelOnlyBase=False))


def envelope(x: NDArray[Any], y: NDArray[Any], pixels: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Reduce a curve to the least and the largest value in each of `pixels` columns.

    Returns x, lowest and highest `[M]`, with M = len(x) where there are fewer points than columns.
    Values that are missing are left out; a column with none is NaN.
    """
    if len(x) <= pixels:
        return x, y, y
    edges = np.linspace(x[0], x[-1], pixels + 1)
    starts = np.unique(np.searchsorted(x, edges[:-1], side="left"))
    low = np.fmin.reduceat(y, starts)
    high = np.fmax.reduceat(y, starts)
    ends = np.append(starts[1:], len(x)) - 1
    return (x[starts] + x[ends]) / 2, low, high


def curve(axes: Axes, x: NDArray[Any], y: NDArray[Any], pixels: int, color: str, lw: float = 1.1, **more: Any) -> None:
    """Draw a curve of many points: its envelope as a band, and a line through the middle of it."""
    positive = np.where(y > 0, y, np.nan) if axes.get_yscale() == "log" else y
    at, low, high = envelope(x, positive, pixels)
    middle = np.sqrt(low) * np.sqrt(high) if axes.get_yscale() == "log" else (low + high) / 2
    axes.plot(at, middle, color=color, lw=lw, **more)
    if len(x) > pixels:
        axes.fill_between(at, low, high, color=color, alpha=0.45, lw=0.6, zorder=more.get("zorder", 2))


def log_limits(curves: Sequence[NDArray[Any]], trim: float = 0.0) -> tuple[float, float]:
    """Find limits for a log axis that hold every positive value of some curves.

    With `trim` the lowest values of each curve, so many percent, may fall below: where curves share a panel,
    a term that was captured at 0 a moment ago must not squeeze the rest. The highest are always held.
    """
    values = [y[(y > 0) & np.isfinite(y)] for y in curves]
    values = [y for y in values if len(y)]
    if not values:
        return 1e-3, 1.0
    low, high = min(float(y.min()) for y in values), max(float(y.max()) for y in values)
    if trim:
        low = max(low, min(float(np.percentile(y, trim)) for y in values) / 3)
    if high / low < 10:
        low, high = low / 2, high * 2
    return low / 1.5, high * 1.5
