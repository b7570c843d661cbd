"""Read and write single files: whole or not at all, and never by executing anything."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import RunError
from curriculum.store.names import STEPS
from curriculum.store.place import Place, replace

if TYPE_CHECKING:
    import pyarrow as pa

SEAL = "sha256"  # the key of a JSON document's hash of all its other keys
NUMBERS = ("INT64", "INT32", "FLOAT", "DOUBLE")  # the physical types of a Parquet file that are read
MOST_TEXT = 256 * 2**20  # bytes of a text, which is read at once, or
TEXT_IN_MEMORY = 20  # as many as fit into memory: this is how much more room its lines take there, at worst
MOST_DOCUMENT = 16 * 2**20  # bytes of a JSON document
Arrays = Mapping[str, NDArray[Any]]


def digest(data: bytes) -> str:
    """Compute the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def check_stored(path: Path) -> None:
    """Check that a stored file can be opened: a regular file, no link that leads out of its folder, and not larger than memory.

    A pipe would wait for somebody to write to it, and a device need not end. Raises `OSError` where there is no file,
    `ValueError` for what is none, `RunError` for one that is too large.
    """
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent)):
        raise ValueError("it is a link that leads out of the run's folder")
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    check_size(path, found.st_size)


def reason(error: Exception) -> str:
    """Say in one line why a file cannot be read."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:160] or type(error).__name__


def sync(path: Path) -> None:
    """Wait until the disk has what was written to a file. Raises `OSError` where it does not take it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_file(path: Path) -> str:
    """Compute the SHA-256 of a stored file, in hexadecimal. Raises what `check_stored` does."""
    check_stored(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes, place: Place = replace) -> Path:
    """Write a file under a temporary name beside `path`, then give it its name by `place`; return the path that it has.

    Raises `RunError` where the disk does not take it, and what `place` raises; nothing is left behind then.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.unlink(missing_ok=True)  # left by a process of this number, or a link or a pipe that somebody put there
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a loss of power may leave the new name with nothing behind it
        return place(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def link_file(source: Path, path: Path) -> None:
    """Give a file a second name, in place of what had it; where the disk knows no such names, copy it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        os.link(source, beside)
    except OSError:
        write_file(path, source.read_bytes())
        return
    os.replace(beside, path)


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a document that is stored as JSON the hash of all the rest of it."""
    rest = {key: value for key, value in document.items() if key != SEAL}
    return {**rest, SEAL: digest(json.dumps(rest, sort_keys=True).encode())}


def seal_holds(document: Mapping[str, Any]) -> bool:
    """Tell whether a document is still what was sealed."""
    return bool(sealed(document)[SEAL] == document.get(SEAL))


def read_limited(path: Path, most: int = MOST_TEXT) -> bytes:
    """Read a stored file of text. Raises what `check_stored` does, and `ValueError` where it is larger than any that is written."""
    check_stored(path)
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"it has {size:,} bytes, at most {most:,} are read")
    check_size(path, TEXT_IN_MEMORY * size)
    return path.read_bytes()


def read_document(path: Path, most: int = MOST_DOCUMENT) -> Any:
    """Read a JSON file. Raises what `read_limited` does, and `ValueError` or `RecursionError` where it is no JSON."""
    return json.loads(read_limited(path, most).decode("utf-8"))


def to_parquet(table: pa.Table) -> bytes:
    """Write a table of losses as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    # Losses hardly repeat: a dictionary of them takes five times as long and more room.
    pq.write_table(table, sink, compression="zstd", use_dictionary=["seed"])
    data: bytes = sink.getvalue().to_pybytes()
    return data


def rows_of(path: Path) -> int:
    """Count the rows of a Parquet file of plain numbers by its metadata, without reading any.

    Raises `RunError` for a file of anything else, and where it claims to be larger than memory.
    """
    import pyarrow.parquet as pq

    check_stored(path)
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema
        columns = [schema.column(index) for index in range(len(schema))]
        if any(column.physical_type not in NUMBERS or column.max_repetition_level for column in columns):
            raise RunError(f"{path} is damaged: it has a column that is not numeric")
        # What is read is what the column chunks say, which need not be what the file says.
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        counts = {sum(group.column(index).num_values for group in groups) for index in range(len(columns))} | {metadata.num_rows}
        if len(counts) > 1:
            raise RunError(f"{path} is damaged: its columns do not have the number of rows that it claims to have")
        rows: int = metadata.num_rows
        check_size(path, rows * len(columns) * 8)
        return rows


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file of plain numbers. Raises what `rows_of` does, before any of it is read."""
    import pyarrow.parquet as pq

    rows_of(path)
    with pq.ParquetFile(path) as file:
        return file.read()


def check_size(path: Path, size: int) -> None:
    """Raise `RunError` where what a file claims to hold, in bytes, does not fit into memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory // 2:
        raise RunError(f"{path} claims to hold {size / 2**30:,.0f} GiB, which is more than this machine's memory allows")


def join_safetensors(paths: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """Read the parts of one file and join them."""
    return join_arrays([read_safetensors(path) for path in paths])


def join_arrays(parts: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Join parts along the first axis; one that comes later may have more names."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}


def arrays_until(arrays: Arrays, last: int) -> dict[str, NDArray[Any]]:
    """Leave out what is of steps after `last`: of arrays `[F, ...]` by name, with their steps `[F]` as `NAME.steps` or as `steps`.

    A name of which nothing is left is left out, too.
    """
    kept: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        own = array if name.rpartition(".")[2] == STEPS else arrays.get(f"{name}.{STEPS}", arrays.get(STEPS))
        if own is None or (own <= last).any():
            kept[name] = array if own is None else array[own <= last]
    return kept


def to_safetensors(arrays: Arrays) -> bytes:
    """Write arrays by name as the bytes of a safetensors file."""
    from safetensors.numpy import save

    data: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return data


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of the arrays of a safetensors file from its header, which is checked against the file's size.

    Raises what `check_stored` does.
    """
    from safetensors import safe_open

    check_stored(path)
    with safe_open(path, framework="numpy") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file by name.

    What its header says is checked against its size before any of it is read. Raises what `check_stored` does.
    """
    from safetensors.numpy import load_file

    check_stored(path)
    arrays: dict[str, NDArray[Any]] = load_file(path)
    return arrays
