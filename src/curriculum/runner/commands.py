"""Experiments whose arms are trained by a command: a process for each arm and seed, which fills the arm's run by `track`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from curriculum.config import yaml as configs
from curriculum.config.settings import Seeds, Settings
from curriculum.errors import ConfigError, CurriculumError, InputError, OutputExistsError, unknown
from curriculum.find_file import find_file, read_config
from curriculum.measure.of_scores import ids_of
from curriculum.processes import cores_here, last_lines, start_logged, stop_all
from curriculum.runner.arms_settings import ComparedArms, ShownArm, named_sheet
from curriculum.runner.inputs import folder_of
from curriculum.runner.track import METRICS_OF, RUN, SEED, SHEET
from curriculum.runner.track_folder import check_logged, check_metrics, read_inputs
from curriculum.runner.track_values import declared
from curriculum.store.blocks import block_paths
from curriculum.store.experiment import ArmRecord, ExperimentRecord, write_experiment
from curriculum.store.files import digest
from curriculum.store.joining import join
from curriculum.store.names import OVER, check_name, is_run
from curriculum.store.reader import Run

LOGS = "logs"
HOPELESS = 3  # seeds that fail before any has ended well: then no others are started
GRACE = 10.0  # seconds that a process has to end in when the experiment is interrupted
PLACEHOLDERS = ("sheet", "seed", "run")


class MetricSettings(Settings):
    """How a metric that the command logs is judged."""

    better: Literal["higher", "lower"] = Field(description="which side is better")
    unit: str | None = Field(None, description="the unit in which it is shown")
    scale: float | None = Field(None, gt=0, description="what a logged value is multiplied by to be shown")
    smallest: float | None = Field(None, gt=0, description="the smallest difference that matters, in that unit")
    level: float | None = Field(None, description="a value that training is to reach, in that unit")


class CommandSettings(ComparedArms):
    """The settings in the file of an experiment whose arms are trained by a command."""

    command: str = Field(
        min_length=1, description="what trains one seed of an arm, with {sheet}, {seed} and {run}, or these in the environment"
    )
    seeds: Seeds = Field(description="the seeds of every arm, such as 0:32 or [0, 3, 5]")
    arms: dict[str, Annotated[ShownArm, BeforeValidator(named_sheet)]] = Field(
        description="the arms by the names of their runs, at least two: each a sheet, or a mapping with sheet, label and color"
    )
    metrics: dict[str, Annotated[MetricSettings, BeforeValidator(lambda value: {"better": value} if isinstance(value, str) else value)]] = (
        Field({}, description="the metrics that are judged: higher or lower, or a mapping with better, unit, scale and smallest")
    )
    baseline: str | None = Field(None, description="the arm that each of the others is measured against; by default the first arm is")
    primary: list[str] | None = Field(None, min_length=1, description="the metrics that are judged; the others are then exploratory")

    @field_validator("primary")
    @classmethod
    def _are_metrics(cls, primary: list[str] | None, info: ValidationInfo) -> list[str] | None:
        metrics = info.data.get("metrics", {})
        known = [own for name, metric in metrics.items() for own in ids_of(name, metric.level is not None)]
        for name in primary or ():
            if known and name not in known:
                raise ValueError(unknown("metric", name, known))
        return primary


@dataclass(frozen=True, eq=False)
class Job:
    """A seed of an arm that is to be trained: the command and its environment, and where its output goes."""

    arm: str
    seed: int
    run: Path
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path


@dataclass(frozen=True)
class CommandStudy:
    """A checked experiment: its arms with their runs, the seeds, what is left to do, and what is stored of the experiment."""

    folder: Path
    names: tuple[str, ...]
    sheets: tuple[str, ...]
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]
    jobs: tuple[Job, ...]
    record: ExperimentRecord
    judged: Mapping[str, str]  # the metrics of the file that are judged, with the side that is better

    @property
    def baseline(self) -> int | None:
        """The place of the baseline among the arms."""
        return None if self.record.baseline is None else self.names.index(self.record.baseline)


@dataclass(frozen=True)
class Failure:
    """A seed that was not trained: why, and the last lines of its output."""

    job: Job
    why: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        shown = "".join(f"\n  | {line}" for line in self.lines)
        return f"{self.job.arm}, seed {self.job.seed}: {self.why}; all of its output is in {self.job.log}{shown}"


def has_command(reference: str) -> bool:
    """Tell whether an experiment is one whose arms are trained by a command."""
    source, text = read_config(reference)
    return "command" in configs.names_in(text, source)


def plan_commands(reference: str, folder: Path, *, overrides: Sequence[str] = (), seeds: str | None = None) -> CommandStudy:
    """Read an experiment with a command, and check its sheets, its command and what is stored of it.

    Raises `InputError` for errors in the files and a command that does not exist, `OutputExistsError` if a run in its place was
    created with another sheet.
    """
    source, text = read_config(reference)
    own = [*overrides, *([f"seeds={seeds if ':' in seeds else f'[{seeds}]'}"] if seeds is not None else [])]
    settings = configs.load_as(CommandSettings, text, source, own)
    near, place = folder_of(source), folder / Path(source).stem
    for name in (place.name, *settings.arms):
        check_name(name)
    if LOGS in settings.arms:
        raise InputError(f"an arm cannot be named {LOGS!r}: the output of the commands is kept in a folder of that name")
    if is_run(place):
        raise OutputExistsError(f"{place} is a run: rename the run or the experiment")
    metrics = {name: metric.model_dump(exclude_none=True) for name, metric in settings.metrics.items()}
    scores = declared(metrics)
    sheets, jobs = [], []
    for arm, chosen in settings.arms.items():
        path = place / arm
        sheet = find_file(chosen.sheet, "dopesheets", near).resolve()
        sheets.append(chosen.sheet)
        made = read_inputs(sheet, 0, scores)
        if os.path.lexists(path) and Run(path).manifest["hashes"]["sheet"] != digest(made.sheet_bytes):
            raise OutputExistsError(f"{path} already exists, but was created with another sheet. Remove or rename it first")
        if os.path.lexists(path):
            check_metrics(Run(path), scores)
        done = seeds_of(path)
        for seed in (seed for seed in settings.seeds if seed not in done):
            values = {"sheet": str(sheet), "seed": str(seed), "run": str(path.resolve())}
            try:
                command = _command(settings.command, values, near)
            except InputError as error:
                raise ConfigError([configs.locate(text, source, own, ("command",), str(error))]) from None
            variables = {SHEET: values["sheet"], SEED: values["seed"], RUN: values["run"], METRICS_OF: json.dumps(metrics)}
            jobs.append(Job(arm, seed, path, command, variables, place / LOGS / arm / f"{seed}.log"))
    record = ExperimentRecord(
        arms={name: ArmRecord(label=arm.label, color=arm.color) for name, arm in settings.arms.items()},
        baseline=settings.baseline,
        primary=settings.primary,
    )
    paths = tuple(place / arm for arm in settings.arms)
    judged = {name: score.better for name, score in scores.items() if settings.primary is None or name in settings.primary}
    # Seed by seed, so that pairs are whole wherever it is interrupted.
    jobs.sort(key=lambda job: settings.seeds.index(job.seed))
    return CommandStudy(place, tuple(settings.arms), tuple(sheets), paths, settings.seeds, tuple(jobs), record, judged)


def seeds_of(path: Path) -> set[int]:
    """List the seeds of a run that were trained to the end, joined or not."""
    if not is_run(path):
        return set()
    run = Run(path)
    joined = set(run.seeds) if run.status in OVER else set()
    return joined.union(*(own.seeds for own in map(Run, block_paths(path)) if own.status in OVER))


def _environment() -> dict[str, str]:
    """Give the environment of commands: `python` is the one that runs this program."""
    here = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([here, os.environ.get("PATH", "")])}


def _command(text: str, values: dict[str, str], near: Sequence[Path]) -> tuple[str, ...]:
    """Fill in a command. A file that is named in it is looked for in the working folder, then next to the experiment."""
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise InputError(f"cannot read the command {text!r}: {error}") from None
    if not parts:
        raise InputError("the command is empty")
    for name in re.findall(r"\{(\w+)\}", text):
        if name not in PLACEHOLDERS:
            raise InputError(unknown("placeholder", name, PLACEHOLDERS))
    found = []
    for part in parts:
        for name, value in values.items():
            part = part.replace(f"{{{name}}}", value)
        beside = next((folder / part for folder in near if not Path(part).exists() and (folder / part).is_file()), None)
        found.append(str(beside) if beside is not None else part)
    if shutil.which(found[0], path=_environment()["PATH"]) is None:
        raise InputError(f"there is no command {found[0]!r}")
    for script in found[1:]:
        if script.endswith(".py") and not Path(script).is_file():
            raise InputError(f"there is no file {script!r} (looked in the working folder and next to the experiment)")
    return tuple(found)


def run_commands(study: CommandStudy, workers: int | None = None, watch: Callable[[int], None] = lambda done: None) -> list[Run]:
    """Train what is left of an experiment, `workers` processes at a time, by default as many as there are cores; open its runs.

    `watch` is told how many seeds have ended. A seed that fails stops no other one, unless the first ones all fail. Raises
    `CurriculumError` with every seed that failed, and `KeyboardInterrupt` after the processes have ended.
    """
    write_experiment(study.folder, study.record)
    cores = cores_here()
    failures = list(_run_all(study.jobs, workers or cores, cores, watch))
    for path in study.paths:
        if is_run(path):
            join(path)
    if failures:
        left = sum(job.seed not in seeds_of(job.run) for job in study.jobs)
        shown = "\n".join(map(str, failures[:HOPELESS]))
        more = f"\n... and {len(failures) - HOPELESS} more" if len(failures) > HOPELESS else ""
        what = f"{left} of {len(study.jobs)} seeds were not trained; run the same command again to retry"
        if all(failure.job.seed in seeds_of(failure.job.run) for failure in failures):
            what = f"{len(failures)} of {len(study.jobs)} seeds were trained, but their command failed"
        raise CurriculumError(f"{what}\n{shown}{more}")
    runs = [Run(path) for path in study.paths]
    check_logged(runs)
    return runs


def _run_all(jobs: Sequence[Job], workers: int, cores: int, watch: Callable[[int], None]) -> Iterator[Failure]:
    common = _environment()
    # Each process would take all cores for itself.
    common.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    waiting, running, failed, ended = list(jobs), dict[Job, subprocess.Popen[bytes]](), 0, 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[job] = start_logged(job.command, {**common, **job.environment}, job.log, "wb")
            time.sleep(0.02)
            for job, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[job]
                ended += 1
                watch(ended)
                if (failure := _failure(job, process.returncode)) is not None:
                    failed += 1
                    yield failure
                    if failed == ended >= HOPELESS:
                        waiting.clear()
    finally:
        stop_all(running.values(), GRACE)


def _failure(job: Job, code: int) -> Failure | None:
    """Say why a seed counts as not trained, though its process ended; None where it was trained."""
    trained = job.seed in seeds_of(job.run)
    if code == 0 and trained:
        return None
    if code == 0:
        why = f"the command ended, but recorded nothing of this seed in {job.run}: does it call curriculum.track()?"
    elif code < 0:
        why = f"the command was ended by the signal {signal.Signals(-code).name}"
    else:
        why = f"the command failed with the exit code {code}"
    return Failure(job, why, last_lines(job.log))
