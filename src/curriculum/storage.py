"""Read and write single files: whole or not at all, and never by executing anything."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

Arrays = Mapping[str, NDArray[Any]]


def digest(data: bytes) -> str:
    """Compute the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it.

    Raises `RunError` where the disk does not take it; nothing is left behind then.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def to_parquet(table: pa.Table) -> bytes:
    """Write a table of losses as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    # Losses hardly repeat: a dictionary of them takes five times as long and more room.
    pq.write_table(table, sink, compression="zstd", use_dictionary=["seed"])
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file."""
    import pyarrow.parquet as pq

    return pq.read_table(path)


def join_safetensors(paths: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """Read the parts of one file and join them along the first axis; one that comes later may have more names."""
    loaded = [read_safetensors(path) for path in paths]
    names = list(dict.fromkeys(name for part in loaded for name in part))
    return {name: np.concatenate([part[name] for part in loaded if name in part]) for name in names}


def to_safetensors(arrays: Arrays) -> bytes:
    """Write arrays by name as the bytes of a safetensors file."""
    from safetensors.numpy import save

    data: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return data


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file by name."""
    from safetensors.numpy import load_file

    arrays: dict[str, NDArray[Any]] = load_file(path)
    return arrays
