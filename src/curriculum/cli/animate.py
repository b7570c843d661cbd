"""`curriculum animate`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, Force, RunsFolder, check_free, guarded
from curriculum.console import put, put_json, say

if TYPE_CHECKING:
    from curriculum.draw.conclusion import Conclusion
    from curriculum.store.reader import Run


class Theme(StrEnum):
    """The colors of a video."""

    dark = "dark"
    light = "light"


@guarded
def animate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            autocompletion=run_and_experiment_names,
            help="One to four runs, or the name of an experiment. Default: those of the latest comparison, or else the two newest "
            "finished runs.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The file to write: .mp4, .webm or .gif, or .png for a single frame (a poster)."
        ),
    ] = None,
    dims: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="The two latent dimensions to plot. Default: the first two; of more than three, the first two principal components, "
            "unless the task has a plane of its own.",
        ),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Width and height in pixels.")] = "1600x900",
    fps: Annotated[float, typer.Option(min=1, max=240, help="Frames per second.")] = 30,
    stride: Annotated[int | None, typer.Option(min=1, help="Steps between frames. Default: few at first, more later.")] = None,
    theme: Annotated[Theme, typer.Option(help="The color theme.")] = Theme.dark,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed to show if a run has several.")] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="all", help="Also show the paths of a few points in every seed.")] = None,
    at: Annotated[int | None, typer.Option("--at", min=0, metavar="STEP", help="The step that a poster shows. Default: the last.")] = None,
    runs: RunsFolder = RUNS,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Render runs side by side as a video.

    Shows the latent space, the schedule and the losses, step by step, of the seed with the median final error. A video of several runs
    ends with the verdicts of their comparison.

    Examples:

      curriculum animate

      curriculum animate runA runB -o smooth-vs-stepped.mp4 --theme light

      curriculum animate runA -o poster.png --at 5000

      curriculum animate smooth stepped --seeds all

      curriculum animate runA --dims 0,3
    """
    from curriculum.errors import InputError
    from curriculum.store.experiment import find_runs
    from curriculum.store.place import place_new, place_numbered, replace
    from curriculum.store.shelf import latest_comparison, new_video, newest_finished

    pair = None if dims is None else _two_numbers(dims, ",", "--dims", "0,1")
    shape = _two_numbers(size, "x", "--size", "1600x900")
    chosen = find_runs(names, runs)[0] if names else latest_comparison(runs) or newest_finished(runs)
    from curriculum.cli.progress import Bar
    from curriculum.draw.film import Look
    from curriculum.draw.video import POSTER, animate, check_output, held_frames, make_scene

    if output is not None:
        check_output(output)
        check_free(output, force)
    poster = output is not None and output.suffix.lower() == POSTER
    if seeds not in (None, "all"):
        raise InputError(f"cannot read --seeds {seeds!r}: write --seeds all, or choose one seed with --seed")
    if at is not None and not poster:
        raise InputError("--at sets the step of a poster: pass -o with a name that ends in .png")
    look = Look(shape[0], shape[1], pair, theme.value)
    moment = at if at is not None or not poster else max(len(run.schedule) for run in chosen) - 1
    conclusion = None if poster else _conclusion(chosen, runs)
    scene = make_scene(chosen, look, seed, stride, moment, all_seeds=seeds == "all", conclusion=conclusion)
    path = output or new_video(runs, chosen)
    frames = 1 if poster else len(scene.frames) + held_frames(scene, fps)
    with Bar(path.name, frames, "frame") as bar:
        path = animate(scene, path, fps, bar.update, place_numbered if output is None else replace if force else place_new)
    step = scene.frames[-1]
    if as_json:
        put_json({"path": str(path), "frames": frames, "fps": fps, "runs": [run.name for run in chosen], "last_step": step})
        return
    if at is not None and step < at:
        say(f"step {at:,} is not stored for every run; showing the last earlier step that is")
    put(f"{path}: {f'step {step:,}' if poster else f'{frames:,} frames'} of {', '.join(run.name for run in chosen)}")


def _conclusion(chosen: Sequence[Run], runs: Path) -> Conclusion | None:
    """Give the verdicts on some runs: those of a comparison that is stored, else of one that is made for this; None where none can be."""
    from curriculum.cli.compare import measured
    from curriculum.draw.conclusion import conclusion_of
    from curriculum.errors import CurriculumError
    from curriculum.store.shelf import stored_comparison

    if len(chosen) < 2:
        return None
    try:
        found = stored_comparison(runs, chosen) or measured(list(chosen)).to_json()
    except CurriculumError:
        return None  # such as runs that are not over
    return conclusion_of(found)


def _two_numbers(text: str, separator: str, option: str, example: str) -> tuple[int, int]:
    from curriculum.errors import InputError

    first, _, second = text.lower().partition(separator)
    if not (first.isascii() and second.isascii() and first.isdigit() and second.isdigit() and len(text) < 20):
        raise InputError(f"cannot read {option} {text!r}: write two numbers, as in {option} {example}")
    return int(first), int(second)
