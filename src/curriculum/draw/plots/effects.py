"""The measures pair by pair: a dot for each seed, the estimate with its interval, the verdict, and what is too small to matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.page import LEADING, NARROW, finish, lines_high, page, wrapped
from curriculum.measure import effects
from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import SCALED
from curriculum.measure.verdicts import Verdict

WIDEST = 1e4  # a ratio beyond it, or its inverse, is drawn at the edge
STRIP = 0.36  # inches of dots
BELOW = 0.24  # inches of an axis and its ticks


@dataclass(frozen=True)
class _Row:
    """The effect of one pair of runs: its verdict, the texts beside or above it, and where its middle is, in inches from the top."""

    verdict: Verdict
    texts: tuple[str, str, str]
    high: float


def draw(found: Comparison, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a panel for each measure and guard, with a row for each pair of runs: all rows of a panel have the same scale."""
    judged = (*found.verdicts, *found.guards)
    measures = dict.fromkeys((verdict.id, verdict.title) for verdict in judged)
    groups = [[verdict for verdict in judged if (verdict.id, verdict.title) == own] for own in measures]
    with style.themed(theme):
        wide = theme.width is None or theme.width >= NARROW
        figure = page(theme, 10, 1)
        shared = _shared_margin(judged)
        rows = [[_row_of(figure, found, verdict, theme, wide, shared) for verdict in group] for group in groups]
        mixed = len({verdict.better for verdict in judged}) > 1
        heads = [_head(figure, found, group[0], theme, wide) for group in groups]
        highs = [sum(row.high for row in own) for own in rows]
        above = [0.0 if _is_beside(found, wide) else lines_high(head, theme.size) for head in heads]
        figure.set_figheight(sum(highs) + sum(above) + len(groups) * (BELOW + (0.2 if mixed else 0.04)))
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=highs)[:, 0]
        for axes, own, head in zip(grid, rows, heads, strict=True):
            _panel(axes, own, head, found, theme, wide, mixed)
        return finish(figure, theme, _title(found, judged), note=_note(found, judged, shared), inner=sum(highs))


def _is_beside(found: Comparison, wide: bool) -> bool:
    """Tell whether the name of a measure stands beside its only row, not above its rows."""
    return wide and len(found.pairs) == 1


def _title(found: Comparison, judged: Sequence[Verdict]) -> str:
    paired = all(verdict.estimate.paired for verdict in judged)
    same = len({verdict.estimate.n for verdict in judged}) == 1
    pairs = f"each of {judged[0].estimate.n} pairs" if same else "each pair"
    what = f"effect in {pairs} of seeds, and its intervals" if paired else "effects and their intervals"
    if len(found.pairs) > 1:
        return what.capitalize()
    return f"{found.names[judged[0].first]} against {found.names[judged[0].other]}: {what}"


def _note(found: Comparison, judged: Sequence[Verdict], shared: str) -> str:
    together = f"; thin: the same for all {found.tests} tests together" if found.tests > 1 else ""
    notes = [f"Dots: pairs of seeds. Diamond: estimate. Thick: {found.level} interval{together}."]
    better = {verdict.better for verdict in judged}
    if len(better) == 1:
        firsts = {verdict.first for verdict in judged}
        who = f" in {found.names[firsts.pop()]}" if len(firsts) == 1 else " in the first run of the pair"
        notes.append(f"{'Left' if better == {'lower'} else 'Right'} of the line: better{who}.")
    notes.append(f"Gray band: too small to matter{f' ({shared}, if not said otherwise)' if shared else ''}.")
    notes.append("Green: supported; orange: contradicted; gray: neither.")
    scales = "Each measure has a scale of its own" if len({(verdict.id, verdict.title) for verdict in judged}) > 1 else ""
    factors = "factors are on log scales" if any(verdict.effect in SCALED for verdict in judged) else ""
    notes.append(f"{'; '.join(filter(None, (scales, factors)))}." if scales or factors else "")
    corrected = "p is corrected for all tests together (Holm)." if found.tests > 1 else ""
    return " ".join(filter(None, (*notes, corrected)))


def _head(figure: Figure, found: Comparison, verdict: Verdict, theme: style.Theme, wide: bool) -> str:
    """Name a measure, with the unit of its differences."""
    unit = effects.difference_unit(verdict.effect, verdict.unit) if verdict.effect not in SCALED else ""
    text = f"{verdict.label}{', ' if unit else ''}{unit}"
    width = figure.get_figwidth()
    return wrapped(figure, text, 0.27 * width if _is_beside(found, wide) else width - 1.0, theme.size)


