"""When, where and with which versions a run is trained: what `run.json` says of any run. Without PyTorch."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from curriculum.errors import CurriculumError
from curriculum.store.reader import Run


def place() -> dict[str, Any]:
    """Say with what and where a run is trained: versions, the commit of the working folder, and the machine."""
    return {"versions": versions(), "git": _git_commit(), "host": socket.gethostname(), "platform": platform.platform()}


def versions() -> dict[str, str]:
    """List the versions of what the numbers of a run depend on."""
    found = {"python": platform.python_version()}
    for name in ("curriculum", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def now() -> str:
    """Give the time, as files have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _git_commit() -> str | None:
    """Read the commit that is checked out in the working folder; None where it is no repository.

    The repository may be a stranger's, and its config can name programs: for `core.fsmonitor`, filters, hooks and diffs. Git
    runs these where it reads the index or the files, as it must to look for uncommitted changes. Here it reads only refs.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return None


def holder_of(path: Path) -> str:
    """Say which process trains the run at `path`, as ` (process 7 on host)`; nothing where that is not known."""
    with suppress(CurriculumError, LookupError, TypeError):
        run = Run(path)
        return f" (process {run.manifest['segments'][-1]['pid']} on {run.manifest['host']})"
    return ""


def new_segment(first: int) -> dict[str, Any]:
    """Say that a stretch of training begins: what `run.json` keeps of each, from one stop to the next."""
    return {"from": first, "started": now(), "pid": os.getpid()}


def close_segments(segments: Sequence[Mapping[str, Any]], trained: int, status: str, **more: Any) -> list[dict[str, Any]]:
    """Say how far the last stretch came and how it ended, unless that is said already."""
    closed = [dict(segment) for segment in segments]
    if closed and "to" not in closed[-1]:
        closed[-1] |= {"to": trained, "status": status, **more}
    return closed
