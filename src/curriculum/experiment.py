"""Check a config and a sheet against a task, run them, and store what comes out."""

from __future__ import annotations

import platform
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from curriculum import config as configs
from curriculum import plugins
from curriculum.background import Background
from curriculum.config import Config
from curriculum.dopesheet import Dopesheet, decode, parse, write
from curriculum.ensemble import Ensemble
from curriculum.errors import ConfigError, DivergedError, InputError, Problem, RunError, SheetError, unknown
from curriculum.events import Action, Chunk, Diverged
from curriculum.hooks import EventLog, Hook, Hooks, Prober, Recorder, Snapshooter, Tape, load_hook
from curriculum.library import CONFIGS, SHEETS, find_file, read_bytes, read_text
from curriculum.plots import draw_run
from curriculum.runfolder import FIXED, Run, RunFolder, check_new, free_name
from curriculum.schedule import RATE, Schedule, compile_sheet, frame_steps
from curriculum.storage import digest
from curriculum.task import Task, make_task, settings_of
from curriculum.trainer import Arm, State, initial_state, train

Result_ = TypeVar("Result_")
SNAPSHOT_BYTES = 256 * 2**20  # of a run, unless its config says how often


@dataclass(frozen=True)
class Plan:
    """A run, checked in full: nothing in it can be refused once training has begun."""

    config: Config[Any]
    task: Task
    sheet: Dopesheet
    sheet_bytes: bytes
    schedule: Schedule
    hooks: tuple[Hook, ...]
    warnings: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.config.seeds


@dataclass(frozen=True)
class Result:
    """What a run ended with: its `status`, the final `parameters` by name `[S, ...]`, and where it is stored.

    `losses` are the last step's total and terms, `[S]` each; `run` is None where nothing was stored.
    """

    status: str
    seconds: float
    parameters: Mapping[str, Tensor]
    schedule: Schedule
    losses: Mapping[str, Tensor]
    run: Run | None
    diverged: Mapping[int, str] = field(default_factory=dict)


def load_config(reference: str | Path | Config[Any], overrides: Iterable[str] = ()) -> Config[Any]:
    """Read a config by its path or name, with overrides `a.b=value`."""
    if isinstance(reference, Config):
        if list(overrides):
            raise InputError("overrides go with a config's file; change a Config by its model_copy")
        return reference
    path = find_file(reference, CONFIGS)
    return configs.load(read_text(path), str(path), settings_of, plugins.names("tasks"), overrides)


def load_sheet(reference: str | Path | Dopesheet) -> tuple[Dopesheet, bytes]:
    """Read a sheet by its path or name; also give its bytes."""
    if isinstance(reference, Dopesheet):
        return reference, write(reference).encode()
    path = find_file(reference, SHEETS)
    data = read_bytes(path)
    return parse(decode(data, str(path)), str(path)), data


def plan(
    config: str | Path | Config[Any],
    dopesheet: str | Path | Dopesheet,
    *,
    overrides: Iterable[str] = (),
    hooks: Iterable[Hook] = (),
    seeds: str | int | Sequence[int] | None = None,
    steps: int | None = None,
) -> Plan:
    """Check everything that can be known before step 0.

    Raises `InputError` (`ConfigError`, `SheetError`) with all that was found.
    """
    loaded = load_config(config, overrides)
    if seeds is not None:
        loaded = with_seeds(loaded, seeds)
    sheet, data = load_sheet(dopesheet)
    own_hooks = tuple(_at_place(config, overrides, index, load_hook, setting) for index, setting in enumerate(loaded.hooks))
    all_hooks = (*hooks, *own_hooks)
    for hook in all_hooks:
        if not isinstance(hook, Hook):
            raise InputError(f"{hook!r} is no hook: decorate the function with @on(EVENT)")
    if loaded.device == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device cannot be cuda: PyTorch {torch.__version__} finds no such device here; leave it at cpu")
    task = make_task(loaded)
    problems = [*check_sheet(sheet, task, all_hooks), *task.check(sheet)]
    if problems:
        raise SheetError(problems)
    schedule = compile_sheet(sheet)
    for hook in hooks:
        _check_hook(hook, schedule)
    for index, hook in enumerate(own_hooks):
        _at_place(config, overrides, index, _check_hook, hook, schedule)
    warnings = []
    if steps is not None:
        if steps > len(schedule):
            warnings.append(f"the sheet has only {len(schedule):,} steps, not {steps:,}: all of them are trained")
        schedule = schedule.truncate(steps)
    return Plan(loaded, task, sheet, data, schedule, all_hooks, (*warnings, *_warnings(schedule, task)))


