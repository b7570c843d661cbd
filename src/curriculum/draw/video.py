"""Render runs side by side as a video, or one moment of them as a poster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curriculum import plugins
from curriculum.draw import style
from curriculum.draw.column import Column, Reading
from curriculum.draw.conclusion import Conclusion
from curriculum.draw.ffmpeg import CODECS, encode
from curriculum.draw.film import Film, Look
from curriculum.draw.frames import frame_steps
from curriculum.draw.motion import film_of
from curriculum.draw.plots.losses import logged
from curriculum.draw.scene import MOST_COLUMNS, Scene
from curriculum.errors import InputError
from curriculum.measure.trace import error_curves, has_error, median_seeds, scores_of
from curriculum.store.experiment import arm_of
from curriculum.store.place import Place, replace
from curriculum.store.reader import Run

POSTER = ".png"
HELD = 2.0  # seconds of the conclusion
SUFFIXES = (*CODECS, POSTER)


def make_scene(
    runs: Sequence[Run],
    look: Look,
    seed: int | None = None,
    stride: int | None = None,
    at: int | None = None,
    all_seeds: bool = False,
    conclusion: Conclusion | None = None,
) -> Scene:
    """Read everything that is shown of some runs, and draw it; the `conclusion` is what it ends with.

    `seed` chooses among the seeds of the runs (by default the one whose final error is the median), `at` a single step;
    with `all_seeds` the paths of some points are shown of every seed. Raises `InputError`
    for too many runs, different tasks, or a seed, step or latent dimension that they do not have.
    """
    if not 1 <= len(runs) <= MOST_COLUMNS:
        raise InputError(f"a video shows 1 to {MOST_COLUMNS} runs side by side, not {len(runs)}")
    for run in runs[1:]:
        if run.task_name != runs[0].task_name:
            raise InputError(f"{runs[0].name!r} and {run.name!r} have different tasks: {runs[0].task_name!r} and {run.task_name!r}")
    if look.width % 2 or look.height % 2 or not (320 <= look.width <= 7680 and 180 <= look.height <= 4320):
        raise InputError(f"the size {look.width}x{look.height} cannot be encoded: use even numbers from 320x180 to 7680x4320")
    indices = median_seeds(runs) if seed is None else [_seed_index(run, seed) for run in runs]
    film: Film = plugins.shipped("film", film_of(runs[0]))(runs, indices, look, all_seeds)
    length = max(len(run.schedule) for run in runs)
    if at is not None and not 0 <= at < length:
        raise InputError(f"step {at} does not exist: the steps are 0 to {length - 1}")
    wanted = frame_steps(length, stride)
    if at is not None:
        # Where paths are shown, so are the frames from which they come.
        wanted = [*([step for step in wanted if step < at] if all_seeds else []), at]
    stored = [film.steps(place) for place in range(len(runs))]
    found = _available(runs, stored, wanted)
    frames = found if at is not None else film.frames(found)
    # A run that is over while another goes on stays as it was at the last step that is stored.
    panels = film.panels([[min(step, int(steps[-1])) for step in frames] for steps in stored])
    seeds = [_named_seed(runs, indices, place, seed is None) + film.note for place in range(len(runs))]
    columns = [
        Column(
            arm.label or run.name,
            f"{run.manifest.get('sheet', '')}, {seeds[place]}",
            run.schedule,
            *logged(run, index),
            panel,
            arm.color,
            _reading(run, index),
            seeds[place],
        )
        for place, (run, arm, index, panel) in enumerate(zip(runs, map(arm_of, runs), indices, panels, strict=True))
    ]
    return Scene(columns, frames, look, film.classes, conclusion)


def render(scene: Scene, watch: Callable[[int], None] = lambda done: None, held: int = 0) -> Iterator[memoryview]:
    """Draw the frames of a scene one after another, as RGBA pixels, and its conclusion for `held` frames more.

    What never moves is drawn once; each frame puts the rest on top of it. The memory of a frame is reused for
    the next.
    """
    canvas = scene.figure.canvas
    for artist in scene.moving:
        artist.set_animated(True)
    background = None
    for index in range(len(scene.frames)):
        if scene.show(index) or background is None:
            canvas.draw()
            background = canvas.copy_from_bbox(scene.figure.bbox)  # type: ignore[attr-defined]
        canvas.restore_region(background)  # type: ignore[attr-defined]
        for artist in scene.moving:
            scene.figure.draw_artist(artist)
        yield memoryview(canvas.buffer_rgba()).cast("B")  # type: ignore[attr-defined]
        watch(index + 1)
    for artist in (said := scene.conclude()):
        scene.figure.draw_artist(artist)
    for more in range(held if said else 0):
        yield memoryview(canvas.buffer_rgba()).cast("B")  # type: ignore[attr-defined]
        watch(len(scene.frames) + more + 1)


def animate(scene: Scene, path: Path, fps: float = 30, watch: Callable[[int], None] = lambda done: None, place: Place = replace) -> Path:
    """Write a scene: a video as .mp4, .webm or .gif, or its last frame as .png. It gets its name by `place`.

    Returns the path that it has. Raises `RunError` where it cannot be written, and what `place` raises; nothing is left behind
    then.
    """
    if path.suffix.lower() == POSTER:
        scene.show(len(scene.frames) - 1)
        written = style.save(scene.figure, path, place)
        watch(1)
        return written
    return encode(render(scene, watch, held_frames(scene, fps)), path, scene.look.width, scene.look.height, fps, place)


def held_frames(scene: Scene, fps: float) -> int:
    """Count the frames in which a video shows its conclusion."""
    return round(HELD * fps) if scene.conclusion is not None else 0


def check_output(path: Path) -> None:
    """Raise `InputError` for an output that is no video and no poster."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot write {path}: the name must end in one of {', '.join(SUFFIXES)}")


