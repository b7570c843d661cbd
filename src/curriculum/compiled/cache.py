"""The libraries of compiled steps on disk: built once, found by everything that what they compute depends on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from curriculum.compiled.build import LIBRARY, SHAPES, STEP
from curriculum.compiled.library import Library
from curriculum.errors import CurriculumError
from curriculum.processes import last_lines, start_logged, stop_all
from curriculum.store.lock import wait_for_lock

FOLDER = "CURRICULUM_CACHE"  # the variable of the environment that names the folder
EVERY = 0.2  # seconds from one look at what is being built to the next
GRACE = 2.0  # seconds to end in
LOG, FAILED = "build.log", "failed"


class UnbuiltError(CurriculumError):
    """A library that could not be built."""


class UnusableError(CurriculumError):
    """What building needs is missing: a compiler, memory, or a folder for libraries."""


def cache_folder() -> Path:
    """Give the folder of compiled steps: `compiled` in `$CURRICULUM_CACHE`, or in the user's folder for such files."""
    named = os.environ.get(FOLDER)
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "curriculum"
    return base / "compiled"


@cache
def _machine() -> str:
    """Say for which machine and by what a library is built: one that another processor runs may be none for this."""
    try:
        flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = ""
    builder = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("build.py", "functions.py"))
    parts = [platform.machine(), platform.system(), flags, torch.__version__, torch.backends.cpu.get_cpu_capability()]
    return hashlib.sha256("\n".join(parts).encode() + builder).hexdigest()


def found_or_built(
    text: str, described: dict[str, Any], before_building: Callable[[], None], while_building: Callable[[], None]
) -> Library:
    """Load the library of a step, given as a text, with a description of its tensors; build it first where it is not stored yet.

    Before it is built, `before_building` is called, and `while_building` again and again: what that raises ends it. Raises
    `UnbuiltError` with the reason where building fails, `UnusableError` where the folder of libraries cannot be used.
    """
    shapes = json.dumps(described)
    key = hashlib.sha256("\n".join([_machine(), shapes, text]).encode()).hexdigest()[:32]
    folder = cache_folder() / key
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = wait_for_lock(folder)  # another process may be building the same
    except OSError as error:
        raise UnusableError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        if not (folder / LIBRARY).exists():
            _check_failed(folder)
            before_building()
            _put(folder / STEP, text)
            _put(folder / SHAPES, shapes)
            _build(folder, while_building)
        try:
            return Library(folder / LIBRARY)
        except OSError:  # it was damaged since
            (folder / LIBRARY).unlink()
            _build(folder, while_building)
            return Library(folder / LIBRARY)
    except OSError as error:
        raise UnbuiltError(f"cannot load {folder / LIBRARY}: {error}") from error
    finally:
        lock.release()


def _put(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    os.replace(part, path)


def _build(folder: Path, meanwhile: Callable[[], None]) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "curriculum.compiled.build", str(folder)]
    building = start_logged(command, os.environ, folder / LOG, "wb")
    try:
        while (code := _ended(building)) is None:
            meanwhile()
    except BaseException:
        stop_all([building], GRACE)
        raise
    if code < 0:
        raise UnusableError(f"the compiler was killed by signal {-code}, perhaps for lack of memory: run the command again")
    if code != 0:
        said = [line.strip() for line in last_lines(folder / LOG) if line.strip()]
        _put(folder / FAILED, said[-1] if said else f"exit code {code}")
        _check_failed(folder)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(EVERY)
    except subprocess.TimeoutExpired:
        return None


def _check_failed(folder: Path) -> None:
    """Raise `UnbuiltError` where building has failed before: it would take as long, and fail, in every run."""
    if (folder / FAILED).exists():
        why = (folder / FAILED).read_text()
        raise UnbuiltError(f"{why} (to try again, remove the folder; all of it: {folder / LOG})")
