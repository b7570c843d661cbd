"""What all adapters share: at each step of an optimizer, fire the actions that have come up, and apply the values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from curriculum.play.playhead import Now, Playhead
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.param_groups import HasGroups
from curriculum.sheet.schedule import Schedule

Sheet = Schedule | Dopesheet | Playhead | str | PathLike[str]
OnAction = Callable[[str, Now], None]


class Follower:
    """A playhead that follows the steps of one optimizer, however many batches each of them takes."""

    def __init__(self, schedule: Sheet, on_action: OnAction | None = None):
        """Open a schedule, the sheet at a path or of a name, or a playhead.

        `on_action(name, now)` is called once for each action of the sheet, right before the step of the optimizer. Raises `InputError`
        for what is wrong in a sheet.
        """
        self.playhead = schedule if isinstance(schedule, Playhead) else Playhead(schedule)
        self._on_action = on_action
        self._now: Now | None = None
        self._start = self.playhead.state_dict()
        self.reach(self.playhead.step + 1)

    @property
    def now(self) -> Now:
        """What the schedule says at the step that is being made: the values for a loss."""
        if self._now is None:
            self._now = self.playhead.seek(self._step)
        return self._now

    def reach(self, step: int) -> None:
        """Move to a step: the number of steps that the optimizer has made. A step past the end may raise when it is read."""
        self._step = step
        self._now = None

    def before_step(self, optimizer: HasGroups) -> None:
        """Fire the actions that have come up, and apply the values to the optimizer, which makes its step right afterwards."""
        now = self.now
        if self._on_action is not None:
            for name in now.actions:
                self._on_action(name, now)
        now.apply(optimizer)
        self.playhead.commit()

    def state_dict(self) -> dict[str, Any]:
        """Give what is to be stored with a checkpoint, as plain values that JSON can hold."""
        return self.playhead.state_dict()

    def restart(self) -> None:
        """Go back to where this began."""
        self.load_state_dict(self._start)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a checkpoint was stored. Raises `InputError` for the state of another schedule."""
        self.playhead.load_state_dict(state)
        self.reach(self.playhead.step + 1)


class Following:
    """What every adapter has: a follower, and what is seen of it from outside."""

    def __init__(self, schedule: Sheet, on_action: OnAction | None = None):
        """Open a schedule, the sheet at a path or of a name, or a playhead.

        `on_action(name, now)` is called once for each action of the sheet, right before the step of the optimizer. Raises `InputError`
        for what is wrong in a sheet; training raises it for a column that the optimizer cannot take.
        """
        self._follower = Follower(schedule, on_action)

    @property
    def playhead(self) -> Playhead:
        """The position in the schedule; a retarget of it holds from the present step on."""
        return self._follower.playhead

    @property
    def now(self) -> Now:
        """What the schedule says at the step that is being made."""
        return self._follower.now
