"""What can be set of the task `control`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from curriculum.config.settings import Settings
from curriculum.tasks.control.systems import System
from curriculum.tasks.control.systems.cartpole import CartPole, CartPoleSettings

Widths = tuple[int, ...]


class ControlSettings(Settings):
    """What can be set of the task."""

    name: Literal["control"] = Field("control", description="control of a physical system through its simulator")
    cartpole: CartPoleSettings | None = Field(None, description="a cart with one to four poles, to be swung up; the default system")
    hidden: Widths = Field((100, 100), description="widths of the network's hidden layers")
    still: bool = Field(True, description="whether the output layer starts at 0, so that a new network applies no control")
    batch: int = Field(32, ge=1, le=4096, description="number of initial states in a batch")
    train_states: int = Field(256, ge=1, le=65536, description="number of initial states that each seed is trained on")
    test_states: int = Field(256, ge=16, le=4096, description="number of initial states that all seeds are tested on")
    order: Literal["fixed", "shuffled"] = Field("fixed", description="order of the training states: the same in every epoch, or drawn anew")

    @field_validator("hidden")
    @classmethod
    def _has_widths(cls, widths: Widths) -> Widths:
        if not widths or any(not 1 <= width <= 4096 for width in widths):
            raise ValueError("the network needs at least one hidden layer, each with 1 to 4096 units")
        return widths

    def system(self) -> System:
        """Make the system."""
        return CartPole(self.cartpole or CartPoleSettings())
