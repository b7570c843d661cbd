"""Where in a schedule a training loop is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curriculum.sheet.document import Phase
from curriculum.sheet.schedule import Schedule


@dataclass(frozen=True)
class Now:
    """The values of a schedule at a step, its phase, and the actions that fire there."""

    step: int
    values: Mapping[str, float]
    phase: Phase
    actions: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        return self.values[name]


class Playhead:
    """Reads a schedule step by step."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule

    def seek(self, step: int) -> Now:
        """Give the values at a step; past the end, the last ones."""
        at = min(step, self.schedule.last_step)
        return Now(step, self.schedule.at(at), self.schedule.phase_at(at), self.schedule.actions_at(step))

    def commit(self) -> None:
        """Say that the step was trained."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state that `load_state_dict` takes."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
