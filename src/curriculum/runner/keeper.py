"""When a training stores checkpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curriculum.runner.background import Background
from curriculum.runner.session import Session
from curriculum.runner.signals import Signals
from curriculum.train.state import State

if TYPE_CHECKING:
    pass


class Keeper:
    """Makes checkpoints of a stack: every so many steps or seconds, and when a signal asks for one."""

    def __init__(self, sessions: Sequence[Session], background: Background, every: int, seconds: float, signals: Signals | None = None):
        self.sessions = sessions
        self.background = background
        self.every = every
        self.interval = seconds
        self.signals = signals
        self._last = time.monotonic()

    def due(self, step: int) -> bool:
        asked = self.signals is not None and self.signals.asked
        return asked or step % self.every == 0 or time.monotonic() - self._last >= self.interval

    def keep(self, state: State) -> None:
        """Make a checkpoint. Raises `KeyboardInterrupt` once it is stored, where a signal asks to stop."""
        for session, arm in zip(self.sessions, state.arms, strict=True):
            session.keep(state, arm)
        self._last = time.monotonic()
        if self.signals is not None and self.signals.asked:
            self.background.wait()
            self.signals.answer(f"after step {state.step - 1}")
