"""The command line: parse, call one function, print, exit code."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculum import cli_sheets, cli_train
from curriculum.cli_sheets import HELP, Overrides, print_diff
from curriculum.cli_train import DeviceOption, train_open, with_device
from curriculum.console import number, put, put_json, put_table, report, say
from curriculum.guard import DEBUG, RUNS, AsJson, Force, RunsFolder, check_free, guarded

if TYPE_CHECKING:
    from curriculum.compare import Comparison, Figure
    from curriculum.experiment import Plan
    from curriculum.runfolder import Run
    from curriculum.verdicts import SmallestEffect


class Theme(StrEnum):
    """The colors of a video."""

    dark = "dark"
    light = "light"


app = typer.Typer(no_args_is_help=True, add_completion=False, context_settings=HELP, rich_markup_mode=None)
app.add_typer(cli_sheets.dopesheet, name="dopesheet")
app.add_typer(cli_sheets.config, name="config")
app.command("train")(cli_train.train)
app.command("verify")(cli_train.verify)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except OSError as error:
        # The help itself may go to a full disk.
        raise SystemExit(report(error)) from None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"curriculum {version('curriculum')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Find out whether a training schedule helps, and show it.

    A dopesheet (CSV) says how every hyperparameter moves over training, a config (YAML) says what is trained.

    Examples:

      curriculum train --dopesheet smooth.csv --name runA

      curriculum train --dopesheet stepped.csv --name runB

      curriculum compare runA runB

      curriculum animate
    """
    if debug:
        os.environ[DEBUG] = "1"


