"""Train an experiment by a launcher: options, progress, and what happens on Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculum.cli.completion import launcher_names
from curriculum.console import put, put_json, put_table, say

if TYPE_CHECKING:
    from curriculum.config.launching import LauncherSettings
    from curriculum.launch.drive import Sized
    from curriculum.launch.jobs import Launcher
    from curriculum.launch.of_study import StudyJobs
    from curriculum.launch.schedule import Standing
    from curriculum.launch.trial import Need
    from curriculum.runner.arms import Study
    from curriculum.store.reader import Run

LauncherName = Annotated[
    str | None,
    typer.Option(
        "--launcher",
        metavar="NAME",
        autocompletion=launcher_names,
        help="Where blocks of seeds are trained: inline (in this process), local (processes of this machine), ray or slurm.",
    ),
]
LauncherConfig = Annotated[
    Path | None, typer.Option("--launcher-config", metavar="FILE", help="A YAML file with the settings of the launcher.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Blocks, or processes of a command, at a time. Default: as many as there is room for. Implies --launcher local.",
    ),
]
Block = Annotated[
    str | None,
    typer.Option("--block", metavar="SEEDS", help="Train only these seeds of every arm, as launchers do, and do not compare."),
]
PlanOnly = Annotated[
    bool,
    typer.Option("--plan", help="Print the blocks, and the time and memory that each needs, from a trial of a few steps; train nothing."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Go on in the background, and return at once.")]
EVERY = 1.0  # seconds from one look at the folders of running blocks to the next
LINE_SECONDS = 30.0  # from one plain line to the next
MOST_BARS = 8  # of running blocks


def launcher_settings(study: Study, name: str | None, config: Path | None, workers: int | None, plan: bool) -> LauncherSettings | None:
    """Merge what the experiment, a file and the options say of the launcher; what it was launched with before counts last.

    Where nothing says anything, a plan is for this process, and else there is none. Raises `InputError` for mistakes, each at its place.
    """
    from curriculum.config import yaml as configs
    from curriculum.config.launching import LAUNCHERS, LauncherSettings
    from curriculum.errors import InputError, unknown
    from curriculum.find_file import read_config
    from curriculum.launch.choose import merge_settings
    from curriculum.store.experiment import read_experiment

    if name is not None and name not in LAUNCHERS:
        raise InputError(unknown("launcher", name, LAUNCHERS))
    stored = read_experiment(study.folder)
    own = study.launcher.model_dump(exclude_unset=True) if study.launcher else {}
    if not own and stored is not None and stored.launcher:
        own = dict(stored.launcher)
        if name is None and config is None and own["name"] != "inline":
            say(f"launcher: {own['name']}, as before")
    file: dict[str, Any] = {}
    if config is not None:
        source, text = read_config(str(config))
        file = configs.load_as(LauncherSettings, text, source).model_dump(exclude_unset=True)
    options = {} if workers is None else {"workers": workers}
    if name is None and workers is not None and (own | file).get("name", "inline") == "inline":
        name = "local"
    if not (own or file or options or name):
        return LauncherSettings() if plan else None
    return merge_settings(own, file, options, name=name)


def cut_for(study: Study, settings: LauncherSettings, command: Sequence[str]) -> tuple[Sized, Launcher | None]:
    """Check a launcher, and cut an experiment for it. For `inline`, there is no launcher: this process trains."""
    from curriculum.launch.choose import make_launcher
    from curriculum.launch.drive import cut_study

    launcher = None if settings.name == "inline" else make_launcher(settings, study.plans[0].config.threads)
    return cut_study(study, settings, launcher.slots if launcher else 1, lambda seeds: _measure(study, seeds, command)), launcher


def print_blocks(sized: Sized, launcher: Launcher | None, command: Sequence[str], as_json: bool) -> None:
    """Print the blocks that are left to train, and what each needs."""
    from curriculum.launch.of_study import jobs_of
    from curriculum.store.blocks import seeds_text

    study, settings = sized.study, sized.study.launcher
    assert settings is not None
    jobs = jobs_of(study, command, {})
    seeds_of = {path: checked.seeds for _, checked, path in study.parts}
    needs, rows, documents, spent = dict(sized.needs), [], [], 0.0
    for job in jobs.jobs:
        seeds, done = seeds_of[jobs.paths[job.name][0]], jobs.step(job)
        if len(seeds) not in needs:
            needs[len(seeds)] = _measure(study, seeds, command)
        need = needs[len(seeds)]
        left = need.seconds * (1 - done / jobs.steps)
        spent += left
        rows.append([job.name, seeds_text(seeds), f"{done:,} of {jobs.steps:,}", _time(left), f"{need.megabytes:,.0f} MiB"])
        documents.append(
            {"block": job.name, "seeds": list(seeds), "step": done, "seconds": round(left, 1), "megabytes": round(need.megabytes)}
        )
    slots = min(launcher.slots if launcher else 1, max(1, len(jobs.jobs)))
    total = spent / slots
    if as_json:
        put_json({"launcher": settings.name, "workers": slots, "blocks": documents, "seconds": round(total, 1)})
        return
    if not rows:
        put(f"{study.folder}: nothing is left to train")
        return
    put_table(["block", "seeds of each arm", "step", "time", "memory"], rows, f"Blocks of {study.folder.name}", right=[3, 4])
    put(f"launcher {settings.name}, {slots} block(s) at a time: about {_time(total)} if the workers are like this machine")
    put(f"a block by hand: {_shown(jobs.jobs[0].command)}")


def train_launched(study: Study, settings: LauncherSettings, launcher: Launcher, command: Sequence[str]) -> list[Run]:
    """Train an experiment by a launcher, with a line for the whole and one for each running block."""
    from curriculum.launch.drive import join_finished, run_launched

    count = len({checked.seeds for _, checked, _ in study.parts})
    try:
        with LaunchBar(study.folder.name, count) as bar:
            runs = run_launched(study, launcher, settings, command, bar.watch)
    except KeyboardInterrupt as error:
        if launcher.lasting and _wants_to_leave(error):
            launcher.close()
            error.args = (f"{study.folder}: its workers go on; run the same command again to go on from there",)
        else:
            say("stopping the workers ...")
            launcher.stop()
            join_finished(study)
            error.args = (f"interrupted; every block has stored a checkpoint in {study.folder}; run the same command again to go on",)
        raise
    except BaseException:
        launcher.stop()
        raise
    launcher.close()
    return runs


def detach(folder: Path, argv: Sequence[str]) -> None:
    """Start the same command in the background, with its output in a log."""
    from curriculum.store.names import LAUNCH

    log = folder / LAUNCH / "driver.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "curriculum", *(part for part in argv if part != "--detach")]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    put(f"{folder.name} goes on in the background as process {process.pid}; its output: {log}")
    say(f"to see the blocks: curriculum runs; to stop it after a checkpoint: kill {process.pid}")


class LaunchBar:
    """Shows how far the blocks of an experiment are, as a context: bars on a terminal, plain lines elsewhere."""

    def __init__(self, title: str, total: int, clock: Callable[[], float] = time.monotonic):
        self.title, self.total, self.clock = title, total, clock
        self._began = self._looked = self._said = clock()
        self._told: tuple[int, int, int] = (0, 0, 0)
        self._first: int | None = None
        self._rich: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> LaunchBar:
        if sys.stderr and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self._rich = Progress(*columns, console=Console(stderr=True), transient=True)
            self._tasks[""] = self._rich.add_task(self.title, total=self.total, text="blocks")
            self._rich.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._rich is not None:
            self._rich.stop()

    def watch(self, jobs: StudyJobs, standing: Standing) -> None:
        """Show where an experiment stands; folders are looked at once a second."""
        now = self.clock()
        told = (standing.finished, len(standing.failures), standing.again)
        if told == self._told and now - self._looked < EVERY:
            return
        self._looked = now
        active = {**standing.running, **standing.elsewhere}
        steps = {name: jobs.step(job) for name, job in active.items()}
        given_up = {failure.job.name for failure in standing.failures}
        waiting = sum(jobs.step(job) for job in standing.waiting) if len(standing.waiting) <= MOST_BARS else 0
        done = standing.finished * jobs.steps + sum(steps.values()) + waiting
        self._first = done if self._first is None else self._first
        left = self._time_left(done, (standing.total - len(given_up)) * jobs.steps, now)
        if self._rich is not None:
            self._draw(standing, steps, jobs.steps, left)
        elif told != self._told or now - self._said >= LINE_SECONDS:
            self._said = now
            say(f"{self.title}: {self._text(standing)}{left}")
        self._told = told

    def _time_left(self, done: int, whole: int, now: float) -> str:
        gained = done - (self._first or 0)
        if gained <= 0 or done >= whole:
            return ""
        return f", about {_time((now - self._began) * (whole - done) / gained)} left"

    def _text(self, standing: Standing) -> str:
        counts = {
            "running": len(standing.running),
            "run by another command": len(standing.elsewhere),
            "waiting": len(standing.waiting),
            "sent again": standing.again,
            "given up": len(standing.failures),
        }
        parts = [f"{count} {name}" for name, count in counts.items() if count]
        return ", ".join([f"{standing.finished} of {standing.total} blocks finished", *parts])

    def _draw(self, standing: Standing, steps: dict[str, int], whole: int, left: str) -> None:
        self._rich.update(self._tasks[""], completed=standing.finished, total=standing.total, text=f"{self._text(standing)}{left}")
        shown = dict(list(steps.items())[:MOST_BARS])
        for name in [name for name in self._tasks if name and name not in shown]:
            self._rich.remove_task(self._tasks.pop(name))
        for name, step in shown.items():
            if name not in self._tasks:
                self._tasks[name] = self._rich.add_task(f"  {name}", total=whole, text="")
            self._rich.update(self._tasks[name], completed=step)


def _measure(study: Study, seeds: Sequence[int], command: Sequence[str]) -> Need:
    """Try a block in a folder that is thrown away."""
    from curriculum.launch.trial import try_block

    say(f"trying a block of {len(seeds)} seed(s) ...")
    place = command.index("--runs")
    return try_block([*command[:place], *command[place + 2 :]], os.environ, len(study.plans[0].schedule), seeds)


def _wants_to_leave(error: KeyboardInterrupt) -> bool:
    """Ask on a terminal whether the workers are to go on. SIGTERM, or no terminal, means that they are not."""
    from curriculum.runner.signals import Terminated

    if isinstance(error, Terminated) or not (sys.stdin and sys.stdin.isatty()):
        return False
    try:
        return typer.confirm("Let the blocks that are running go on?", default=False, err=True)
    except (typer.Abort, KeyboardInterrupt):
        return False


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _shown(command: Sequence[str]) -> str:
    import shlex

    return shlex.join(["curriculum", *command[3:]])
