"""The slow part of how latents move, and what is left beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside

FILTER = 200  # steps that the low-pass spans
NEEDS = f"latents over more than {FILTER} steps of the window"


def positions(trace: Trace, window: NDArray[np.bool_], span: int = FILTER) -> tuple[Array, Array] | None:
    """Split the latents into drift L and position Z, both `[K, N, D]`, where the filter fits in the window.

    L is a Hann low-pass of Z over `span` steps. None where the window is shorter than the filter and three
    steps.
    """
    asked = (positions, window.tobytes(), span)
    if asked not in trace.known:
        trace.known[asked] = _positions(trace, window, span)
    found: tuple[Array, Array] | None = trace.known[asked]
    return found


def _positions(trace: Trace, window: NDArray[np.bool_], span: int) -> tuple[Array, Array] | None:
    stride = trace.motion_stride
    z = trace.latents[inside(trace.motion_steps, window)]
    taps = np.hanning(2 * max(1, span // stride // 2) + 3)[1:-1]
    taps /= taps.sum()
    half = len(taps) // 2
    if len(z) < len(taps) + 3:
        return None
    flat = z.reshape(len(z), -1)
    from scipy.signal import fftconvolve

    slow = fftconvolve(flat, taps[:, None], mode="valid", axes=0).reshape(-1, *z.shape[1:])
    return slow, z[half : half + len(slow)]
