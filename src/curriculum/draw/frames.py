"""Which steps of a run a video shows."""

from __future__ import annotations

import math


def frame_steps(steps: int, stride: int | None = None) -> list[int]:
    """Choose the steps of a run of `steps` steps that the video shows.

    Without a stride the pace quickens as training slows down: a position x starts at 0 and moves by
    max(1, 7.9236 ln(0.0005 round(x) + 1) + 1), unrounded, and frames are at round(x). The last step is always
    shown.
    """
    chosen: list[int] = []
    x = 0.0
    while round(x) < steps:
        chosen.append(round(x))
        x += stride if stride is not None else max(1.0, 7.9236 * math.log(0.0005 * round(x) + 1) + 1)
    if chosen[-1] != steps - 1:
        chosen.append(steps - 1)
    return chosen
