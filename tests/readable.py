"""What can be read in a figure, and what cannot because it is cut or lies on another text."""

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from curriculum.draw.page import text_width


def written(figure: Figure) -> list[Text]:
    """List the texts that can be seen: of ticks, those within their axis."""
    figure.canvas.draw()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not (low <= tick.get_loc() <= high and tick.label1.get_visible()):
                    hidden |= {tick.label1, tick.label2}
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in hidden]


def boxes_of(text: Text) -> list[Bbox]:
    """Find where each line of a text is, in pixels: the lines of one that begin at its left are of different lengths."""
    whole, parts = text.get_window_extent(), text.get_text().split("\n")
    if len(parts) == 1 or text.get_ha() != "left" or text.get_rotation():
        return [whole.padded(-1.5)]
    high, dpi = whole.height / len(parts), text.figure.dpi
    widths = [dpi * text_width(text.figure, part, text.get_fontsize(), text.get_fontweight()) for part in parts]
    return [Bbox.from_bounds(whole.x0, whole.y1 - (row + 1) * high, wide, high).padded(-1.5) for row, wide in enumerate(widths) if wide > 4]


def lines(figure: Figure) -> str:
    """Join all that can be read in a figure, without its line breaks."""
    return " ".join(" ".join(text.get_text().split()) for text in written(figure))


def unreadable(figure: Figure) -> list[str]:
    """Say which texts are cut at the edge of a figure, or lie on each other."""
    boxes = [(text, box) for text in written(figure) for box in boxes_of(text)]
    edge = figure.bbox
    found = [f"{text.get_text()!r} is cut" for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > edge.x1 or box.y1 > edge.y1]
    for (one, first), (other, second) in combinations(boxes, 2):
        if one is not other and first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1:
            found.append(f"{one.get_text()!r} lies on {other.get_text()!r}")
    return found
