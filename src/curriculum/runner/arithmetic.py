"""How a process computes while it trains: on how many threads, and whether it takes numbers that are almost zero for zero.

Numbers below 1.2e-38, the smallest that float32 holds in full, are *denormal*. Many processors compute with them much more slowly, and
a network whose outputs saturate has gradients full of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from curriculum.store.reader import Run

FLUSH = "flush_denormals"  # its name in run.json
ALMOST = 2e-38  # not denormal, but half of it is
SHARE = 2**15  # numbers, of which PyTorch gives each thread at least so many
HARD = 2  # OpenMP's omp_pause_hard: its threads end


@contextmanager
def arithmetic(count: int, flush: bool) -> Iterator[None]:
    """Let PyTorch use so many threads, and flush denormal numbers to zero or not, as a context."""
    threads, flushed = torch.get_num_threads(), _flushes()
    try:
        torch.set_num_threads(count)
        torch.set_flush_denormal(flush)
        if count > 1:
            _renew_workers()
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)
        if count > 1 and flush != flushed:
            _renew_workers()


def can_flush(count: int) -> bool:
    """Tell whether denormal numbers can be flushed to zero here on each of so many threads."""
    with arithmetic(count, flush=True):
        return _flushes(count * SHARE)


def flush_of(run: Run) -> bool:
    """Say whether a stored run was trained so; those of earlier versions were not."""
    flush: bool = run.manifest.get(FLUSH, False)
    return flush


def _flushes(numbers: int = 1) -> bool:
    return not bool(torch.full((numbers,), ALMOST, dtype=torch.float32, device="cpu").mul_(0.5).any())


def _renew_workers() -> None:
    """End the threads on which operations are shared out: a thread computes as the one did that began it."""
    library = _openmp()
    if library is not None:
        library.omp_pause_resource_all(HARD)


def _openmp() -> ctypes.CDLL | None:
    """Find the OpenMP that comes with PyTorch, if it can end its threads."""
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted(path for pattern in ("libgomp*", "libiomp*", "libomp*") for path in folder.glob(pattern)):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        if hasattr(library, "omp_pause_resource_all"):
            return library
    return None
