"""Make sure that a worker sees the folder of the one who sent it, and ends with whatever runs it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from curriculum.errors import InputError
from curriculum.store.files import write_file

TOKEN, TIED = "CURRICULUM_TOKEN", "CURRICULUM_TIED"
FILE = "token"
LENGTH = 32


def lay_token(folder: Path) -> dict[str, str]:
    """Write a new token to a folder, and give the variable by which workers know what to find there.

    Those of before stay, one a line: a job may still wait for room that was submitted with one of them.
    """
    token = secrets.token_hex(LENGTH // 2)
    path = folder.resolve() / FILE
    write_file(path, "\n".join([token, *_tokens(path)]).encode())
    return {TOKEN: f"{token}{path}"}


def check_token(environment: Mapping[str, str]) -> None:
    """Raise `InputError` where the file of the token is not what it was where the experiment was started."""
    if not (told := environment.get(TOKEN)):
        return
    path = Path(told[LENGTH:])
    if told[:LENGTH] not in _tokens(path):
        raise InputError(
            f"the folder {path.parent.parent} is not shared: the worker on {socket.gethostname()} does not find what was written there "
            "when the experiment was started. Name a folder that all workers share with --runs"
        )


def _tokens(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def end_with_parent(environment: Mapping[str, str]) -> None:
    """Where a launcher asked for it, end this process as SIGTERM does when its standard input closes, which its parent keeps open."""
    if environment.get(TIED):
        threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    # Not sys.stdin: a thread that waits in it keeps Python from ending.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