def _seed_index(run: Run, seed: int) -> int:
    if seed not in run.seeds:
        raise InputError(f"the run {run.name!r} has no seed {seed} (it has {', '.join(map(str, run.seeds[:20]))})")
    return run.seeds.index(seed)


def _available(runs: Sequence[Run], stored: Sequence[NDArray[np.int64]], wanted: Sequence[int]) -> list[int]:
    """Take, for each wanted step, the last one up to it that is stored of every run that still goes."""
    chosen: list[int] = []
    for step in wanted:
        common = step
        moved = True
        while moved and common >= 0:
            moved = False
            for run, steps in zip(runs, stored, strict=True):
                if common <= run.schedule.last_step:
                    found = int(steps[max(0, int(np.searchsorted(steps, common, side="right")) - 1)])
                    moved |= found < common
                    common = min(common, found)
        if common >= 0 and (not chosen or common > chosen[-1]):
            chosen.append(common)
    return chosen


def _named_seed(runs: Sequence[Run], indices: Sequence[int], place: int, median: bool) -> str:
    """Say which seed of a run is shown, and whether it was chosen as the median of the run's seeds, or as the first run's."""
    run, index = runs[place], indices[place]
    number, first = run.seeds[index], runs[0].seeds[indices[0]]
    chosen = median and len(runs[0].seeds) > 1
    seed = f"seed {number}" if not chosen else f"median seed {number}" if not place or number != first else f"same seed {number}"
    status = "" if run.status == "finished" else f", {run.status}"
    return f"{seed}{status}"


def _reading(run: Run, index: int) -> Reading | None:
    """Read the error of a seed on the main probe, or without one its first score."""
    if has_error(run):
        steps, dex = error_curves(run)
        return Reading("error", run.look.error_unit, steps, 10 ** dex[:, index])
    for score in scores_of(run):
        steps, values = score.of(index)
        if len(steps):
            return Reading(score.name, score.shown.unit, steps, values)
    return None
