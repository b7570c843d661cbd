"""Draw the batches of the next stretch in a second thread, while compiled code trains in the first."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from curriculum.sheet.schedule import Schedule
from curriculum.train.state import State
from curriculum.train.stretch import Stretch, draw
from curriculum.train.task import Task


@dataclass(frozen=True)
class _Drawing:
    """A stretch that is being drawn: where it begins, and by which schedules."""

    step: int
    schedules: tuple[Schedule, ...]
    stretch: Future[Stretch]


class Ahead:
    """Draws stretches of a task before they are needed."""

    def __init__(self, task: Task):
        self.task = task
        self._pool: ThreadPoolExecutor | None = None
        self._drawing: _Drawing | None = None

    def begin(self, state: State, stretch: Stretch) -> None:
        """Begin to draw what follows a stretch."""
        step = stretch.steps.stop
        if step >= len(state.arms[0].schedule) or (self._drawing is not None and self._drawing.step == step):
            return
        self._pool = self._pool or ThreadPoolExecutor(1)
        found = self._pool.submit(draw, self.task, replace(state, step=step, stretch=None))
        self._drawing = _Drawing(step, _schedules(state), found)

    def take(self, state: State) -> Stretch:
        """Give the stretch that a state is at the start of, or amid."""
        drawing, self._drawing = self._drawing, None
        if drawing is None or state.stretch is not None or drawing.step != state.step:
            return draw(self.task, state)
        same = all(now is then for now, then in zip(_schedules(state), drawing.schedules, strict=True))
        return drawing.stretch.result() if same else draw(self.task, state)  # a retarget has changed what is drawn

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _schedules(state: State) -> tuple[Schedule, ...]:
    return tuple(arm.schedule for arm in state.arms)
