"""One arm while it trains: its hooks, and what goes to its folder and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from curriculum.errors import CurriculumError, RunError
from curriculum.runner.background import Background
from curriculum.runner.own import measure_own
from curriculum.runner.plan import Plan
from curriculum.runner.prober import Prober
from curriculum.runner.recorded import possible_terms, snapshot_steps
from curriculum.runner.stamps import close_segments, now
from curriculum.runner.tapes import EventLog, Recorder, Snapshooter, Tape
from curriculum.sheet.schedule import Schedule
from curriculum.store.checkpoint import Checkpoint
from curriculum.store.manifest import SkippedManifest
from curriculum.store.names import FIXED, OVER
from curriculum.store.reader import Run
from curriculum.store.writer import RunFolder
from curriculum.train.ensemble import Ensemble
from curriculum.train.events import Action, Chunk, Diverged, Skipped
from curriculum.train.hooks import Hook, Hooks, supervised
from curriculum.train.state import Arm, State

WHY = {"interrupted": "interrupted"}

REFERENCE, LAST = "reference.", "last."  # before the names of a checkpoint's arrays


@dataclass(frozen=True)
class Result:
    """What a run ended with: its `status`, the final `parameters` by name `[S, ...]`, and where it is stored.

    `losses` are the last step's total and terms, `[S]` each; `run` is None where nothing was stored. `diverged` and `skipped` are the
    seeds that diverged, and those that skipped updates.
    """

    status: str
    seconds: float
    parameters: Mapping[str, Tensor]
    schedule: Schedule
    losses: Mapping[str, Tensor]
    run: Run | None
    diverged: Mapping[int, str] = field(default_factory=dict)
    skipped: Mapping[int, SkippedManifest] = field(default_factory=dict)


class Session:
    """One arm while it trains: its hooks, what is kept for its result, and everything that goes to its folder.

    `seconds` are those of training, of the earlier segments too.
    """

    def __init__(
        self,
        checked: Plan,
        folder: RunFolder | None,
        checkpoint: Checkpoint | None,
        state: State,
        arm: Arm,
        watch: Iterable[Hook],
        background: Background,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.task = checked.task
        self.own = checked.own
        self.faults: list[str] = []  # in measures of the user's own
        self.rows = arm.rows
        # Built here: a thread that builds a model would change PyTorch's global generator.
        self.ensemble = Ensemble(checked.task, checked.stacked)
        self.references = arm.references
        self.background = background
        self.layout = state.layout
        self.flat = state.flat[arm.rows]
        self.clock = clock
        self.last: dict[str, Tensor] = {}
        self.diverged: dict[int, str] = {}
        self.skipped: dict[int, SkippedManifest] = {}
        self.trained = 0
        self.finished = False
        self.folder = folder
        self.tapes: list[Tape] = []
        self._began = clock()
        if checkpoint is not None:
            self.trained = checkpoint.record.trained
            self.diverged = {int(seed): why for seed, why in checkpoint.record.diverged.items()}
            self.skipped = {int(seed): own for seed, own in checkpoint.record.skipped.items()}
            self.last = {name.removeprefix(LAST): torch.tensor(array) for name, array in checkpoint.arrays.items() if name.startswith(LAST)}
            self._began -= checkpoint.record.seconds
        hooks = [
            Hook(Skipped, self._note_skipped),  # before the chunk that counts it
            Hook(Chunk, self._keep_last),
            Hook(Action, self._captured),
            Hook(Diverged, self._note),
            *(supervised(hook, looks_on=True) for hook in watch),
            *map(supervised, checked.hooks),
        ]
        if folder is not None:
            log = EventLog(folder, checked.task, background)
            if checkpoint is None:
                for message in checked.warnings:
                    log.warn(message)
            steps = snapshot_steps(checked, state.layout.size)
            self.tapes = [
                Recorder(possible_terms(checked), folder.append_metrics, background),
                Snapshooter(state.layout, len(arm.seeds), steps, folder.append_snapshots, background),
                Prober(
                    checked.task,
                    state.layout,
                    len(arm.seeds),
                    len(checked.schedule),
                    folder.append_traces,
                    background,
                    checked.config.device,
                    checked.stacked,
                ),
            ]
            hooks = [*(hook for tape in self.tapes for hook in tape.hooks()), *log.hooks(), *hooks]
        self.emit = Hooks(hooks)

    @property
    def seconds(self) -> float:
        return self.clock() - self._began

    def keep(self, state: State, arm: Arm) -> None:
        """Hand on everything that waits to be stored, and a checkpoint."""
        if self.folder is None:
            return
        self.flush()
        record = {
            "step": state.step,
            "chunk": [state.stretch.start, state.stretch.stop] if state.stretch else None,
            "trained": self.trained,
            "seconds": round(self.seconds, 3),
            "events": self.folder.events_until_now(),
            "diverged": {str(seed): why for seed, why in self.diverged.items()},
            "skipped": self._skipped(),
        }
        rows = {"flat": state.flat, **state.moments, "alive": state.alive}
        arrays = {name: value[self.rows] for name, value in rows.items()}
        arrays |= {f"{REFERENCE}{name}": value for name, value in arm.references.items()}
        arrays |= {f"{LAST}{name}": value for name, value in self.last.items()}
        self.background.submit(self.folder.store_checkpoint, record, {name: value.cpu().numpy() for name, value in arrays.items()})

    def close(self, state: State, arm: Arm, seconds: float) -> Result:
        """Say how the run ended, and make its result."""
        status = "finished" if bool(state.alive[self.rows].any()) else "diverged"
        parameters = {name: value.clone().cpu() for name, value in state.parameters(arm).items()}
        self._finish(status)
        if self.faults:
            raise CurriculumError("; ".join(self.faults))
        run = Run(self.folder.path) if self.folder else None
        return Result(status, seconds, parameters, arm.schedule, self.last, run, self.diverged, self.skipped)

    def abandon(self, status: str, error: BaseException) -> None:
        """Store what there is of a run that did not finish; where not even that fits, only why."""
        if self.finished:
            return
        why = str(error) or WHY.get(status, type(error).__name__)
        # First why, as long as there is room: then what there is, which a full disk may not take.
        if self.folder:
            with suppress(RunError):
                self.folder.update(status=status, error=why, trained=self.trained)
        # Whatever goes wrong here, the first error is the one to tell of; most likely it has the same cause.
        with suppress(Exception):
            self.flush()
            self.background.wait()
            self._finish(status, error=why)

    def flush(self) -> None:
        """Hand on everything that waits to be stored."""
        for tape in self.tapes:
            tape.flush()

    def _finish(self, status: str, **more: Any) -> None:
        if self.folder is None:
            return
        parameters = self.layout.views(self.flat.cpu())
        self.folder.write_model({name: value.numpy() for name, value in parameters.items()})
        references = {f"reference.{name}": value for name, value in self.references.items()}
        fixed = {f"{FIXED}{name}": value for name, value in self.task.fixed().items()}
        shown = {**self.ensemble.exhibit(parameters), **references, **fixed}
        exhibits = {name: value.cpu().numpy() for name, value in shown.items()}
        self.folder.write_exhibits(exhibits)
        timings = {"train_s": round(self.seconds, 3), "steps_per_s": round(self.trained / self.seconds, 1)}
        lost = {str(seed): why for seed, why in self.diverged.items()}
        segments = close_segments(self.folder.manifest.get("segments", []), self.trained, status, ended=now())
        final = status in OVER
        more |= {"trained": self.trained, "timings": timings, "ended": now(), "diverged": lost, "segments": segments}
        more |= {"skipped": self._skipped()} if self.skipped else {}
        if self.own.measures and status == "finished":
            # They are computed from what is stored, so the run is first one that was stopped after its last step.
            self.folder.finish("interrupted", join=False, **more)
            values, self.faults = measure_own(Run(self.folder.path), self.own.measures)
            self.folder.write_exhibits({**exhibits, **values})
        self.folder.finish(status, join=final, **more)
        self.finished = True

    def _keep_last(self, event: Chunk) -> None:
        self.flat = event.flat
        for seed, count in zip(event.seeds, event.skipped.sum(0).tolist(), strict=True):
            if count:
                before = self.skipped[seed]
                self.skipped[seed] = before.model_copy(update={"updates": before.updates + count})
        alive = int((event.total.isfinite() | event.skipped).any(1).sum())
        if not alive:
            return
        self.trained = event.first + alive
        self.last.clear()
        self.last["total"] = event.total[-1].clone()
        self.last |= {name: values[-1].clone() for name, values in event.terms.items()}

    def _captured(self, event: Action) -> None:
        self.references = event.references

    def _note(self, event: Diverged) -> None:
        self.diverged[event.seed] = _place(event)

    def _note_skipped(self, event: Skipped) -> None:
        self.skipped[event.seed] = SkippedManifest(updates=0, first=_place(event))

    def _skipped(self) -> dict[str, Any]:
        return {str(seed): own.model_dump() for seed, own in self.skipped.items()}


def _place(event: Diverged | Skipped) -> str:
    return f"{event.term} at step {event.step}, phase {event.phase.name!r}"
