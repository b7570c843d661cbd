"""The worlds whose dynamics are learned from images, one file each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from curriculum.sheet.bounds import Bounds

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Atlas:
    """All the states on which maps are drawn and measured.

    `states` `[N, P]` are what the world is in; `edges` `[E, 2]` join neighbours, and `cells` `[C, 3]` are the corners of each
    lattice cell: one, its neighbour along the first axis, its neighbour along the second. `linear` `[N, T]` are the coordinates
    of which a good map is an affine copy, as they are drawn (right, up), `near` `[N, Q]` those whose distances say which states
    are close. `corners` are a few states far apart, whose paths are followed.
    """

    states: Array
    edges: Whole
    cells: Whole
    linear: Array
    near: Array
    corners: tuple[int, ...]


class World(Protocol):
    """Something that moves under actions and can be seen, in `frames` images of `size` x `size` pixels."""

    size: int
    frames: int
    action_size: int

    @property
    def atlas(self) -> Atlas:
        """The states of the map."""
        ...

    @property
    def bounds(self) -> Bounds:
        """The smallest and the largest value that the size of the largest action may have."""
        ...

    def draw(self, generators: Sequence[np.random.Generator], bounds: Array, batch: int, horizon: int) -> tuple[Array, Array]:
        """Draw paths: states `[M, B, K + 1, P]` and the actions between them `[M, B, K, A]`.

        Each of M generators gives a batch of its own, with actions of at most its `bounds` `[M]`.
        """
        ...

    def render(self, states: Tensor) -> Tensor:
        """Render states `[..., P]` as images `[..., D]` in 0 to 1, D being frames x size x size."""
        ...

    def colors(self, states: Array) -> NDArray[np.float32]:
        """Give each state `[N, P]` a color of its own: RGB `[N, 3]`."""
        ...

    def arrows(self) -> Array:
        """Give four actions `[4, A]` under which the learned dynamics are drawn."""
        ...
