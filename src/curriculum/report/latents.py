"""The latent spaces that the page shows: finely of the median, the best and the worst seed of each run, coarsely of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from curriculum.draw.frames import frame_steps
from curriculum.draw.motion import LATENTS, TRACKED, Motion, film_of
from curriculum.errors import InputError
from curriculum.measure.geometry import orientation, principal_axes
from curriculum.report.pack import COARSE, Blocks, steps_of
from curriculum.store.names import STEPS
from curriculum.store.reader import Run

Array = NDArray[np.float32]
MOST_DIMENSIONS = 8  # of a latent space that is shown as it is; of others the first principal axes are
MOST_AXES = 6
MEDIAN_VALUES, OUTER_VALUES, COARSE_VALUES = 6_000_000, 3_700_000, 1_200_000  # on the page, of all runs together: about half a byte each
COARSE_FRAMES, COARSE_POINTS = 40, 96
SHORT = 4  # numbers of an input that are told where a point is asked about


class Source(Protocol):
    """Where latents are read from: at `steps` `[F]`, of one seed at a time."""

    @property
    def steps(self) -> NDArray[np.int64]: ...

    def latents(self, steps: Sequence[int], seed_index: int, points: Sequence[int] | None = None) -> Array:
        """Give the latents `[F, N, L]` of one seed at some of the `steps`, of all points or some."""
        ...


@dataclass(frozen=True)
class Recorded:
    """Latents as they were recorded: `values` `[G, S, N, L]` at `steps` `[G]`."""

    steps: NDArray[np.int64]
    values: Array

    def latents(self, steps: Sequence[int], seed_index: int, points: Sequence[int] | None = None) -> Array:
        found: Array = self.values[np.searchsorted(self.steps, steps), seed_index]
        return found if points is None else found[:, list(points)]


@dataclass(frozen=True)
class Space:
    """A latent space: where it is read from, and its points: their colors `[N, 3]`, classes `[N]` or None, and what each is.

    `edges` `[E, 2]` join points, `circles` are radii about the origin. To `targets` `[N, 2]` a plane is turned.
    """

    source: Source
    title: str
    colors: Array
    classes: NDArray[np.int64] | None
    labels: Sequence[str]
    edges: NDArray[np.int64] | None = None
    circles: tuple[float, ...] = ()
    targets: NDArray[Any] | None = None

    def frames(self) -> NDArray[np.int64]:
        """Choose the steps `[F]` that the page shows: of those that are stored the ones that a video shows."""
        steps = self.source.steps
        wanted = np.asarray(frame_steps(int(steps[-1]) + 1))
        places = np.searchsorted(steps, wanted, side="right") - 1
        return np.asarray(np.unique(steps[places[places >= 0]]))


def spaces(runs: Sequence[Run]) -> list[Space] | str:
    """Open the latent space of each run; where there is none to show, say why."""
    try:
        return [_space(run) for run in runs]
    except InputError as error:
        return str(error)


def _space(run: Run) -> Space:
    film = film_of(run)
    if film == TRACKED:
        return _looked_at(run)
    if film != LATENTS or not run.has_latents:
        raise InputError(f"The task {run.task_name!r} has no latent space to show.")
    if "source" in run.manifest["task"]:
        return _recorded(run)
    motion = Motion(run)
    picture = motion.picture
    inputs = picture.inputs.flatten(1).numpy()
    labels = [f"point {place}" for place in range(len(inputs))]
    if inputs.shape[1] <= SHORT:
        labels = [f"{label}, input ({', '.join(f'{value:.3g}' for value in row)})" for label, row in zip(labels, inputs, strict=True)]
    edges = None if picture.edges is None else picture.edges.numpy()
    targets = None if picture.targets is None else picture.targets.numpy()
    colors = motion.task.point_colors(picture.inputs)
    return Space(motion, "latent space", colors, None, labels, edges, picture.circles, targets)


def _recorded(run: Run) -> Space:
    """Open the latents that a task of a user's recorded: its code, which knows more of the points, is not executed to look at a run."""
    name = next(probe.name for probe in run.probes if "motion" in probe.uses)
    values = run.traces.get(f"latents.{name}")
    if values is None:
        raise InputError("The run ended before its first latents were recorded.")
    count = values.shape[2]
    colors = np.asarray(colormaps["viridis"](np.linspace(0, 1, count)), np.float32)[:, :3]
    source = Recorded(run.traces[f"latents.{name}.{STEPS}"], values)
    return Space(source, f"latent space, {name}", colors, None, [f"point {place}" for place in range(count)])