def _shared_margin(judged: Sequence[Verdict]) -> str:
    """Give the margin that several measures have, which is then said once; else an empty text."""
    margins = [_margin(verdict) for verdict in judged if verdict.margin is not None]
    common = max(set(margins), key=margins.count, default="")
    return common.removeprefix("margin ") if margins.count(common) > 1 else ""


def _row_of(figure: Figure, found: Comparison, verdict: Verdict, theme: style.Theme, wide: bool, shared: str) -> _Row:
    """Write what stands beside a row, or above it on a narrow page: the pair, the effect with its verdict, and p with the margin."""
    width, small = figure.get_figwidth(), theme.size - 1
    pair = f"{found.names[verdict.first]} against {found.names[verdict.other]}" if len(found.pairs) > 1 else ""
    interval = f"[{effects.number(verdict.low, verdict.effect)}, {effects.number(verdict.high, verdict.effect)}]"
    margin = _margin(verdict)
    fine = f"p = {verdict.chance}{f', {margin}' if margin != f'margin {shared}' else ''}"
    if wide:
        verdict_lines = wrapped(figure, f"{verdict.amount} {interval}\n{verdict.verdict}", 0.26 * width, theme.size, "bold")
        texts = (wrapped(figure, pair, 0.27 * width, theme.size), verdict_lines, wrapped(figure, fine, 0.26 * width, small))
        beside = lines_high(verdict_lines, theme.size) + lines_high(texts[2], small)
        return _Row(verdict, texts, max(STRIP + 0.1, beside + 0.04, lines_high(texts[0], theme.size)))
    room = width - 0.35
    said = wrapped(figure, f"{verdict.amount} {interval}: {verdict.verdict}", room, theme.size, "bold")
    texts = (wrapped(figure, pair, room, theme.size) if pair else "", said, wrapped(figure, fine, room, small))
    above = sum(lines_high(text, size) for text, size in zip(texts, (theme.size, theme.size, small), strict=True) if text)
    return _Row(verdict, texts, above + STRIP + 0.06)


def _margin(verdict: Verdict) -> str:
    """Say up to where an effect is too small to matter."""
    if verdict.margin is None:
        return "no margin"
    low, high = verdict.margin
    if verdict.effect in SCALED:
        return f"margin x{effects.number(low, verdict.effect)} to x{effects.number(high, verdict.effect)}"
    amount = effects.number(high, verdict.effect).removeprefix("+")
    return f"margin \N{PLUS-MINUS SIGN}{amount} {effects.difference_unit(verdict.effect, verdict.unit)}".rstrip()


def _panel(axes: Axes, rows: Sequence[_Row], head: str, found: Comparison, theme: style.Theme, wide: bool, mixed: bool) -> None:
    """Draw the rows of a measure, from the top down; heights are in inches. Where what is better is `mixed`, each panel says it."""
    first = rows[0].verdict
    axes.set_ylim(-sum(row.high for row in rows), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    none = 1 if first.effect in SCALED else 0
    _scale(axes, [row.verdict for row in rows], wide)
    left: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "linespacing": LEADING}
    at = 0.0
    for row in rows:
        middle = at - (row.high / 2 if wide else row.high - STRIP / 2)
        color = style.verdict_color(row.verdict.verdict, theme)
        reach = row.high / 2 if wide else STRIP / 2
        axes.plot([none, none], [middle - reach, middle + reach], color=theme.ink, lw=0.8, zorder=1, solid_capstyle="butt")
        _dots(axes, row.verdict, middle, color, theme)
        beside, said, fine = row.texts
        if wide:
            name = head if _is_beside(found, wide) else beside
            top = middle + (lines_high(said, theme.size) + lines_high(fine, theme.size - 1)) / 2
            axes.text(-0.03, middle, name, ha="right", va="center", **left)
            axes.text(1.03, top, said, ha="left", va="top", color=color, fontweight="bold", **left)
            under = top - lines_high(said, theme.size)
            axes.text(1.03, under, fine, ha="left", va="top", color=theme.muted, fontsize=theme.size - 1, **left)
        else:
            top = at
            for text, size, own in ((beside, theme.size, theme.ink), (said, theme.size, color), (fine, theme.size - 1, theme.muted)):
                if text:
                    weight = "bold" if text is said else "normal"
                    axes.text(0, top, text, ha="left", va="top", color=own, fontsize=size, fontweight=weight, **left)
                    top -= lines_high(text, size)
        at -= row.high
    if not _is_beside(found, wide):
        axes.set_title(head, loc="left", fontsize=theme.size, pad=2)
    if mixed and first.better == "lower":
        axes.set_xlabel("\N{BLACK LEFT-POINTING SMALL TRIANGLE} better", loc="left", fontsize=theme.size - 1, color=theme.muted, labelpad=0)
    elif mixed:
        axes.set_xlabel(
            "better \N{BLACK RIGHT-POINTING SMALL TRIANGLE}", loc="right", fontsize=theme.size - 1, color=theme.muted, labelpad=0
        )


