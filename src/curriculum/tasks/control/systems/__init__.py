"""The systems that a network steers, one file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
FINAL, RUNNING = "loss-final", "loss-running"


class System(ABC):
    """A system with `steps` steps, a flat state `[..., D]` and a control `[..., C]`; all functions are pure, for any float type.

    `size` is D, `controls` C. `own` is the term of its published loss. The running error is the mean over the steps, or with `summed`
    the sum. `columns` are the columns of a sheet that it reads, `integers` those that are rounded.
    """

    own: ClassVar[str] = FINAL
    unit: ClassVar[str] = ""
    summed: ClassVar[bool] = False
    steps: int
    size: int
    controls: int
    columns: Mapping[str, Sequence[float]] = {}
    integers: tuple[str, ...] = ()

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Draw random numbers `[N, U]` of which `start` makes states."""

    @abstractmethod
    def start(self, drawn: Array, columns: Mapping[str, Array]) -> Array:
        """Make initial states `[..., D]` of random numbers `[..., U]`, under the values `[..., 1]` of columns."""

    @abstractmethod
    def step(self, state: Tensor, control: Tensor) -> Tensor:
        """Move states `[..., D]` by one step under controls `[..., C]`."""

    @abstractmethod
    def linearize(self, states: Tensor, controls: Tensor) -> Any:
        """Linearize the step at states `[T, S, B, D]` and controls `[T, S, B, C]`: what `pull` needs, for all steps at once."""

    @abstractmethod
    def pull(self, linear: Any, step: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Take a gradient `[S, B, D]` by the state after a step back to the state `[S, B, D]` and control `[S, B, C]` before it."""

    @abstractmethod
    def aim(self, sheet: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Give what the error depends on beside the state, from a sheet's values, as a tensor `[..., 1, A]` of the type of `like`."""

    @abstractmethod
    def error(self, states: Tensor, aim: Tensor) -> Tensor:
        """Compute the error of each state `[..., B, D]`: `[..., B]`."""

    @abstractmethod
    def error_gradient(self, states: Tensor, aim: Tensor) -> Tensor:
        """Compute the gradient of the error by the state: `[..., B, D]`."""
