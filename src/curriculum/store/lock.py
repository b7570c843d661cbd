"""A lock on a folder that ends with its holder, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from curriculum.errors import InUseError, RunError

BETWEEN = 0.02  # seconds from one try to take a lock to the next


class Lock:
    """Holds a folder against every other process, and every other `Lock` of this one.

    The operating system keeps it with the open folder: no file is left behind by a process that was killed.
    """

    def __init__(self, folder: Path):
        """Take the lock at once.

        Raises `InUseError` where another holds it, `RunError` where the folder cannot be locked.
        """
        if folder.is_symlink():
            raise RunError(f"{folder} is a symbolic link: name the folder that it points to, {os.path.realpath(folder)}")
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise RunError(f"cannot open the folder {folder}: {error.strerror or error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if isinstance(error, BlockingIOError):
                raise InUseError(f"{folder} is in use by another process") from None
            raise RunError(f"cannot lock the folder {folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let go; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def wait_for_lock(folder: Path, patience: float | None = None) -> Lock:
    """Take the lock of a folder when its holder lets go: without end, or for so many seconds; then `InUseError` is raised."""
    began = time.monotonic()
    while True:
        try:
            return Lock(folder)
        except InUseError:
            if patience is not None and time.monotonic() - began >= patience:
                raise
            time.sleep(BETWEEN)


def is_held(folder: Path) -> bool:
    """Tell whether some process holds the lock of a folder, or of the one that a link leads to."""
    try:
        Lock(Path(os.path.realpath(folder))).release()
    except InUseError:
        return True
    except RunError:
        return False
    return False
