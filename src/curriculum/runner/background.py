"""A second thread for what need not hold up training: probing the weights, and storing."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

SWITCH_SECONDS = 2e-4
MOST_WAITING = 4  # pieces of work; each holds what it works on in memory


class Background:
    """Does one piece of work after another in a thread of its own.

    Work runs in the order in which it is given, with `flush` with denormal numbers flushed to zero. What it raises is raised by every
    `submit` and `wait` from then on, and no more work is done: a checkpoint must not say that something is stored whose storing failed.
    """

    def __init__(self, flush: bool = False) -> None:
        # OpenMP counts threads for each thread apart, and this one has the other core.
        # A thread that waits for the interpreter gets it after this time; the usual 5 ms are several training steps.
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._pool = ThreadPoolExecutor(1, initializer=_begin, initargs=(flush,))
        self._waiting: deque[Future[None]] = deque()
        self._failure: BaseException | None = None

    def close(self) -> None:
        """End the thread; work that has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(self._before)

    def submit(self, work: Callable[..., None], *args: Any) -> None:
        """Do `work(*args)` soon; wait where too much is waiting already."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= MOST_WAITING):
            self._finish_first()
        self._check()
        self._waiting.append(self._pool.submit(self._do, work, *args))

    def wait(self) -> None:
        """Wait until everything is done."""
        while self._waiting:
            self._finish_first()
        self._check()

    def _do(self, work: Callable[..., None], *args: Any) -> None:
        if self._failure is None:
            try:
                work(*args)
            except BaseException as error:
                self._failure = error

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _finish_first(self) -> None:
        first = self._waiting[0]
        try:
            first.result()
        finally:
            if first.done():  # an interrupt while waiting must not forget the work
                self._waiting.popleft()


def _begin(flush: bool) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(flush)
