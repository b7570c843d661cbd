"""What a training loop of a user's own looked at: latents of fixed inputs, as it gave them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.film import Look, Panel
from curriculum.draw.films.latents import LatentPanel, Marks
from curriculum.draw.plane import Plane, boxes_over, plane_of
from curriculum.errors import InputError
from curriculum.store.names import STEPS
from curriculum.store.reader import Run


class Tracked:
    """The latents that were looked at; of runs without any, only the schedule and the metrics are shown."""

    note = ""

    def __init__(self, runs: Sequence[Run], seed_indices: Sequence[int], look: Look, all_seeds: bool):
        """Open the runs. Raises `InputError` for latents with too few dimensions, and for all seeds at once."""
        if all_seeds:
            raise InputError("--seeds all needs points whose paths a task defines: a tracked run has none")
        self.runs, self.seed_indices, self.look = runs, seed_indices, look
        names = [probe.name for probe in runs[0].probes if "look" in probe.uses and f"look.{probe.name}" in runs[0].traces]
        self.name = next((name for name in names if all(f"look.{name}" in run.traces for run in runs)), None)
        if self.name is not None:
            dimensions = min(run.traces[f"look.{self.name}"].shape[-1] for run in runs)
            for dim in look.dims or (0, 1):
                if not 0 <= dim < dimensions:
                    raise InputError(f"what was looked at as {self.name!r} has no dimension {dim}: it has 0 to {dimensions - 1}")

    def steps(self, run: int) -> NDArray[np.int64]:
        own = self.runs[run]
        if self.name is not None:
            found: NDArray[np.int64] = own.traces[f"look.{self.name}.{STEPS}"]
            return found
        return np.arange(max(1, own.trained_steps))

    def frames(self, steps: Sequence[int]) -> Sequence[int]:
        return steps

    def panels(self, frames: Sequence[Sequence[int]]) -> list[Panel]:
        if self.name is None:
            return [_Nothing() for _ in self.runs]
        planes = [self._plane(run, index) for run, index in zip(self.runs, self.seed_indices, strict=True)]
        found = [
            plane.of(self._read(run, index, own))
            for run, index, own, plane in zip(self.runs, self.seed_indices, frames, planes, strict=True)
        ]
        boxes = boxes_over(found, ())
        marks = [Marks(self._colors(run, latents.shape[1]), ()) for run, latents in zip(self.runs, found, strict=True)]
        return [
            LatentPanel(latents, None, own, box, plane.titles, self.look)
            for latents, own, box, plane in zip(found, marks, boxes, planes, strict=True)
        ]

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes by which points are colored."""
        if self.name is None or any(f"colors.{self.name}" in run.fixed for run in self.runs):
            return ()
        labels = [run.fixed[f"labels.{self.name}"] for run in self.runs if f"labels.{self.name}" in run.fixed]
        return tuple(map(int, np.unique(np.concatenate(labels)))) if labels else ()

    def _plane(self, run: Run, index: int) -> Plane:
        return plane_of(lambda steps: self._read(run, index, steps), run.traces[f"look.{self.name}.{STEPS}"], self.look)

    def _read(self, run: Run, index: int, frames: Sequence[int]) -> NDArray[np.float32]:
        steps = run.traces[f"look.{self.name}.{STEPS}"]
        rows = np.maximum(np.searchsorted(steps, frames, side="right") - 1, 0)
        shown: NDArray[np.float32] = run.traces[f"look.{self.name}"][rows, index]
        return shown

    def _colors(self, run: Run, count: int) -> NDArray[np.float32]:
        if (colors := run.fixed.get(f"colors.{self.name}")) is not None and colors.shape == (count, 3):
            own: NDArray[np.float32] = np.clip(colors, 0, 1).astype(np.float32)
            return own
        return style.class_colors(run.fixed.get(f"labels.{self.name}", np.zeros(count, np.int64)))


class _Nothing:
    """Says that nothing was looked at."""

    def draw(self, axes: Axes, theme: style.Theme, unit: float) -> list[Artist]:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no latents: run.look(hidden=...)\nrecords what is shown here", ha="center", va="center", color=theme.muted)
        return []

    def show(self, index: int) -> None:
        return


FILM = Tracked
