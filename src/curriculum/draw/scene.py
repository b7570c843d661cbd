"""The picture of which the video is made: a column for each run, drawn once and then moved.

What changes from frame to frame is on top of everything else, so that a frame can be drawn on a
stored background and still equals a full drawing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.column import Column, moves, moving
from curriculum.draw.conclusion import Conclusion
from curriculum.draw.film import Look
from curriculum.draw.layout import BOTTOM, TEXT, Box, Layout, lay_out
from curriculum.draw.page import fitted, text_width, wrapped
from curriculum.draw.plots.latents import class_key
from curriculum.draw.plots.losses import TOTAL, shown_losses
from curriculum.draw.plots.timeline import draw_values, panels
from curriculum.draw.style import MOVING
from curriculum.sheet.schedule import RATE

MOST_COLUMNS = 4
NAME, STATE = 28, 24  # pixels: of the name of a run and of its present error, in a picture 900 high; all other text has `TEXT`
APART = 28  # pixels between the ends of curves that are labelled there
DPI = 100
INCH = 72  # points


class Scene:
    """The picture at any frame. `figure` is a matplotlib figure, `moving` what changes in it."""

    def __init__(
        self,
        columns: Sequence[Column],
        frames: Sequence[int],
        look: Look,
        classes: Sequence[int] = (),
        conclusion: Conclusion | None = None,
    ):
        """Draw everything for frames at the steps `frames` `[F]`; `classes` are those by which points are colored."""
        self.columns = columns
        self.frames = frames
        self.look = look
        self.conclusion = conclusion
        self.theme = style.THEMES[look.theme]
        self.moving: list[Artist] = []
        self._cursors: list[list[Line2D]] = []
        self._bars: list[dict[str, Axes]] = []
        self._steps: list[Text] = []
        self._phases: list[Text] = []
        self._readings: list[Text] = []
        self._with_unit: list[bool] = []
        self._phase_room: list[float] = []  # inches
        self._fitted_phases: list[dict[tuple[str, bool], str]] = [{} for _ in columns]
        self._last = max(column.schedule.last_step for column in columns)
        self._properties = moving(columns)
        self._losses = shown_losses([(column.steps, column.losses) for column in columns])
        self._terms = [name for name in self._losses if name != TOTAL]
        self._names = list(dict.fromkeys([*self._properties, *self._terms]))  # each has one color in the whole picture
        self._unlabelled: set[str] = set()  # curves whose name does not stand beside them in every column
        rate = [c.schedule.column(RATE) for c in columns if RATE in c.schedule.properties]
        kinds = [*(["schedule"] if self._properties else []), *([RATE] if moves(rate) else []), *(["loss"] if self._losses else [])]
        self.layout: Layout = lay_out(look.width, look.height, len(columns), kinds or ["loss"], self._legend_rows(classes))
        with style.themed(self.theme, size=self._points(TEXT)):
            self.figure = style.figure(look.width / DPI, look.height / DPI, dpi=DPI)
            for index in range(len(columns)):
                self._draw_column(index)
            self._share_limits()
            ends = [(axes, self._ends(index, kind, axes)) for index, own in enumerate(self._bars) for kind, axes in own.items()]
            for axes, own in ends:
                self._label_curves(axes, own)
            self._draw_legend(classes)
        self.show(0)

    def show(self, index: int) -> bool:
        """Move everything to a frame; tell whether more changed than `moving`, as where a phase starts."""
        step, before = self.frames[index], [text.get_text() for text in self._phases]
        for number, column in enumerate(self.columns):
            at = min(step, column.schedule.last_step)
            column.panel.show(index)
            for cursor in self._cursors[number]:
                cursor.set_xdata([at, at])
            self._steps[number].set_text(f"{at:,}")
            phase = (column.schedule.phase_at(at).name, step > column.schedule.last_step)
            if phase not in self._fitted_phases[number]:
                self._fitted_phases[number][phase] = self._phase(number, *phase)
            self._phases[number].set_text(self._fitted_phases[number][phase])
            if column.reading is not None:
                self._readings[number].set_text(column.reading.at(at, self._with_unit[number]))
        return before != [text.get_text() for text in self._phases]

    def conclude(self) -> list[Artist]:
        """Make what is drawn over the last frame, the verdicts; nothing without a conclusion."""
        if self.conclusion is None:
            return []
        unit, width, height = self.layout.unit, self.look.width, self.look.height
        top = self.layout.band
        with style.themed(self.theme, size=self._points(TEXT)):
            cover = Rectangle(
                (0, 0), 1, 1 - top / height, transform=self.figure.transFigure, fc=self.theme.back, ec=self.theme.faint, zorder=MOVING + 1
            )
            self.figure.add_artist(cover)
            made: list[Artist] = [cover]
            left, line = 36 * unit, 1.3 * TEXT * unit
            at = top + 0.6 * line
            for text, verdict in self._verdicts(height - at, line, left):
                weight = "normal" if verdict else "bold"
                own: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": 1.2, "fontweight": weight, "zorder": MOVING + 2}
                made.append(self.figure.text(left / width, 1 - at / height, text, color=style.verdict_color(verdict, self.theme), **own))
                at += (text.count("\n") + 1) * line
        return made

    def _verdicts(self, room: float, line: float, left: float) -> list[tuple[str, str]]:
        """Break the title and the verdicts into lines that fit: as sentences, else in short, else some and how many are left out."""
        assert self.conclusion is not None
        lines = self.conclusion.lines
        for texts in ([own.sentence for own in lines], [own.short for own in lines]):
            found = [(self.conclusion.title, ""), *zip(texts, [own.verdict for own in lines], strict=True)]
            width, size = (self.look.width - 2 * left) / DPI, self._points(TEXT)
            broken = [(wrapped(self.figure, text, width, size, "normal" if own else "bold"), own) for text, own in found]
            ends = list(itertools.accumulate((text.count("\n") + 1) * line for text, _ in broken))
            if ends[-1] <= room:
                return broken
        fit = max(1, sum(end <= room - line for end in ends))
        return [*broken[:fit], (f"and {len(broken) - fit} more, which `curriculum compare` says", "")]

    def _points(self, pixels: float) -> float:
        """Turn pixels of a picture 900 high into points of this one."""
        return pixels * self.layout.unit * INCH / DPI

    def _axes(self, index: int, box: Box) -> Axes:
        x = index * self.look.width / len(self.columns) + box.left
        width, height = self.look.width, self.look.height
        return self.figure.add_axes((x / width, 1 - (box.top + box.height) / height, box.width / width, box.height / height))

    def _draw_column(self, index: int) -> None:
        column, layout, theme, unit = self.columns[index], self.layout, self.theme, self.layout.unit
        moving = column.panel.draw(self._axes(index, layout.square), theme, unit)
        bars = {kind: self._axes(index, box) for kind, box in layout.panels.items()}
        for kind, axes in bars.items():
            style.bands(axes, column.schedule.phases, theme)
            if kind == "loss":
                style.log_scale(axes)
                axes.yaxis.set_major_locator(LogLocator(numticks=max(2, int(layout.panels[kind].height / (30 * unit)))))
                axes.yaxis.minorticks_off()
                for name in reversed(self._losses):
                    if name in column.losses and np.isfinite(column.losses[name]).any():
                        color, lw = style.color_of(name, self._names, theme), (1.4 if name == TOTAL else 0.9) * unit
                        style.curve(axes, column.steps, column.losses[name], int(layout.panels[kind].width), color, lw=lw)
            else:
                shown = [name for group in panels(column.schedule) for name in group if name in self._properties]
                names = [RATE] if kind == RATE else shown
                draw_values(
                    axes, column.schedule, [n for n in names if n in column.schedule.properties], theme, False, 1.4 * unit, self._names
                )
                if axes.get_yscale() == "linear":
                    axes.yaxis.set_major_locator(
                        MaxNLocator(max(1, min(4, int(layout.panels[kind].height / (34 * unit)))), steps=[1, 2, 5, 10])
                    )
            axes.set_ylabel(kind)
            axes.yaxis.set_label_coords(-58 * unit / layout.panels[kind].width, 0.5)
            axes.set_xlim(0, max(self._last, 1))
            axes.xaxis.set_major_locator(
                MaxNLocator(max(1, min(5, int(layout.panels[kind].width / (120 * unit)))), integer=True, steps=[1, 2, 5, 10])
            )
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.tick_params(labelbottom=kind in layout.lowest, labelsize=self._points(TEXT))
        cursors = [
            axes.plot([0, 0], [0, 1], transform=axes.get_xaxis_transform(), color=theme.cursor, lw=1.6 * unit, zorder=MOVING)[0]
            for axes in bars.values()
        ]
        self._cursors.append(cursors)
        self._bars.append(bars)
        self.moving += [*moving, *cursors, *self._draw_head(index)]

    def _draw_head(self, index: int) -> list[Artist]:
        """Write the run's name, its seed, where training is, and its present error; give what changes with every frame.

        In a narrow column the error has a line of its own.
        """
        column, layout, theme = self.columns[index], self.layout, self.theme
        head = self._axes(index, layout.head)
        head.set_axis_off()
        wide, narrow = layout.head.width / DPI, layout.head_rows > 2
        rows = [1 - (place + 0.5) / layout.head_rows for place in range(layout.head_rows)]
        state, small = self._points(STATE), self._points(TEXT)
        said = "" if column.reading is None else column.reading.longest
        reading_width = text_width(self.figure, said, state)
        taken = text_width(self.figure, f"step  {self._last:,}", small) + 0.2
        self._with_unit.append(reading_width < (wide - taken if narrow else wide / 2))
        place = (0.0, rows[1], "left") if narrow else (1.0, rows[0], "right")
        reading = head.text(place[0], place[1], "", fontsize=state, ha=place[2], va="center", zorder=MOVING)
        room = wide if narrow else wide - reading_width - 0.2
        name, size = fitted(self.figure, column.name, room, self._points(NAME), small, "bold")
        head.text(0, rows[0], name, fontsize=size, fontweight="bold", va="center", color=column.color)
        # The step changes with every frame, what stands before it seldom: its place is kept free.
        step = head.text(1, rows[1], f"{self._last:,}", fontsize=small, ha="right", va="center", zorder=MOVING)
        kept = (text_width(self.figure, f"{self._last:,}", small) + 0.12 * layout.unit) / wide
        if narrow:
            head.text(1 - kept, rows[1], "step", fontsize=small, ha="right", va="center")
        phase = head.text(1 if narrow else 1 - kept, rows[-1], "", fontsize=small, ha="right", va="center")
        widest = max(text_width(self.figure, f"{own.name} (end)   step", small) for own in column.schedule.phases)
        room = 0.8 * wide if narrow else max(0.4 * wide, (1 - kept) * wide - widest - 0.2)
        fits = not narrow and text_width(self.figure, column.subtitle, small) <= room
        subtitle, _ = fitted(self.figure, column.subtitle if fits else column.seed, room, small, small)
        head.text(0, rows[-1], subtitle, fontsize=small, va="center", color=theme.muted)
        self._phase_room.append(wide * (1 if narrow else 1 - kept) - text_width(self.figure, subtitle, small) - 0.2)
        self._steps.append(step)
        self._phases.append(phase)
        self._readings.append(reading)
        return [step, reading]

    def _phase(self, number: int, name: str, ended: bool) -> str:
        """Write the name of a phase of a column, as far as there is room."""
        small = self._points(TEXT)
        step = "" if self.layout.head_rows > 2 else "   step"
        room = self._phase_room[number] - text_width(self.figure, step, small)
        shown, _ = fitted(self.figure, f"{name}{' (end)' if ended else ''}", room, small, small)
        return f"{shown}{step}"

    def _share_limits(self) -> None:
        """Give the same panel the same limits in every column."""
        for kind in self._bars[0]:
            bars = [own[kind] for own in self._bars]
            if kind == "loss":
                limits = style.log_limits([values for column in self.columns for values in column.losses.values()], trim=2)
                for axes in bars:
                    axes.set_ylim(*limits)
                continue
            if len({axes.get_yscale() for axes in bars}) > 1:
                continue  # one in a log space, one not: no limits suit both
            lows, highs = zip(*(axes.get_ylim() for axes in bars), strict=True)
            low, high = min(lows), max(highs)
            if bars[0].get_yscale() == "linear" and 0 < low < high < 1.2 * low:
                low = 0.0  # a property that rests needs no ticks of four digits
            for axes in bars:
                axes.set_ylim(low, high)

    def _ends(self, index: int, kind: str, axes: Axes) -> dict[str, float]:
        """Give the heights in pixels at which the curves of a panel end; note the names of those that are too near to others."""
        column, apart = self.columns[index], APART * self.layout.unit
        if kind == RATE:
            return {}
        if kind == "loss":
            last = {name: _last(column.losses[name]) for name in self._losses if name in column.losses}
        else:
            last = {n: float(column.schedule.column(n)[-1]) for n in self._properties if n in column.schedule.properties}
        found = {n: float(axes.transData.transform((0, value))[1]) for n, value in last.items() if np.isfinite(value)}
        near = {n for n, at in found.items() if any(abs(at - found[own]) < apart for own in found if own != n)}
        outside = {n for n, at in found.items() if not axes.bbox.y0 <= at <= axes.bbox.y1}
        self._unlabelled |= near | outside | (set(last) - set(found))
        return found

    def _label_curves(self, axes: Axes, ends: Mapping[str, float]) -> None:
        """Write the names of curves above their ends, of those that are far enough from all others in every panel."""
        unit = self.layout.unit
        for name, at in ends.items():
            if name not in self._unlabelled:
                above = at + APART * unit < axes.bbox.y1
                axes.annotate(
                    name,
                    (1, at),
                    xycoords=("axes fraction", "figure pixels"),
                    xytext=(-10 * unit, (3 if above else -3) * unit),
                    textcoords="offset pixels",
                    ha="right",
                    va="bottom" if above else "top",
                    color=style.color_of(name, self._names, self.theme),
                    zorder=MOVING - 1,
                    path_effects=[withStroke(linewidth=3 * unit, foreground=self.theme.back)],
                )

    def _legend_rows(self, classes: Sequence[int]) -> int:
        """Count the rows that a legend of all curves and classes may take: at least one, if there are any."""
        letters = sum(len(name) + 5 for name in self._names) + 6 * len(classes[:10])
        return -(-letters * 11 // max(1, int(self.look.width / (self.look.height / 900)))) if letters else 0

    def _draw_legend(self, classes: Sequence[int]) -> None:
        """Name once, along the bottom, the curves that are not labelled, and the classes of points."""
        theme = self.theme
        names = [name for name in (TOTAL, *self._names) if name in self._unlabelled]
        lines: list[Any] = [Line2D([], [], color=style.color_of(name, self._names, theme), lw=2.4 * self.layout.unit) for name in names]
        marks, labels = class_key(np.asarray(classes, dtype=np.int64), theme)
        if not names and not marks:
            return
        for columns in range(len(names) + len(labels), 0, -1):
            legend = self.figure.legend(
                [*lines, *marks],
                [*names, *labels],
                loc="lower center",
                ncols=columns,
                borderaxespad=0.1,
                borderpad=0.1,
                handlelength=1.1,
                columnspacing=1.1,
                labelspacing=0.25,
                fontsize=self._points(TEXT),
            )
            if legend.get_window_extent().width <= self.look.width - 2 * BOTTOM or columns == 1:
                return
            legend.remove()


def _last(values: NDArray[np.float32]) -> float:
    """Give the last value of a curve that ends with the run, as it is drawn: the middle of its last part."""
    own = values[-max(1, len(values) // 200) :].astype(np.float64)
    return float(np.exp(np.log(own).mean())) if len(own) and (own > 0).all() else float("nan")
