"""Pack numbers for the page: whole numbers of at most 14 bits, differences along time, planes of bytes, compressed, as text.

`data.js` undoes each of these steps.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_LEVELS = 2**14 - 1  # so that the difference of two, with its sign, fits into 16 bits
FINE, COARSE = MOST_LEVELS, 2**12 - 1
Reference = dict[str, Any]  # how the page finds an array: its block and place there, its shape, and what its levels mean


@dataclass
class Blocks:
    """The arrays of a page, in blocks that are unpacked at once when the first of their arrays is needed."""

    _parts: dict[str, list[NDArray[np.uint16]]] = field(default_factory=dict)

    def add(self, block: str, values: ArrayLike, levels: int = FINE, *, log: bool = False, axis: int = -1) -> Reference:
        """Add an array `[..., T]`, or with `axis=0` `[T, ...]`, whose neighbors along time are alike.

        Its values are rounded to one of so many `levels` between the least and the largest, with `log` evenly in their logarithm. What
        is not finite, with `log` also what is not above 0, is missing on the page.
        """
        array = np.asarray(values, dtype=np.float64)
        known = np.isfinite(array) & ((array > 0) if log else True)
        scaled = np.log10(array, where=known, out=np.zeros_like(array)) if log else np.where(known, array, 0.0)
        low, high = (float(scaled[known].min()), float(scaled[known].max())) if known.any() else (0.0, 0.0)
        unit = (high - low) / (levels - 1) or 1.0
        found = np.where(known, 1 + np.rint((scaled - low) / unit), 0).astype(np.int32)
        changes = np.diff(found, axis=axis, prepend=0)
        part = ((changes << 1) ^ (changes >> 31)).astype(np.uint16).ravel()
        parts = self._parts.setdefault(block, [])
        place = sum(map(len, parts))
        parts.append(part)
        time = "first" if axis == 0 else "last"
        return {"block": block, "at": place, "shape": list(array.shape), "time": time, "low": low, "unit": unit, "log": log}

    def texts(self) -> dict[str, str]:
        """Give each block as text: base64 of its compressed bytes, all low ones before all high ones."""
        return {name: _text(np.concatenate(parts)) for name, parts in self._parts.items()}


def _text(numbers: NDArray[np.uint16]) -> str:
    planes = numbers.astype("<u2").view(np.uint8).reshape(-1, 2).T
    return base64.b64encode(zlib.compress(np.ascontiguousarray(planes).tobytes())).decode()


def steps_of(steps: ArrayLike) -> dict[str, Any]:
    """Describe steps `[F]`: as start, stride and count where they are evenly spaced, else as their list."""
    found = np.asarray(steps, dtype=np.int64)
    gaps = np.diff(found)
    if len(found) > 1 and (gaps == gaps[0]).all():
        return {"start": int(found[0]), "stride": int(gaps[0]), "count": len(found)}
    return {"list": found.tolist()}
