"""Measure what a block takes: train a few steps of it in a folder that is thrown away."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculum.errors import CurriculumError, InputError
from curriculum.launch.of_study import seeds_option

STEPS = 40  # that are trained for a trial, twice: the difference is free of what the beginning takes
MARGIN = 1.25  # of memory and time, over what was measured


@dataclass(frozen=True)
class Need:
    """What a block takes: seconds, and MiB of memory."""

    seconds: float
    megabytes: float


def try_block(command: Sequence[str], environment: Mapping[str, str], steps: int, seeds: Sequence[int]) -> Need:
    """Measure a block of seeds that trains for so many steps: twice a part of it, from which the whole is reckoned.

    `command` trains a block, but for its seeds, its steps and the folder of its runs. Raises `InputError` for what its input has
    wrong, `CurriculumError` if it fails.
    """
    short, long = max(1, min(STEPS // 2, steps // 2)), max(1, min(STEPS, steps))
    with tempfile.TemporaryDirectory(prefix="curriculum-trial-") as folder:
        found = [
            _measure(
                [*command, "--block", seeds_option(seeds), "--steps", str(count), "--runs", f"{folder}/{count}"],
                environment,
                Path(folder),
                count,
            )
            for count in dict.fromkeys((short, long))
        ]
    (first, _, _), (last, peak, size) = found[0], found[-1]
    a_step = max(0.0, last - first) / max(1, long - short)
    # What is stored is joined when the block ends, and is in memory twice then.
    return Need(last + a_step * (steps - long), peak + 2 * size / 2**20 * steps / long)


def _measure(command: Sequence[str], environment: Mapping[str, str], folder: Path, count: int) -> tuple[float, float, int]:
    """Run a command: its seconds, its largest memory in MiB, and the bytes that it stored."""
    log = folder / f"{count}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(list(command), env={**environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            began = os.times().elapsed
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        kind = InputError if process.returncode == InputError.exit_code else CurriculumError
        raise kind(f"a trial of a block failed: {lines[-1] if lines else f'exit code {process.returncode}'}")
    size = sum(own.stat().st_size for own in (folder / str(count)).rglob("*") if own.is_file())
    return os.times().elapsed - began, _megabytes(used), size


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def largest_block(size: int, fits: Callable[[int], bool]) -> int:
    """Halve a block until it fits. A block of one seed is taken as it is."""
    while size > 1 and not fits(size):
        size = (size + 1) // 2
    return size