def _looked_at(run: Run) -> Space:
    name = next((probe.name for probe in run.probes if "look" in probe.uses and f"look.{probe.name}" in run.traces), None)
    if name is None:
        raise InputError("No latents were recorded: run.look(hidden=latents) in the training loop records what is shown here.")
    values = run.traces[f"look.{name}"]
    count = values.shape[2]
    classes = run.fixed.get(f"labels.{name}")
    own = run.fixed.get(f"colors.{name}")
    groups = np.zeros(count, np.int64) if classes is None else classes.astype(np.int64)
    colors = np.asarray(colormaps["tab10"](groups % 10), np.float32)[:, :3] if own is None else np.clip(own, 0, 1).astype(np.float32)
    labels = [f"point {place}" if classes is None else f"point {place}, class {groups[place]}" for place in range(count)]
    source = Recorded(run.traces[f"look.{name}.{STEPS}"], values)
    return Space(source, name, colors, None if classes is None or own is not None else groups, labels)


def pack(
    runs: Sequence[Run], found: Sequence[Space], chosen: Sequence[Sequence[int]], blocks: Blocks, watch: Callable[[], None]
) -> dict[str, Any]:
    """Pack the latent spaces of runs; `chosen` are the places of the median, the best and the worst seed of each.

    `watch` is called for every seed that is read.
    """
    arms = [_arm(number, *each, len(runs), blocks, watch) for number, each in enumerate(zip(runs, found, chosen, strict=True))]
    return {"title": found[0].title, "arms": arms}


def _arm(
    number: int, run: Run, space: Space, chosen: Sequence[int], arms: int, blocks: Blocks, watch: Callable[[], None]
) -> dict[str, Any]:
    frames = space.frames()
    middle, *outer = dict.fromkeys(chosen)
    whole = space.source.latents(frames.tolist(), middle)
    view = _View.of(whole, space)
    seeds = []
    for index in (middle, *outer):
        most = MEDIAN_VALUES // arms if index == middle else OUTER_VALUES // arms // len(outer)
        own = _thinned(frames, max(2, most // (len(space.colors) * view.dimensions)))
        found = whole[np.searchsorted(frames, own)] if index == middle else space.source.latents(own.tolist(), index)
        values = blocks.add(f"latents-{number}-{index}", view(found), COARSE, axis=0)
        seeds.append({"seed": index, "steps": steps_of(own), "values": values})
        watch()
    rest = [index for index in range(len(run.seeds)) if index not in (middle, *outer)]
    coarse = _coarse(number, space, view, rest, frames, COARSE_VALUES // arms, blocks, watch) if rest else []
    return {"seeds": [*seeds, *coarse], "dimensions": list(view.titles), **_points(space)}


def _coarse(
    number: int,
    space: Space,
    view: _View,
    rest: Sequence[int],
    frames: NDArray[np.int64],
    most: int,
    blocks: Blocks,
    watch: Callable[[], None],
) -> Iterator[dict[str, Any]]:
    count = len(space.colors)
    # Points that are joined by lines stay together: of such a lattice all are shown.
    points = list(range(count)) if space.edges is not None else np.unique(np.linspace(0, count - 1, COARSE_POINTS).astype(int)).tolist()
    own = _thinned(frames, min(COARSE_FRAMES, max(2, most // (len(rest) * len(points) * view.dimensions))))
    for index in rest:
        shown = view(space.source.latents(own.tolist(), index, points))
        values = blocks.add(f"latents-{number}-rest", shown, COARSE, axis=0)
        watch()
        yield {"seed": index, "steps": steps_of(own), "values": values, "points": points}


def _thinned(frames: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Keep at most so many of the frames `[F]`, evenly, the first and the last among them."""
    return frames if len(frames) <= most else frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]


def _points(space: Space) -> dict[str, Any]:
    bytes_ = np.rint(np.clip(space.colors, 0, 1) * 255).astype(int)
    return {
        "colors": ["#{:02x}{:02x}{:02x}".format(*own) for own in bytes_],
        "classes": None if space.classes is None else space.classes.tolist(),
        "labels": list(space.labels),
        "edges": [] if space.edges is None else space.edges.tolist(),
        "circles": list(space.circles),
    }


@dataclass(frozen=True)
class _View:
    """How latents are shown: as they are, turned to lie as their targets do, or by their principal axes."""

    titles: tuple[str, ...]
    project: Callable[[Array], Array]

    @classmethod
    def of(cls, latents: Array, space: Space) -> _View:
        count = latents.shape[-1]
        if count > MOST_DIMENSIONS:
            axes = principal_axes(latents, MOST_AXES)
            return cls(tuple(axes.titles()), axes.project)
        plain = cls(tuple(f"z{dimension}" for dimension in range(count)), lambda own: own)
        if space.targets is None or count != 2:
            return plain
        targets = space.targets
        return replace(plain, project=lambda own: own @ orientation(own[-1], targets[: own.shape[1]]).astype(np.float32))

    @property
    def dimensions(self) -> int:
        return len(self.titles)

    def __call__(self, latents: Array) -> Array:
        return np.asarray(self.project(latents), np.float32)
