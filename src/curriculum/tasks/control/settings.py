"""What can be set of the task `control`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from curriculum.config.settings import Settings
from curriculum.tasks.control.network import Network, convolutional, perceptron
from curriculum.tasks.control.systems import System
from curriculum.tasks.control.systems.cartpole import CartPole, CartPoleSettings
from curriculum.tasks.control.systems.guidance import Guidance, GuidanceSettings
from curriculum.tasks.control.systems.quantum import Quantum, QuantumSettings

Widths = tuple[int, ...]


class ControlSettings(Settings):
    """What can be set of the task."""

    name: Literal["control"] = Field("control", description="control of a physical system through its simulator")
    cartpole: CartPoleSettings | None = Field(None, description="a cart with one to four poles, to be swung up; the default system")
    guidance: GuidanceSettings | None = Field(None, description="drivers that herd evaders, instead of the cart-pole")
    quantum: QuantumSettings | None = Field(None, description="a quantum particle in a box, instead of the cart-pole")
    hidden: Widths = Field((100, 100), description="widths of the network's hidden layers; that of the particle has channels instead")
    still: bool = Field(True, description="whether the output layer starts at 0, so that a new network applies no control")
    batch: int = Field(32, ge=1, le=4096, description="number of initial states in a batch")
    train_states: int = Field(256, ge=1, le=65536, description="number of initial states that each seed is trained on")
    test_states: int = Field(256, ge=16, le=4096, description="number of initial states that all seeds are tested on")
    order: Literal["fixed", "shuffled"] = Field("fixed", description="order of the training states: the same in every epoch, or drawn anew")

    @field_validator("guidance", "quantum")
    @classmethod
    def _is_one_system(cls, own: Settings | None, info: ValidationInfo) -> Settings | None:
        if own and (others := [name for name in ("cartpole", "guidance", "quantum") if info.data.get(name)]):
            raise ValueError(f"a task has only one system; remove it or {others[0]}")
        return own

    @field_validator("hidden")
    @classmethod
    def _has_widths(cls, widths: Widths) -> Widths:
        if not widths or any(not 1 <= width <= 4096 for width in widths):
            raise ValueError("the network needs at least one hidden layer, each with 1 to 4096 units")
        return widths

    def system(self) -> System:
        """Make the system."""
        if self.guidance:
            return Guidance(self.guidance)
        return Quantum(self.quantum) if self.quantum else CartPole(self.cartpole or CartPoleSettings())

    def network(self, system: System) -> Network:
        """Build a network that steers the system."""
        if self.quantum:
            return convolutional(self.quantum.points, self.quantum.widths, system.controls, self.still)
        return perceptron(system.size, self.hidden, system.controls, self.still)
