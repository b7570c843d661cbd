"""The slow part of how latents move, and what is left beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside, intervals

FILTER = 200  # steps that the low-pass spans
ROWS, COLUMNS = 64, 32  # of latents that are computed with at once: what stays in the cache of a processor
NEEDS = f"latents over more than {FILTER} steps of the window"


def positions(trace: Trace, window: NDArray[np.bool_], span: int = FILTER) -> tuple[Array, Array] | None:
    """Split the latents into drift L and position Z, both `[K, N, D]`, where the filter fits in the window.

    L is a Hann low-pass of Z over `span` steps. None where the window is shorter than the filter and three
    steps.
    """
    return trace.once((positions, window.tobytes(), span), lambda: _positions(trace, window, span))


def speed(trace: Trace, window: NDArray[np.bool_]) -> Array | None:
    """Compute how fast the drift over a window moves, per input and step: `[K - 1]`; None as `positions` does."""
    return trace.once((speed, window.tobytes()), lambda: _speed(trace, window))


def speed_throughout(trace: Trace) -> tuple[NDArray[np.int64], Array] | None:
    """Compute the speed of the drift over the whole run `[K]`, with the steps at which it is so; None as `positions` does.

    It is small, and kept with the run: figures show what is measured.
    """
    if speed_throughout not in trace.kept:
        found = speed(trace, np.ones(trace.motion_steps.max(initial=0) + 1, dtype=bool))
        first = 0 if found is None else (len(trace.motion_steps) - len(found) - 1) // 2
        trace.kept[speed_throughout] = None if found is None else (trace.motion_steps[first : first + len(found)], found)
    known: tuple[NDArray[np.int64], Array] | None = trace.kept[speed_throughout]
    return known


def changes(path: Array, order: int, unit: float = 1.0) -> Array:
    """Compute the sum of squares of the differences of an order along a path `[K, N, D]`, in some unit: `[K - order]`."""
    found = [np.empty(0)]
    for first in range(0, len(path) - order, ROWS):
        apart = np.diff(path[first : first + ROWS + order], n=order, axis=0)
        if unit != 1:
            apart /= unit
        found.append(np.square(apart, out=apart).sum(axis=(1, 2)))
    return np.concatenate(found)


def _speed(trace: Trace, window: NDArray[np.bool_]) -> Array | None:
    found = positions(trace, window)
    return None if found is None else np.sqrt(changes(found[0], 1) / found[0].shape[1]) / trace.motion_stride


def _positions(trace: Trace, window: NDArray[np.bool_], span: int) -> tuple[Array, Array] | None:
    stride = trace.motion_stride
    z = _stretch(trace.latents, inside(trace.motion_steps, window))
    taps = np.hanning(2 * max(1, span // stride // 2) + 3)[1:-1]
    taps /= taps.sum()
    half = len(taps) // 2
    if len(z) < len(taps) + 3:
        return None
    slow = _filtered(z.reshape(len(z), -1), taps).reshape(-1, *z.shape[1:])
    return slow, z[half : half + len(slow)]


def _stretch(latents: Array, marked: NDArray[np.bool_]) -> Array:
    """Take the marked latents, without a copy where they follow each other."""
    found = intervals(marked)
    return latents[found[0][0] : found[0][1] + 1] if len(found) == 1 else latents[marked]


def _filtered(values: Array, taps: Array) -> Array:
    """Filter the columns of values `[K, C]` where the filter `[M]` fits: `[K - M + 1, C]`.

    The numbers are those of `scipy.signal.fftconvolve`, to the last bit. A few columns at a time stay in the processor's cache, which
    takes a third of the time.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    rows, columns = values.shape
    size = next_fast_len(rows + len(taps) - 1, True)
    response = rfft(taps, size)
    padded = np.zeros((min(COLUMNS, columns), size))
    slow = np.empty((rows - len(taps) + 1, columns))
    for first in range(0, columns, COLUMNS):
        own = values[:, first : first + COLUMNS].T
        padded[: len(own), :rows] = own
        spectrum = rfft(padded[: len(own)], axis=1)
        spectrum *= response
        slow[:, first : first + COLUMNS] = irfft(spectrum, size, axis=1, overwrite_x=True)[:, len(taps) - 1 : rows].T
    return slow