@app.command()
@guarded
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Two or more runs; by default the two newest finished ones.")
    ] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="RUN", help="The run that is measured against the others.")] = None,
    smallest_ratio: Annotated[float, typer.Option(min=0, max=0.99, help="A ratio within 1 +- this means nothing.")] = 0.1,
    smallest_count: Annotated[float, typer.Option(min=0, help="A difference of counts within +- this means nothing.")] = 0.5,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs: final errors, spikes, fluctuation and schedules, with figures.

    The first run, or the --baseline, is measured against each of the others.

    Examples:

      curriculum compare runA runB

      curriculum compare

      curriculum compare runA runB runC --baseline runB --smallest-ratio 0.05
    """
    from curriculum.runfolder import find_run
    from curriculum.store import newest_finished
    from curriculum.verdicts import SmallestEffect

    chosen = [find_run(name, runs) for name in names] if names else newest_finished(runs)
    if baseline is not None:
        first = find_run(baseline, runs)
        chosen = [first, *(run for run in chosen if run.path.resolve() != first.path.resolve())]
    _compare(chosen, runs, as_json, SmallestEffect(smallest_ratio, smallest_count))


def _compare(chosen: list[Run], runs: Path, as_json: bool, smallest: SmallestEffect | None = None) -> None:
    """Compare runs, store the comparison, and print it."""
    from curriculum.compare import compare as compare_runs
    from curriculum.plots import draw_comparison
    from curriculum.progress import Bar
    from curriculum.store import new_comparison

    with Bar("measuring", sum(len(run.seeds) for run in chosen), "seed", patience=2.0) as bar:
        found = compare_runs(chosen, smallest, watch=bar.update)
    folder = new_comparison(runs, found, lambda folder: draw_comparison(chosen, found, folder))
    if as_json:
        put_json({**found.to_json(), "folder": str(folder)})
        return
    print_comparison(found)
    put(f"figures and compare.json: {folder}")


def print_comparison(found: Comparison) -> None:
    """Print a comparison as sentences, tables and notes."""
    for other, hypotheses in found.hypotheses.items():
        put(f"{found.names[0]} against {other}")
        for name, verdict in hypotheses.items():
            put(f"  {name} {found.questions[name]}: {verdict}")
            for own in found.verdicts:
                if own.other == other and own.id.startswith(name):
                    put(f"     {own.sentence()}")
        for guard in found.guards:
            if guard.other == other:
                put(f"  {guard.sentence()}")
        for own in found.explored:
            if own.other == other:
                put(f"  {own.sentence()}")
        put("")
    against = [f"{found.names[0]} / {other}" for other in found.names[1:]]
    header = ["measure", "window", *found.names, *against]
    right = list(range(2, len(header)))
    many = any(len(run["seeds"]) > 1 for run in found.runs)
    median = ", median over seeds" if many else ""
    put_table(header, [_row(figure, found) for figure in found.final], f"Final error{median}", right)
    title = f"Measures from step {found.first_step:,} on{median}"
    put_table(header, [_row(figure, found) for figure in (*found.measures, *found.exploratory)], title, right)
    rates = [["mean lr", window, *(number(means[name]) for name in found.names)] for window, means in found.mean_lr.items()]
    put_table(["", "window", *found.names], rates, "Fluctuation grows with the learning rate", right=list(range(2, 2 + len(found.names))))
    terms = list(dict.fromkeys(term for losses in found.last_losses.values() for term in losses))
    last = [[term, *(number(found.last_losses[name].get(term)) for name in found.names)] for term in terms]
    put_table(["loss", *found.names], last, f"Losses of the last step, as logged{median}", right=list(range(1, 1 + len(found.names))))
    for other, sheets in found.sheets.items():
        put(f"Schedules of {found.names[0]} and {other}")
        print_diff(sheets, found.names[0], other, keys=False)
    if found.gates:
        sides = {"lower": "at most", "higher": "at least"}
        gates = [
            [f"{g.id} {g.title}", f"{sides[g.better]} {number(g.limit)}", g.run, f"{g.passed} of {g.of}", number(g.worst)]
            for g in found.gates
        ]
        put_table(["gate", "passes", "run", "passed", "worst seed"], gates, "Gates: is the result what was wanted?", right=[3, 4])
    if found.tails:
        tails = [[t.id, t.run, number(t.worst), number(t.worst_tenth)] for t in found.tails]
        put_table(["measure", "run", "worst seed", "mean of the worst 10%"], tails, "What a median hides", right=[2, 3])
    if found.verdicts:
        put(f"smallest effect of interest: a ratio of 1 +- {found.smallest.ratio:g}, a count of +- {found.smallest.count:g}")
    for note in found.notes:
        put(f"note: {note}")


def _row(figure: Figure, found: Comparison) -> list[str]:
    first, *others = (figure.median(name) for name in found.names)
    window = figure.window
    if figure.effect in ("difference", "share"):
        effects = [f"{first - other:+.3g}" if math.isfinite(first - other) else "-" for other in others]
    else:
        effects = [f"x{number(first / other)}" if other > 0 and math.isfinite(first / other) and first > 0 else "-" for other in others]
    values = [number(value) for value in (first, *others)]
    return [f"{figure.id} {figure.title}" if figure.id != "final" else figure.title, window, *values, *effects]


@app.command("experiment")
@guarded
def run_experiment(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A path, or a name in configs/.")],
    seed: Annotated[str | None, typer.Option("--seed", "--seeds", metavar="SEEDS", help="Other seeds than the file's, as 0:8.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after this many steps.")] = None,
    device: DeviceOption = None,
    overrides: Overrides = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Train every arm of an experiment as one stack, and compare them; what is trained already is not trained again.

    Examples:

      curriculum experiment smooth-vs-stepped

      curriculum experiment smooth-vs-stepped --seeds 1000:1064 --runs runs/again
    """
    from curriculum.study import plan_study, run_study

    study = plan_study(name, runs, overrides=with_device(overrides, device), seeds=seed, steps=steps)
    for path, done in zip(study.paths, study.done, strict=True):
        if done:
            say(f"{path} is done already")

    def train_arms(plans: Sequence[Plan], paths: Sequence[Path]) -> None:
        train_open(plans, paths, f"training {', '.join(path.name for path in paths)}", "the same command again")

    _compare(run_study(study, train_arms), runs, as_json)


