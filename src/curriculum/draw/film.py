"""What a moving picture is: what `animate` needs to show runs side by side, whatever moves in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from curriculum.draw.style import Theme


@dataclass(frozen=True)
class Look:
    """What can be set of the picture: size in pixels, the two latent dimensions (None: a choice that suits the latents), the theme."""

    width: int = 1600
    height: int = 900
    dims: tuple[int, int] | None = None
    theme: str = "dark"


class Panel(Protocol):
    """What moves in the square at the top of a run's column."""

    def draw(self, axes: Axes, theme: Theme, unit: float) -> list[Artist]:
        """Draw once what stays, and return what moves, each with the z-order `MOVING`; `unit` is a 900th of the picture's height."""
        ...

    def show(self, index: int) -> None:
        """Move to a frame, by its place among the frames."""
        ...


class Film(Protocol):
    """The moving picture of some runs, each shown by one seed.

    A task names its own by `film`. It is made by `FILM(runs, seed_indices, look, all_seeds)`, which raises `InputError` for what it
    cannot show. `note` is added to the line below a run's name. `classes` are those by which points are colored, if any.
    """

    note: str

    @property
    def classes(self) -> tuple[int, ...]: ...

    def steps(self, run: int) -> NDArray[np.int64]:
        """Give the steps of a run, by its place, that can be shown."""
        ...

    def frames(self, steps: Sequence[int]) -> Sequence[int]:
        """Choose the steps of the frames from those that can be shown; where more happens than training, a step may come again."""
        ...

    def panels(self, frames: Sequence[Sequence[int]]) -> Sequence[Panel]:
        """Make the panel of each run, for frames at these of its steps."""
        ...
