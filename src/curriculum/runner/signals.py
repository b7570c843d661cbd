"""Handle signals during training: stop after the current step, or store a checkpoint."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SHOW_CURSOR = "\x1b[?25h"


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


class Signals:
    """Context manager that turns Ctrl-C, SIGTERM and SIGUSR1 into requests that training handles after the current step.

    A second Ctrl-C or SIGTERM ends the process immediately. Signals reach only the main thread of a process.
    """

    def __init__(self) -> None:
        self._stop: int | None = None
        self._store = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._asked_to_stop, signal.SIGTERM: self._asked_to_stop, signal.SIGUSR1: self._asked_to_store}
            self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether a request is pending."""
        return self._store or self._stop is not None

    @property
    def stopping(self) -> bool:
        """Whether a stop is requested."""
        return self._stop is not None

    def answer(self, when: str) -> None:
        """Acknowledge a stored checkpoint. Raises `KeyboardInterrupt`, or `Terminated` for SIGTERM, if a stop was requested."""
        self._store = False
        if self._stop is not None:
            raise (Terminated if self._stop == signal.SIGTERM else KeyboardInterrupt)(f"interrupted {when}")

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stop is not None:
            # What is stored stays as it is: every file is written beside and renamed, and the lock ends with the process.
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
            os._exit(128 + number)
        self._stop = number

    def _asked_to_store(self, number: int, frame: FrameType | None) -> None:
        self._store = True
