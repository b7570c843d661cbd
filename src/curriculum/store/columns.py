"""Columns of tables from arrays and back, without pandas: what pyarrow has for that imports it, which takes 0.4 s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


def whole(values: NDArray[np.int64]) -> pa.Array:
    """Make a column of whole numbers `[N]`; it shares their memory."""
    import pyarrow as pa

    return _column(pa.int64(), values, None)


def numbers(values: NDArray[np.float32]) -> pa.Array:
    """Make a column of numbers `[N]` that shares their memory; those that are not a number are missing."""
    import pyarrow as pa

    return _column(pa.float32(), values, ~np.isnan(values))


def values_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """Read a column of numbers `[N]`: NaN where one is missing."""
    kind = np.dtype({"float": "float32", "double": "float64"}.get(str(column.type), str(column.type)))
    return np.concatenate([_values(part, kind) for part in column.chunks] or [np.empty(0, kind)])


def _values(part: pa.Array, kind: np.dtype[Any]) -> NDArray[Any]:
    bits, data = part.buffers()
    values: NDArray[Any] = np.frombuffer(data, kind)[part.offset : part.offset + len(part)]
    if not part.null_count:
        return values
    known = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[part.offset : part.offset + len(part)]
    return np.where(known, values, np.nan).astype(kind)


def _column(kind: pa.DataType, values: NDArray[Any], known: NDArray[np.bool_] | None) -> pa.Array:
    import pyarrow as pa

    bits = None if known is None or known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(np.ascontiguousarray(values))])
