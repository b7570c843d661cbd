"""Play a schedule in a training loop of your own: what holds at a step, and what has happened since the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any, Literal

from curriculum.errors import InputError, unknown
from curriculum.play.sheets import load_sheet
from curriculum.sheet.document import Dopesheet, Phase
from curriculum.sheet.param_groups import HasGroups, apply
from curriculum.sheet.schedule import Schedule, compile_sheet

BEFORE = -1  # the step before the first


@dataclass(frozen=True)
class Now:
    """What a schedule says at one step: `now["lr"]` is the value of a column, and `values` has all of them.

    `actions` are those that have come up since the last step that was committed, in order, and `boundaries` the phases that began;
    `phase` is the name of the one that holds.
    """

    step: int
    phase: str
    values: Mapping[str, float]
    actions: tuple[str, ...] = ()
    boundaries: tuple[Phase, ...] = ()
    _read: set[str] = field(default_factory=set, repr=False, compare=False)

    def __getitem__(self, name: str) -> float:
        """Read the value of a column. Raises `InputError` for one that the sheet does not have."""
        if name not in self.values:
            raise InputError(unknown("column", name, list(self.values)))
        self._read.add(name)
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """Read the value of a column, or the default where the sheet has no such column."""
        return self[name] if name in self.values else default

    def apply(self, optimizer: HasGroups) -> None:
        """Set the learning rate, weight decay, momentum and beta2 of a PyTorch optimizer to the values of these columns.

        Values are absolute, for all parameter groups. `lr@head` is the value of the group named `head` alone, `lr*head` a factor of
        `lr` there. Call it once before each step of the optimizer: an optimizer that has loaded a state has also loaded the old
        values. Raises `InputError` for a group or a setting that the optimizer does not have.
        """
        self._read.update(apply(self.values, optimizer, f"step {self.step:,}"))


class Playhead:
    """A position in a schedule, for a training loop of your own. Steps are steps of the optimizer.

        playhead = Playhead("warmup.csv")
        for step in range(len(playhead)):
            now = playhead.seek(step)
            now.apply(optimizer)
            ...
            playhead.commit()

    `seek` may be called as often as needed: until `commit`, it gives the same actions again, afterwards none of them. So nothing
    fires twice, and nothing is skipped where steps are.
    """

    def __init__(self, schedule: Schedule | Dopesheet | str | PathLike[str], *, past_end: Literal["hold", "raise"] = "hold"):
        """Open a schedule, or the sheet at a path or of a name.

        Past its end, the last values `hold`, or `seek` raises an error (`raise`). Raises `InputError` for what is wrong in a sheet.
        """
        if past_end not in ("hold", "raise"):
            raise InputError(f"past_end cannot be {past_end!r}: it is 'hold' or 'raise'")
        self.schedule = schedule if isinstance(schedule, Schedule) else compile_sheet(load_sheet(schedule)[0])
        self.past_end = past_end
        self._origin = self.schedule
        self._retargets: list[tuple[str, int, float, int]] = []
        self._committed = BEFORE
        self._at = BEFORE
        self._read: set[str] = set()

    def __len__(self) -> int:
        return len(self.schedule)

    @property
    def step(self) -> int:
        """The step that was sought last, -1 before the first."""
        return self._at

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns that nothing has read and no optimizer has taken so far: perhaps a typo."""
        return tuple(name for name in self.schedule.properties if name not in self._read)

    def seek(self, step: int) -> Now:
        """Move to a step, and give what holds there.

        Its actions and boundaries are those from the step after the last committed one up to it; none where it lies before that.
        Raises `InputError` for a step below 0 or that is not whole, and past the end if that is to raise.
        """
        last = self.schedule.last_step
        if step != int(step) or step < 0:
            raise InputError(f"step {step} does not exist: steps are whole numbers from 0 on")
        if step > last and self.past_end == "raise":
            raise InputError(f"step {step:,} is past the end of the schedule, which has the steps 0 to {last:,}")
        self._at = int(step)
        at = min(self._at, last)
        passed = range(self._committed + 1, self._at + 1)
        return Now(
            step=self._at,
            phase=self.schedule.phase_at(at).name,
            values=self.schedule.at(at),
            actions=tuple(name for when, name in self.schedule.actions if when in passed),
            boundaries=tuple(phase for phase in self.schedule.phases if phase.start in passed),
            _read=self._read,
        )

    def commit(self) -> None:
        """Say that the step is done: its actions and boundaries do not come up again."""
        self._committed = max(self._committed, self._at)

    def retarget(self, name: str, value: float, duration: int) -> None:
        """Move a column from the present step on to another value, without a jump in its motion, within so many steps.

        Its keys within that time are dropped; later ones are still reached. Raises `InputError` for a column that the schedule does not
        have, a value outside its space, and a duration below 1.
        """
        step = max(self._at, 0)
        self.schedule = self.schedule.retarget(name, step, value, duration)
        self._retargets.append((name, step, float(value), int(duration)))

    def state_dict(self) -> dict[str, Any]:
        """Give all that is to be stored with a checkpoint, as plain values that JSON can hold."""
        return {"committed": self._committed, "retargets": [list(one) for one in self._retargets], "schedule": self._hash}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a checkpoint was stored. Raises `InputError` for the state of another schedule."""
        if state.get("schedule") != self._hash:
            raise InputError("the state of this playhead is that of another schedule: the sheet has changed since the checkpoint")
        schedule = self._origin
        for name, step, value, duration in state["retargets"]:
            schedule = schedule.retarget(name, step, value, duration)
        self.schedule = schedule
        self._retargets = [(name, step, value, duration) for name, step, value, duration in state["retargets"]]
        self._committed = self._at = int(state["committed"])

    @cached_property
    def _hash(self) -> str:
        found = hashlib.sha256(repr((self._origin.properties, self._origin.phases, self._origin.actions)).encode())
        found.update(self._origin.values.tobytes())
        return found.hexdigest()