def with_seeds(config: Config[Any], seeds: str | int | Sequence[int]) -> Config[Any]:
    """Replace the seeds of a config: 3, "0:32" or a list."""
    value = list(seeds) if not isinstance(seeds, str | int) else seeds
    try:
        parsed = type(config).model_validate({**config.model_dump(by_alias=True), "seeds": value}, strict=False).seeds
    except ValueError as error:
        reason = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
        raise InputError(f"cannot read the seeds {value!r}: {reason.removeprefix('Value error, ')}") from None
    return config.model_copy(update={"seeds": parsed})


def check_sheet(sheet: Dopesheet, task: Task, hooks: Iterable[Hook] = ()) -> list[Problem]:
    """Find the columns and actions of a sheet that the task and the hooks do not know."""
    known = [RATE, *task.terms, *task.controls]
    problems = [sheet.problem(unknown("property", name, known), None, name) for name in sheet.properties if name not in known]
    if RATE not in sheet.properties:
        problems.append(sheet.problem(f"no column {RATE!r}: a sheet sets the learning rate"))
    elif not problems and not any(term in sheet.properties for term in task.terms):
        problems.append(sheet.problem(f"no loss term: add a column for one of {', '.join(task.terms)}"))
    for row in sheet.rows:
        if row.values.get(RATE, 0.0) < 0:
            problems.append(sheet.problem(f"{RATE}: a learning rate cannot be {row.values[RATE]:g}, below 0", row.line, RATE))
        for name in row.actions:
            answered = [*task.actions, *(hook.name for hook in hooks if hook.name)]
            if name not in answered:
                message = f"no hook answers an action of this sheet: {unknown('action', name, answered)}"
                problems.append(sheet.problem(message, row.line, "ACTION"))
    return problems


def _at_place(config: str | Path | Config[Any], overrides: Iterable[str], index: int, check: Callable[..., Result_], *args: Any) -> Result_:
    """Call a check of the config's hook number `index`; place what it finds at that hook in the config's file."""
    try:
        return check(*args)
    except InputError as error:
        if isinstance(config, Config):
            raise
        path = find_file(config, CONFIGS)
        raise ConfigError([configs.locate(read_text(path), str(path), overrides, ("hooks", index), str(error))]) from error


def _check_hook(hook: Hook, schedule: Schedule) -> None:
    names = tuple(dict.fromkeys(name for _, name in schedule.actions))
    if hook.on is Action and hook.name not in names:
        raise InputError(f"a hook waits for an action that the sheet never fires: {unknown('action', str(hook.name), names)}")


def _warnings(schedule: Schedule, task: Task) -> Iterable[str]:
    fired = {name for _, name in schedule.actions}
    for term, action in task.needs.items():
        if term in schedule.properties and schedule.column(term).any() and action not in fired:
            yield f"{term} has weight, but the action {action!r} never fires: the term stays out of the loss"


def execute(checked: Plan, path: Path | None, *, argv: Sequence[str] = (), watch: Iterable[Hook] = (), figures: bool = True) -> Result:
    """Train a plan; store it in a new run folder at `path`, or nowhere where that is None.

    `watch` are hooks that only look on. Raises `DivergedError` when no seed is left, after storing what
    there is.
    """
    return execute_all([checked], [path], argv=argv, watch=watch, figures=figures)[0]


def execute_all(
    plans: Sequence[Plan], paths: Sequence[Path | None], *, argv: Sequence[str] = (), watch: Iterable[Hook] = (), figures: bool = True
) -> list[Result]:
    """Train several plans as one stack; each is stored as `execute` stores one.

    The plans have the same task, optimizer, threads and number of steps. `watch` are told of the first plan's
    events.
    """
    began = time.perf_counter()
    first = plans[0]
    state = initial_state(first.task, [(checked.schedule, checked.seeds) for checked in plans], first.config.device)
    for path in paths:
        if path is not None:
            check_new(path)
    background = Background()
    sessions: list[_Session] = []
    try:
        for checked, path, arm in zip(plans, paths, state.arms, strict=True):
            sessions.append(_Session(checked, path, argv, state, arm, watch if checked is first else (), background))
        with _threads(first.config.threads):
            state = train(first.task, state, first.config.optimizer, [session.emit for session in sessions])
        seconds = time.perf_counter() - began
        for session in sessions:
            session.flush()
        background.wait()
        with ThreadPoolExecutor(len(sessions)) as pool:
            results = list(pool.map(_Session.close, sessions, [state] * len(sessions), state.arms, [seconds] * len(sessions)))
    except BaseException as error:
        # Training changes the state's tensors in place, so they hold the last good weights.
        for session, arm in zip(sessions, state.arms, strict=False):
            session.abandon(_status_after(error), state, arm, time.perf_counter() - began, error)
        raise
    finally:
        background.close()
    for result in results:
        if result.run and figures:
            draw_run(result.run)
    return results


