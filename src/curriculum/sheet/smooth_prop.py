"""A value that follows a moving target smoothly."""

from __future__ import annotations

from numpy.polynomial import Polynomial

from curriculum.errors import InputError
from curriculum.sheet.easings import minimum_jerk_quintic


class SmoothProp:
    """A value that follows its target on minimum-jerk paths, however often the target moves.

    Setting `value` sets a new target, `step` moves time on, and reading `value` gives the smoothed
    value. Each path starts from the present value, velocity and acceleration, and is at rest at
    its target after `transition_duration` steps.
    """

    def __init__(self, value: float, transition_duration: float, velocity: float = 0.0):
        """Start at `value`, moving at `velocity` per step (at rest by default).

        Raises `InputError` for a duration that is not greater than 0.
        """
        if not transition_duration > 0:
            raise InputError(f"the duration of a transition must be greater than 0, not {transition_duration} steps")
        self.transition_duration = transition_duration
        self._state = (float(value), float(velocity), 0.0)
        self._target = float(value)
        self._path: Polynomial | None = None
        self._elapsed = 0.0

    @property
    def value(self) -> float:
        """The smoothed value now; setting it sets the target."""
        return self._state[0]

    @value.setter
    def value(self, target: float) -> None:
        y0, v0, a0 = self._state
        self._target = float(target)
        self._path = minimum_jerk_quintic(y0, v0, a0, self._target, self.transition_duration)
        self._elapsed = 0.0

    @property
    def target(self) -> float:
        return self._target

    @property
    def velocity(self) -> float:
        """The velocity now, per step."""
        return self._state[1]

    @property
    def acceleration(self) -> float:
        """The acceleration now, per step^2."""
        return self._state[2]

    def step(self, n: float = 1) -> float:
        """Move time on by `n` steps and return the value there."""
        if self._path is None:
            value, velocity, _ = self._state
            self._state = (value + velocity * n, velocity, 0.0)
            return self._state[0]
        duration = self.transition_duration
        self._elapsed += n
        u = self._elapsed / duration
        if u >= 1:
            self._state = (self._target, 0.0, 0.0)
        else:
            path = self._path
            self._state = (float(path(u)), float(path.deriv()(u)) / duration, float(path.deriv(2)(u)) / duration**2)
        return self._state[0]
