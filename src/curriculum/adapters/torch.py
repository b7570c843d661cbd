"""A schedule for an optimizer of plain PyTorch, in any loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from curriculum.adapters.follower import Following, OnAction, Sheet


class ScheduleHook(Following):
    """Apply a schedule to an optimizer at each of its steps; nothing else in the loop changes.

        hook = ScheduleHook("warmup-cosine", optimizer)
        for batch in loader:
            loss = loss_of(model, batch, mix=hook.now["mix"])
            loss.backward()
            optimizer.step()

    A step is a call of `optimizer.step()`. A step that a `GradScaler` skips does not count. Do not use a PyTorch scheduler next to it.
    """

    def __init__(self, schedule: Sheet, optimizer: Optimizer, on_action: OnAction | None = None):
        """Attach a schedule, the sheet at a path or of a name, or a playhead to an optimizer.

        `on_action(name, now)` is called once for each action of the sheet, right before the step of the optimizer. Raises `InputError`
        for what is wrong in a sheet; a step raises it for a column that the optimizer cannot take.
        """
        super().__init__(schedule, on_action)
        self._before = optimizer.register_step_pre_hook(lambda optimizer, *_: self._follower.before_step(optimizer))
        self._after = optimizer.register_step_post_hook(lambda *_: self._follower.reach(self.playhead.step + 1))

    def state_dict(self) -> dict[str, Any]:
        """Give what is to be stored with a checkpoint, as plain values that JSON can hold."""
        return self._follower.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a checkpoint was stored. Raises `InputError` for the state of another schedule."""
        self._follower.load_state_dict(state)

    def remove(self) -> None:
        """Detach the schedule from the optimizer."""
        self._before.remove()
        self._after.remove()