_WHY = {"interrupted": "stopped from outside"}


def _status_after(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def run(
    config: str | Path | Config[Any],
    dopesheet: str | Path | Dopesheet,
    *,
    hooks: Iterable[Hook] = (),
    overrides: Iterable[str] = (),
    seeds: str | int | Sequence[int] | None = None,
    steps: int | None = None,
    name: str | None = None,
    folder: str | Path | None = None,
) -> Result:
    """Train one schedule.

    `config` and `dopesheet` are paths, names of shipped files, or objects. With `folder` the run is stored
    there, under `name` or one made from the sheet's; without it nothing is written. `steps` stops
    early.

    Raises `InputError` with everything that is wrong before step 0, `DivergedError` when no seed is left.
    """
    checked = plan(config, dopesheet, overrides=overrides, hooks=hooks, seeds=seeds, steps=steps)
    return execute(checked, None if folder is None else new_path(Path(folder), name, checked))


def new_path(folder: Path, name: str | None, checked: Plan) -> Path:
    """Give the path of a new run: by its name, or by the sheet's and a number."""
    return folder / (name if name is not None else free_name(folder, Path(checked.sheet.source).stem))


class _Session:
    """One arm while it trains: its hooks, what is kept for its result, and everything that goes to its folder."""

    def __init__(
        self, checked: Plan, path: Path | None, argv: Sequence[str], state: State, arm: Arm, watch: Iterable[Hook], background: Background
    ):
        self.task = checked.task
        self.rows = arm.rows
        self.background = background
        self.layout = state.layout
        self.last: dict[str, Tensor] = {}
        self.diverged: dict[int, str] = {}
        self.trained = 0
        self.finished = False
        self.folder: RunFolder | None = None
        self.tapes: list[Tape] = []
        hooks = [Hook(Chunk, self._keep_last), Hook(Diverged, self._note), *watch, *checked.hooks]
        if path is not None:
            config_text = configs.write(checked.config)
            self.folder = RunFolder.create(path, _manifest(checked, argv, state, config_text), config_text, checked.sheet_bytes)
            log = EventLog(self.folder, checked.task)
            for message in checked.warnings:
                log.warn(message)
            self.tapes = [
                Recorder(_possible_terms(checked), self.folder.append_metrics, background),
                Snapshooter(
                    state.layout, len(arm.seeds), snapshot_steps(checked, state.layout.size), self.folder.append_snapshots, background
                ),
                Prober(
                    checked.task,
                    state.layout,
                    len(arm.seeds),
                    len(checked.schedule),
                    self.folder.append_traces,
                    background,
                    checked.config.device,
                ),
            ]
            hooks = [*(hook for tape in self.tapes for hook in tape.hooks()), *log.hooks(), *hooks]
        self.emit = Hooks(hooks)

    def close(self, state: State, arm: Arm, seconds: float) -> Result:
        """Store what waits, say how the run ended, and make its result."""
        status = "finished" if bool(state.alive[self.rows].any()) else "diverged"
        parameters = {name: value.clone().cpu() for name, value in state.parameters(arm).items()}
        self._finish(status, state, arm, seconds)
        run = Run(self.folder.path) if self.folder else None
        return Result(status, seconds, parameters, arm.schedule, self.last, run, self.diverged)

    def abandon(self, status: str, state: State, arm: Arm, seconds: float, error: BaseException) -> None:
        """Store what there is of a run that did not finish; where not even that fits, only why."""
        if self.finished:
            return
        why = str(error) or _WHY.get(status, type(error).__name__)
        # First why, as long as there is room: then what there is, which a full disk may not take.
        if self.folder:
            with suppress(RunError):
                self.folder.update(status=status, error=why, trained=self.trained)
        # Whatever goes wrong here, the first error is the one to tell of; most likely it has the same cause.
        with suppress(Exception):
            self.flush()
            self.background.wait()
            self._finish(status, state, arm, seconds, error=why)

    def flush(self) -> None:
        """Hand on everything that waits to be stored."""
        for tape in self.tapes:
            tape.flush()

    def _finish(self, status: str, state: State, arm: Arm, seconds: float, **more: Any) -> None:
        if self.folder is None:
            return
        parameters = self.layout.views(state.flat[self.rows].cpu())
        self.folder.write_model({name: value.numpy() for name, value in parameters.items()})
        references = {f"reference.{name}": value for name, value in arm.references.items()}
        fixed = {f"{FIXED}{name}": value for name, value in self.task.fixed().items()}
        shown = {**Ensemble(self.task).exhibit(parameters), **references, **fixed}
        self.folder.write_exhibits({name: value.cpu().numpy() for name, value in shown.items()})
        timings = {"train_s": round(seconds, 3), "steps_per_s": round(self.trained / seconds, 1)}
        lost = {str(seed): why for seed, why in self.diverged.items()}
        self.folder.finish(status, trained=self.trained, timings=timings, ended=_now(), diverged=lost, **more)
        self.finished = True

    def _keep_last(self, event: Chunk) -> None:
        alive = int(event.total.isfinite().any(1).sum())
        if not alive:
            return
        self.trained = event.first + alive
        self.last.clear()
        self.last["total"] = event.total[-1].clone()
        self.last |= {name: values[-1].clone() for name, values in event.terms.items()}

    def _note(self, event: Diverged) -> None:
        self.diverged[event.seed] = f"{event.term} at step {event.step}, phase {event.phase.name!r}"


def snapshot_steps(checked: Plan, size: int) -> list[int]:
    """Choose the steps that a run stores snapshots of.

    As its config says; else every step of one seed, and of more seeds those that its video shows. Of a larger model, whose
    parameters are `size`, as many of these as fit into `SNAPSHOT_BYTES`, evenly apart.
    """
    steps, every = len(checked.schedule), checked.config.record.snapshot_every
    if every is not None:
        return list(range(0, steps, every))
    wanted = list(range(steps)) if len(checked.seeds) == 1 else frame_steps(steps)
    most = max(2, SNAPSHOT_BYTES // (len(checked.seeds) * size * 4))
    if len(wanted) <= most:
        return wanted
    return [wanted[round(place)] for place in np.linspace(0, len(wanted) - 1, most)]


def _possible_terms(checked: Plan) -> list[str]:
    properties = checked.schedule.properties
    return [term for term in checked.task.terms if term in properties]


def made_from(checked: Plan) -> dict[str, Any]:
    """Say what a run is made from: runs with the same are the same run."""
    return {
        "sheet": digest(checked.sheet_bytes),
        "training": digest(checked.config.model_dump_json(include={"task", "optimizer"}).encode()),
        "recipe": digest(checked.config.model_dump_json(exclude={"seeds"}).encode()),
        "task": {"name": checked.config.task.name, "version": checked.task.version},
        "seeds": list(checked.seeds),
        "steps": len(checked.schedule),
    }


def _manifest(checked: Plan, argv: Sequence[str], state: State, config_text: str) -> dict[str, Any]:
    task = checked.task
    probes = {probe.name: digest(probe.inputs.contiguous().numpy().tobytes()) for probe in task.probes()}
    return {
        "created": _now(),
        "argv": list(argv),
        "task": {"name": checked.config.task.name, "version": task.version},
        "sheet": Path(checked.sheet.source).name,
        "seeds": list(checked.seeds),
        "steps": len(checked.schedule),
        "sheet_steps": checked.sheet.last_step + 1,
        "parameters": {name: list(shape) for name, shape in state.layout.shapes.items()},
        "probes": [{"name": probe.name, "title": probe.title, "uses": sorted(probe.uses)} for probe in task.probes()],
        "look": {
            "measures": list(task.measures),
            "hypotheses": dict(task.hypotheses),
            "plots": list(task.plots),
            "error_unit": task.error_unit,
            "circle": task.picture().circle,
        },
        "hashes": {
            "sheet": made_from(checked)["sheet"],
            "config": digest(config_text.encode()),
            "training": made_from(checked)["training"],
            "recipe": made_from(checked)["recipe"],
            "probes": probes,
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("curriculum", "torch", "numpy")}},
        "git": _git_commit(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "device": checked.config.device,
        "threads": checked.config.threads,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _git_commit() -> str | None:
    """Ask git for the commit that the working folder is at, with + for uncommitted changes."""
    with suppress(OSError, subprocess.SubprocessError):
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
        return found.stdout.strip() or None
    return None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
