"""`curriculum animate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, Force, RunsFolder, check_free, guarded
from curriculum.console import put, put_json, say

if TYPE_CHECKING:
    pass


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
    dims: Annotated[str, typer.Option(metavar="X,Y", help="The two latent dimensions to plot.")] = "0,1",
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

    Shows the latent space, the schedule and the losses, step by step.

    Examples:

      curriculum animate

      curriculum animate runA runB -o smooth-vs-stepped.mp4 --theme light

      curriculum animate runA -o poster.png --at 5000

      curriculum animate smooth stepped --seeds all
    """
    from curriculum.errors import InputError
    from curriculum.store.experiment import find_runs
    from curriculum.store.place import place_new, place_numbered, replace
    from curriculum.store.shelf import latest_comparison, new_video, newest_finished

    pair, shape = _two_numbers(dims, ",", "--dims", "0,1"), _two_numbers(size, "x", "--size", "1600x900")
    chosen = find_runs(names, runs)[0] if names else latest_comparison(runs) or newest_finished(runs)
    from curriculum.cli.progress import Bar
    from curriculum.draw.film import Look
    from curriculum.draw.video import POSTER, animate, check_output, make_scene

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
    scene = make_scene(chosen, look, seed, stride, moment, all_seeds=seeds == "all")
    path = output or new_video(runs, chosen)
    frames = 1 if poster else len(scene.frames)
    with Bar(path.name, frames, "frame") as bar:
        path = animate(scene, path, fps, bar.update, place_numbered if output is None else replace if force else place_new)
    step = scene.frames[-1]
    if as_json:
        put_json({"path": str(path), "frames": frames, "fps": fps, "runs": [run.name for run in chosen], "last_step": step})
        return
    if at is not None and step < at:
        say(f"step {at:,} is not stored for every run; showing the last earlier step that is")
    put(f"{path}: {f'step {step:,}' if poster else f'{frames:,} frames'} of {', '.join(run.name for run in chosen)}")


def _two_numbers(text: str, separator: str, option: str, example: str) -> tuple[int, int]:
    from curriculum.errors import InputError

    first, _, second = text.lower().partition(separator)
    if not (first.isascii() and second.isascii() and first.isdigit() and second.isdigit() and len(text) < 20):
        raise InputError(f"cannot read {option} {text!r}: write two numbers, as in {option} {example}")
    return int(first), int(second)