@app.command()
@guarded
def animate(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="One to four runs; by default those of the latest comparison, else the two newest finished."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="A .mp4, .webm or .gif, or a .png poster.")] = None,
    dims: Annotated[str, typer.Option(metavar="X,Y", help="The two latent dimensions.")] = "0,1",
    size: Annotated[str, typer.Option(metavar="WxH", help="Width and height in pixels.")] = "1600x900",
    fps: Annotated[float, typer.Option(min=1, max=240, help="Frames per second.")] = 30,
    stride: Annotated[int | None, typer.Option(min=1, help="Steps between frames; by default few at first, more later.")] = None,
    theme: Annotated[Theme, typer.Option(help="The colors.")] = Theme.dark,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed to show, of runs with several.")] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="all", help="Also show the paths of a few points in every seed.")] = None,
    at: Annotated[int | None, typer.Option("--at", min=0, metavar="STEP", help="The step of a poster; by default the last.")] = None,
    runs: RunsFolder = RUNS,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Render runs side by side as a video: latent space, schedule and losses, step by step.

    Examples:

      curriculum animate

      curriculum animate runA runB -o smooth-vs-stepped.mp4 --theme light

      curriculum animate runA -o poster.png --at 5000

      curriculum animate smooth stepped --seeds all
    """
    from curriculum.errors import InputError
    from curriculum.runfolder import find_run
    from curriculum.store import latest_comparison, new_video, newest_finished

    pair, shape = _two_numbers(dims, ",", "--dims", "0,1"), _two_numbers(size, "x", "--size", "1600x900")
    chosen = [find_run(name, runs) for name in names] if names else latest_comparison(runs) or newest_finished(runs)
    from curriculum.animate import POSTER, animate, check_output, make_scene
    from curriculum.progress import Bar
    from curriculum.scene import Look

    if output is not None:
        check_output(output)
        check_free(output, force)
    poster = output is not None and output.suffix.lower() == POSTER
    if seeds not in (None, "all"):
        raise InputError(f"cannot read --seeds {seeds!r}: write --seeds all, or choose one seed with --seed")
    if at is not None and not poster:
        raise InputError("--at chooses the step of a poster: give -o a name that ends in .png")
    look = Look(shape[0], shape[1], pair, theme.value)
    moment = at if at is not None or not poster else max(len(run.schedule) for run in chosen) - 1
    scene = make_scene(chosen, look, seed, stride, moment, all_seeds=seeds == "all")
    path = output or new_video(runs, chosen)
    frames = 1 if poster else len(scene.frames)
    with Bar(path.name, frames, "frame") as bar:
        animate(scene, path, fps, bar.update)
    step = scene.frames[-1]
    if as_json:
        put_json({"path": str(path), "frames": frames, "fps": fps, "runs": [run.name for run in chosen], "last_step": step})
        return
    if at is not None and step < at:
        say(f"step {at:,} is not stored of every run: this is the last one before it that is")
    put(f"{path}: {f'step {step:,}' if poster else f'{frames:,} frames'} of {', '.join(run.name for run in chosen)}")


def _two_numbers(text: str, separator: str, option: str, example: str) -> tuple[int, int]:
    from curriculum.errors import InputError

    first, _, second = text.lower().partition(separator)
    if not (first.isascii() and second.isascii() and first.isdigit() and second.isdigit() and len(text) < 20):
        raise InputError(f"cannot read {option} {text!r}: write two numbers, as {option} {example}")
    return int(first), int(second)


@app.command("runs")
@guarded
def list_runs(runs: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """List all runs, the oldest first.

    Examples:

      curriculum runs
    """
    from curriculum.runfolder import runs_in

    good, damaged = runs_in(runs)
    for error in damaged:
        say(f"warning: {error}")
    keys = ("created", "sheet", "steps", "seeds")
    found: list[dict[str, Any]] = [
        {
            "name": run.path.relative_to(runs).as_posix(),
            "status": run.shown_status,
            "task": run.task_name,
            "trained": run.trained_steps,
            **{key: run.manifest.get(key) for key in keys},
        }
        for run in good
    ]
    if as_json:
        put_json(found)
    elif not found:
        say(f"{runs} has no runs yet; make one with: curriculum train --dopesheet smooth.csv")
    else:
        rows = [[r["name"], r["status"], r["task"], r["sheet"], _progress(r), str(len(r["seeds"])), r["created"][:19]] for r in found]
        put_table(["run", "status", "task", "sheet", "steps", "seeds", "created (UTC)"], rows, right=[4, 5])


@app.command("show")
@guarded
def show_run(name: Annotated[str, typer.Argument(metavar="RUN", help="A run.")], runs: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Show what is known of a run: how it was made, how it ended, what happened in it.

    Examples:

      curriculum show runA
    """
    from curriculum.runfolder import find_run

    run = find_run(name, runs)
    if as_json:
        put_json({**run.manifest, "status": run.shown_status, "events": list(run.events)})
        return
    happened = run.events
    skip = ("parameters", "schema", "name", "files", "hashes", "probes", "look", "diverged", "segments", "sha256")
    known = {**run.manifest, "status": run.shown_status}
    rows = [[key, _text(value)] for key, value in known.items() if key not in skip and value not in (None, {}, [])]
    put_table(["", run.name], rows)
    segments = run.manifest.get("segments", [])
    if len(segments) > 1:
        keys = ("from", "to", "status", "started", "ended")
        put_table(["from step", "to", "ended as", "started", "ended"], [[str(one.get(key, "-")) for key in keys] for one in segments])
    events = [[str(e.get("step")), str(e.get("event")), str(e.get("name") or e.get("phase") or e.get("message") or "")] for e in happened]
    put_table(["step", "event", ""], events, right=[0])


def _progress(run: dict[str, Any]) -> str:
    return f"{run['steps']:,}" if run["trained"] == run["steps"] else f"{run['trained']:,} of {run['steps']:,}"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)
