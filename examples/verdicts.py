"""Draw which verdict follows from an interval and a margin: `python examples/verdicts.py FILE.png`."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from curriculum.draw import style
from curriculum.measure.stats import Estimate
from curriculum.measure.verdicts import judge

MARGIN = 1.0
SHOWN = (  # the ends of an interval, and p
    (-2.6, -1.3, 0.01),
    (-2.0, -0.4, 0.01),
    (-0.8, -0.2, 0.01),
    (-0.5, 0.6, 0.4),
    (-0.6, 1.7, 0.4),
    (0.2, 0.8, 0.01),
    (0.4, 2.0, 0.01),
    (1.3, 2.5, 0.01),
)


def draw(theme: style.Theme = style.LIGHT) -> Figure:
    with style.themed(theme):
        figure = style.figure(8.2, 3.4)
        axes = figure.add_axes((0.02, 0.22, 0.6, 0.74))
        axes.axvspan(-MARGIN, MARGIN, color=theme.band, lw=0)
        axes.axvline(0, color=theme.ink, lw=0.8)
        for row, (low, high, p) in enumerate(SHOWN):
            found = Estimate((low + high) / 2, low, high, p, (low, high), (low, high), 20, 0, 12, 0.0, 32, paired=True)
            text = f"{judge(found, p, MARGIN)}  (p {'at most' if p <= 0.05 else 'above'} 0.05)"
            axes.plot([low, high], [-row, -row], color=theme.ink, lw=2.2, solid_capstyle="butt")
            axes.plot((low + high) / 2, -row, "D", ms=5, color=theme.ink)
            axes.annotate(text, (3.1, -row), va="center", annotation_clip=False)
        axes.set(xlim=(-3, 3), ylim=(-len(SHOWN) + 0.4, 0.6), yticks=[])
        axes.set_xticks([-MARGIN, 0, MARGIN], ["-margin", "no difference", "+margin"])
        axes.spines["left"].set_visible(False)
        said = "Left: the first run is better. Gray: too small to matter. Bars: intervals for all tests together."
        figure.text(0.02, 0.04, said, color=theme.muted)
    return figure


if __name__ == "__main__":
    style.save(draw(), Path(sys.argv[1]))
