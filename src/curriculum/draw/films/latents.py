"""The latent space, and how its points move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.film import Look
from curriculum.draw.motion import Motion
from curriculum.draw.plane import Plane, boxes_over, plane_of
from curriculum.draw.plots.latents import Limits
from curriculum.draw.plots.latents import frame as latent_frame
from curriculum.draw.style import MOVING
from curriculum.errors import InputError
from curriculum.measure.geometry import orientation
from curriculum.store.reader import Run

ROOM = 260  # pixels of a video that stand for an inch of a figure, when ticks are chosen
TRAIL = 60  # frames for which a path stays
TRAIL_ALPHA = {"dark": 0.3, "light": 0.6}


@dataclass(frozen=True)
class Marks:
    """How latents are drawn: the points' `colors` `[N, 3]`, `circles` about the origin by their radii, and `edges` `[E, 2]` between points.

    `traced` `[K]` are the points whose paths are drawn of every seed.
    """

    colors: NDArray[np.float32]
    circles: tuple[float, ...]
    edges: NDArray[np.int64] | None = None
    traced: tuple[int, ...] = ()


class Latents:
    """The latents of a task's picture at the steps that are stored."""

    classes: tuple[int, ...] = ()

    def __init__(self, runs: Sequence[Run], seed_indices: Sequence[int], look: Look, all_seeds: bool):
        """Open the runs. Raises `InputError` for runs without latents, and for dimensions that they do not have."""
        self.runs, self.seed_indices, self.look, self.all_seeds = runs, seed_indices, look, all_seeds
        if look.dims is not None and look.dims[0] == look.dims[1]:
            raise InputError(f"the two latent dimensions are both {look.dims[0]}: choose two different ones")
        self.motions = [Motion(run) for run in runs]
        self.picture = self.motions[0].picture
        for dim in look.dims or (0, 1):
            if not 0 <= dim < self.motions[0].dimensions:
                raise InputError(f"the latent space has no dimension {dim}: it has 0 to {self.motions[0].dimensions - 1}")
        if all_seeds and not self.picture.traced:
            raise InputError(f"the task {runs[0].task_name!r} defines no points whose paths can be shown for all seeds")
        self.note = f"; faint: {len(runs[0].seeds)} seeds, aligned" if all_seeds else ""

    def steps(self, run: int) -> NDArray[np.int64]:
        return self.motions[run].steps

    def frames(self, steps: Sequence[int]) -> Sequence[int]:
        return steps

    def panels(self, frames: Sequence[Sequence[int]]) -> list[LatentPanel]:
        planes = [self._plane(motion, index) for motion, index in zip(self.motions, self.seed_indices, strict=True)]
        found = [self._read(*each) for each in zip(self.motions, self.seed_indices, frames, planes, strict=True)]
        edges = None if self.picture.edges is None else self.picture.edges.numpy()
        colors = self.motions[0].task.point_colors(self.picture.inputs)
        marks = Marks(colors, self.picture.circles, edges, self.picture.traced)
        boxes = boxes_over([latents for latents, _ in found], marks.circles)
        return [
            LatentPanel(latents, others, marks, box, plane.titles, self.look)
            for (latents, others), box, plane in zip(found, boxes, planes, strict=True)
        ]

    def _plane(self, motion: Motion, index: int) -> Plane:
        return plane_of(lambda steps: motion.latents(steps, index), motion.steps, self.look, self.picture.circles)

    def _read(
        self, motion: Motion, index: int, frames: Sequence[int], plane: Plane
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Read a run's latents `[F, N, 2]`, and the paths `[S, F, K, 2]` of some points in every seed where they are asked for."""
        targets = self.picture.targets
        latents = motion.latents(frames, index)
        if targets is not None and latents.shape[-1] == 2:
            latents = latents @ orientation(latents[-1], targets.numpy()).astype(np.float32)
        latents = plane.of(latents)
        if not self.all_seeds:
            return latents, None
        # Seeds differ in how their latents are turned: each is turned to end as the one that is shown.
        traced = list(self.picture.traced)
        paths = [self._plane(motion, other).of(motion.latents(frames, other, traced)) for other in range(len(motion.run.seeds))]
        shown = latents[-1][traced]
        return latents, np.stack([path @ orientation(path[-1], shown).astype(np.float32) for path in paths])


FILM = Latents


class LatentPanel:
    """One run's `latents` `[F, N, 2]` at the frames. `others` `[S, F, K, 2]` are paths of some points in every seed.

    `box` are the limits of the axes, `titles` their names.
    """

    def __init__(
        self,
        latents: NDArray[np.float32],
        others: NDArray[np.float32] | None,
        marks: Marks,
        box: Limits,
        titles: tuple[str, str],
        look: Look,
    ):
        self.latents, self.others, self.marks, self.box, self.titles, self.look = latents, others, marks, box, titles, look

    def draw(self, axes: Axes, theme: style.Theme, unit: float) -> list[Artist]:
        latent_frame(axes, self.box, theme, axes.bbox.width / (ROOM * unit), self.marks.circles)
        # Ticks and titles are inside, so that the points have all the room; the ticks leave the corners to the titles.
        axes.tick_params(direction="in", length=4 * unit, colors=theme.muted, labelsize="medium")
        axes.tick_params(axis="x", pad=-22 * unit)
        axes.tick_params(axis="y", pad=-8 * unit)
        for axis, (low, high), room in ((axes.xaxis, self.box[0], 0.04), (axes.yaxis, self.box[1], 0.1)):
            span = high - low
            axis.set_ticks([tick for tick in axis.get_major_locator()() if low + room * span <= tick <= high - 0.04 * span])
        for label in axes.get_yticklabels():
            label.set_horizontalalignment("left")
        kind: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset pixels", "color": theme.muted}
        axes.annotate(self.titles[0], (1, 0), xytext=(-10 * unit, 32 * unit), ha="right", va="bottom", **kind)
        axes.annotate(self.titles[1], (0, 1), xytext=(44 * unit, -8 * unit), ha="left", va="top", **kind)
        moving: list[Artist] = []
        self._trails, self._edges = None, None
        if self.others is not None:
            colors = self.marks.colors[list(self.marks.traced)]
            self._trails = _Trails(axes, self.others, colors, unit, TRAIL_ALPHA[self.look.theme])
            moving += self._trails.artists
        if self.marks.edges is not None:
            self._edges = LineCollection([], colors=theme.muted, linewidths=0.7 * unit, zorder=MOVING)
            axes.add_collection(self._edges, autolim=False)
            moving.append(self._edges)
        self._points = _Points(axes, self.marks.colors, theme.outline, 3.8 * unit * 72 / 100)
        return [*moving, self._points.artist]

    def show(self, index: int) -> None:
        positions = self.latents[index]
        self._points.move(positions)
        if self._edges is not None:
            self._edges.set_segments(list(positions[self.marks.edges]))
        if self._trails is not None:
            self._trails.move(index)


class _Points:
    """Outlined points, each a larger disk below a smaller one.

    A stroked outline would take most of a frame's time: pairs of filled polygons look the same and take
    half of it.
    """

    def __init__(self, axes: Axes, colors: NDArray[np.float32], outline: str, radius: float):
        angles = np.linspace(0, 2 * np.pi, 17)
        disk = Path(np.column_stack([np.cos(angles), np.sin(angles)]), closed=True)
        count = len(colors)
        fill = np.empty((2 * count, 4))
        fill[0::2], fill[1::2, :3], fill[1::2, 3] = to_rgba(outline), colors, 1
        sizes = np.tile([(radius + 0.45) ** 2, radius**2], count)
        self.artist = PathCollection(
            [disk], sizes=sizes, offsets=np.zeros((2 * count, 2)), offset_transform=axes.transData, facecolors=fill, linewidths=0
        )
        self.artist.set_transform(IdentityTransform())
        self.artist.set_zorder(MOVING)
        axes.add_collection(self.artist, autolim=False)

    def move(self, positions: NDArray[np.float32]) -> None:
        """Move the points to positions `[N, 2]`."""
        self.artist.set_offsets(np.repeat(positions, 2, axis=0))


class _Trails:
    """Where some points of every seed have been in the last frames: faint lines that end at a dot."""

    def __init__(self, axes: Axes, others: NDArray[np.float32], colors: NDArray[np.float32], unit: float, alpha: float):
        self.others = others
        seeds = len(others)
        shades = np.concatenate([np.tile(colors, (seeds, 1)), np.full((seeds * len(colors), 1), alpha)], 1)
        self.lines = LineCollection([], colors=shades, linewidths=0.7 * unit, zorder=MOVING)
        nowhere = np.full(len(shades), np.nan)
        self.heads = axes.scatter(nowhere, nowhere, c=shades, s=(2.2 * unit) ** 2, linewidths=0, zorder=MOVING)
        axes.add_collection(self.lines, autolim=False)

    @property
    def artists(self) -> list[Artist]:
        return [self.lines, self.heads]

    def move(self, index: int) -> None:
        """Show the paths up to a frame."""
        paths = self.others[:, max(0, index - TRAIL) : index + 1].swapaxes(1, 2)  # [S, K, G, 2]
        flat = paths.reshape(-1, *paths.shape[2:])
        self.lines.set_segments(list(flat))
        self.heads.set_offsets(flat[:, -1])