def _heights(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose where in its strip each dot is drawn, from -1 to 1: equal values are stacked, the others scattered."""
    heights = np.random.default_rng(0).uniform(-0.85, 0.85, len(values))
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        if count > 1:
            heights[values == value] = np.linspace(-1, 1, count)
    return heights


def _dots(axes: Axes, verdict: Verdict, middle: float, color: str, theme: style.Theme) -> None:
    """Draw the effects in pairs, the estimate and its intervals, and the margin behind them."""
    values, ends = _values(verdict), _ends(verdict)
    if verdict.margin is not None:
        low, high = verdict.margin
        half = STRIP / 2
        axes.fill_between([low, high], middle - half, middle + half, color=theme.faint, alpha=0.35, lw=0, zorder=0)
    axes.plot(values, middle + 0.45 * STRIP * _heights(values), "o", ms=3, color=color, alpha=0.45, mew=0, zorder=2)
    axes.plot(ends, [middle, middle], color=theme.ink, lw=0.9, zorder=3, solid_capstyle="butt")
    axes.plot([verdict.low, verdict.high], [middle, middle], color=theme.ink, lw=2.2, zorder=3, solid_capstyle="butt")
    axes.plot(verdict.value, middle, "D", ms=5, color=theme.ink, mec=theme.back, mew=0.8, zorder=4)


def _values(verdict: Verdict) -> NDArray[np.float64]:
    """Give the effects in pairs as they are drawn."""
    found = np.asarray(verdict.pair_effects)
    return np.clip(10**found, 1 / WIDEST, WIDEST) if verdict.effect in SCALED else found


def _ends(verdict: Verdict) -> list[float]:
    """Give the interval for all tests together."""
    return [10**end if verdict.effect in SCALED else end for end in verdict.estimate.wide]


def _scale(axes: Axes, verdicts: Sequence[Verdict], wide: bool) -> None:
    """Choose one range for the rows of a measure, as wide on both sides of no effect, and its ticks."""
    first = verdicts[0]
    reach = [value for verdict in verdicts for value in (*_values(verdict), *_ends(verdict)) if math.isfinite(value)]
    if first.effect in SCALED:
        axes.set_xscale("log")
        edge = max(max(v, 1 / v) for v in (*reach, 1.3) if v > 0) * 1.1
        axes.set_xlim(1 / edge, edge)
        between = (0.8, 0.9, 1.1, 1.25) if edge < 1.5 else (0.5, 0.8, 1.25, 2) if edge < 3 else (0.25, 0.5, 2, 4) if edge < 30 else ()
        powers = [10.0**power for power in range(-4, 5) if edge < 300 or power % 2 == 0]
        axes.set_xticks([t for t in (*powers, *between) if 1 / edge <= t <= edge])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"x{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        return
    # Counts of most pairs are near 0 and of a few may be far from it.
    least = 2.0 if first.counts else 0.0
    edge = 1.2 if first.effect == "share" else max(least, *(abs(value) for value in reach)) * 1.15 or 1.0
    axes.set_xlim(-edge, edge)
    if edge > 12:
        axes.set_xscale("symlog", linthresh=2, linscale=0.6)
        sides = [t for t in (2, 10, 100, 1000) if t <= edge]
        axes.set_xticks([*(-t for t in reversed(sides)), 0, *sides])
    else:
        whole = FixedLocator([-1, -0.5, 0, 0.5, 1]) if edge == 1.2 else MaxNLocator(7 if wide else 5, integer=edge > 2)
        axes.xaxis.set_major_locator(whole)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if not value else f"{100 * value:+.0f}" if first.effect == "share" else f"{value:+.3g}")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
