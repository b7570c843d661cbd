"""Systems whose states are so small that a step's Jacobian is written out."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from curriculum.tasks.control.systems import System


class Small(System):
    """A system with a Jacobian of each step."""

    @abstractmethod
    def jacobian(self, states: Tensor, controls: Tensor) -> Tensor:
        """Give how the next state depends on state and control: `[..., D + C, D]`, the derivative of the last axis by the one before."""

    def linearize(self, states: Tensor, controls: Tensor) -> Tensor:
        return self.jacobian(states, controls)

    def pull(self, linear: Tensor, step: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        found = (linear[step] * gradient.unsqueeze(-2)).sum(-1)
        return found[..., : self.size], found[..., self.size :]
