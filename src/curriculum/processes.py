"""Start commands as processes of this machine whose output goes to a log, and end them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from curriculum.errors import CurriculumError

LAST_LINES = 12  # of its log, that are shown of a process that failed
LONGEST = 1000  # characters of such a line: the last one is often an error that says what to do at its end


def cores_here() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_logged(command: Sequence[str], environment: Mapping[str, str], log: Path, mode: str) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, without input; its log is opened in `mode`.

    Raises `CurriculumError` where it cannot be started.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open(mode) as output:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
    except OSError as error:
        raise CurriculumError(f"cannot start {shlex.join(command)}: {error.strerror or error}") from error


def stop_all(processes: Iterable[subprocess.Popen[Any]], grace: float) -> None:
    """End processes and what they have started: first asked, then, after so many seconds, killed."""
    every = list(processes)
    for process in every:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + grace
    for process in every:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def last_lines(log: Path) -> tuple[str, ...]:
    """Read the last lines of a log; none where there is no log."""
    with suppress(OSError):
        lines = log.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
        return tuple(line[:LONGEST] for line in lines[-LAST_LINES:])
    return ()
