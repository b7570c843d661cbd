"""The weights that a run stored of some steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Snapshots:
    """Parameters by name `[F, S, ...]` before the update of each of `steps` `[F]`."""

    steps: NDArray[np.int64]
    parameters: dict[str, NDArray[np.float32]]

    def select(self, steps: Iterable[int], seed_index: int | slice = slice(None)) -> dict[str, NDArray[np.float32]]:
        """Read the parameters at some of the steps: `[G, S, ...]`, or `[G, ...]` for one seed.

        Raises `KeyError` for a step that has no snapshot.
        """
        wanted = np.asarray(list(steps), dtype=np.int64)
        rows = np.searchsorted(self.steps, wanted)
        if len(self.steps) == 0 or (self.steps[np.minimum(rows, len(self.steps) - 1)] != wanted).any():
            raise KeyError("there is no snapshot of some of these steps")
        return {name: value[rows][:, seed_index] for name, value in self.parameters.items()}
