"""Track a training loop of a user's own: it reads the schedule step by step, and fills a run folder.

Nothing here imports PyTorch, unless a checkpoint holds tensors.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from curriculum.errors import InputError
from curriculum.play.playhead import Now, Playhead
from curriculum.runner.track_folder import Block, Inputs, open_block, read_inputs
from curriculum.runner.track_recording import Recording, say
from curriculum.runner.track_state import decode, encode, random_states, set_random_states
from curriculum.runner.track_values import declared, take
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.schedule import Schedule
from curriculum.store.checkpoint import Checkpoint
from curriculum.store.joining import join

RUN, SHEET, SEED, METRICS_OF = "CURRICULUM_RUN", "CURRICULUM_SHEET", "CURRICULUM_SEED", "CURRICULUM_METRICS"


def track(
    run: str | Path | None = None,
    *,
    sheet: str | Path | Dopesheet | Schedule | None = None,
    seed: int | None = None,
    metrics: Mapping[str, object] | None = None,
    checkpoint_seconds: float = 60.0,
    checkpoint_every: int | None = None,
) -> TrackedRun:
    """Track a training loop of your own: open a block of one seed in the run folder `run`, as a context.

    `metrics` say which side of a logged metric is better, "higher" or "lower", or all of it as a `Score`: those are judged by
    `compare`. Others are stored and drawn. The environment variables CURRICULUM_RUN, CURRICULUM_SHEET and CURRICULUM_SEED take
    precedence over the arguments, so that an experiment can start the script: seed your generators with the `seed` of what this
    returns. Checkpoints are `due` every `checkpoint_seconds` seconds or `checkpoint_every` steps.

    Raises `InputError` for a missing argument, a sheet that cannot be read, and a run that was created with another sheet or other
    metrics; `InUseError` if another process trains this seed; `RunError` if nothing can be written.
    """
    path, source = os.environ.get(RUN) or run, os.environ.get(SHEET) or sheet
    text = os.environ.get(SEED)
    for value, name, variable in ((path, "run", RUN), (source, "sheet", SHEET)):
        if value is None:
            raise InputError(f"track: no {name} is given: pass {name}=..., or set {variable}")
    if text is not None and not text.isdecimal():
        raise InputError(f"cannot read {SEED}={text!r}: a seed is a whole number from 0 on")
    own = int(text) if text is not None else 0 if seed is None else seed
    if not isinstance(metrics, Mapping | None):
        raise InputError(f"metrics must be a mapping such as {{'accuracy': 'higher'}}, not {type(metrics).__name__}")
    given = {**(metrics or {}), **json.loads(os.environ.get(METRICS_OF, "{}"))}
    assert path is not None
    assert source is not None
    inputs = read_inputs(source, own, declared(given))
    return TrackedRun(Path(path), inputs, open_block(Path(path), inputs), checkpoint_seconds, checkpoint_every)


class TrackedRun:
    """A training loop that is tracked: the schedule to read, and the block of its seed to fill.

    `seed` is the seed to train with, `step` the present step, -1 before the first. `done` says that this seed was trained before:
    then there are no steps left.
    """

    def __init__(self, path: Path, inputs: Inputs, block: Block, checkpoint_seconds: float, checkpoint_every: int | None):
        self.path = path
        self.seed = inputs.seed
        self.schedule: Schedule = inputs.schedule
        self._playhead = Playhead(inputs.schedule)
        self.done = block.done
        self.step = -1
        self._inputs, self._block = inputs, block
        self._recording: Recording | None = None
        self._checkpoint: Checkpoint | None = None
        self._objects: dict[str, Any] = {}
        self._random: Mapping[str, Any] | None = None
        self._seconds, self._every = checkpoint_seconds, checkpoint_every
        self._kept, self._kept_step = time.monotonic(), 0
        self._entered = self._stepped = self._over = False
        if self.done:
            say(f"{path}: seed {self.seed} has been trained already: nothing to do (remove {block.path} to train it again)")

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def resume(self, *objects: Any, **named: Any) -> int:
        """Load the newest checkpoint into a model, an optimizer, and anything else with `load_state_dict`; give the first step to train.

        Call it before `steps`, with what `checkpoint` is called with. Without a checkpoint, nothing happens, and the first step is 0.
        The states of the random generators of Python, NumPy and PyTorch are restored when the first step begins.
        """
        if self._recording is not None:
            raise InputError("resume must be called before the first step")
        self._objects = _named(objects, named)
        if (found := self._block.checkpoint()) is None:
            return 0
        states = decode(found.arrays)
        self._random = states.pop("random")
        position = states.pop("playhead")
        if set(states) != set(self._objects):
            raise InputError(
                f"cannot resume {self._block.path}: its checkpoint has {_list(states)}, but resume was called with {_list(self._objects)}"
            )
        self._playhead.load_state_dict(position)
        for name, target in self._objects.items():
            target.load_state_dict(states[name])
        self._checkpoint = found
        say(f"{self.path}: seed {self.seed} resumes from step {found.step:,} of {len(self.schedule):,}")
        return found.step

    def steps(self) -> Iterator[tuple[int, Now]]:
        """Go through the steps that are left, each with what the schedule says there: `now["lr"]`, `now.phase`, `now.actions`."""
        first = self._checkpoint.step if self._checkpoint else 0
        for step in range(first, 0 if self.done else len(self.schedule)):
            yield step, self.at(step)
            self._playhead.commit()

    def at(self, step: int) -> Now:
        """Go to a step, and give what the schedule says there. For loops that are not yours; in your own, use `steps`.

        Raises `InputError` for a step before the present one or past the end of the sheet, outside the `with` block, and after the end
        of the run.
        """
        recording = self._recording or self._begin()
        if step < self.step:
            raise InputError(f"step {step} comes after step {self.step}: steps cannot go backwards")
        if step > self.schedule.last_step:
            raise InputError(
                f"step {step:,} is past the end of the sheet {self._inputs.sheet}, whose last step is {self.schedule.last_step:,}: "
                "train fewer steps, or add a row to the sheet"
            )
        if step > self.step:
            recording.advance(step)
            self.step = step
            self._stepped = True
        return self._playhead.seek(step)

    def retarget(self, name: str, value: float, duration: int) -> None:
        """Move a column of the sheet from the present step on to another value, within so many steps and without a jump.

        Raises `InputError` for a column that the sheet does not have, and what else `Playhead.retarget` does.
        """
        if (recording := self._open("retarget")) is not None:
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise InputError(f"cannot retarget {name!r}: the value must be a finite number, not {value!r}")
            self._playhead.retarget(name, value, duration)
            recording.note("retarget", self.step, name=name, value=float(value), duration=int(duration))

    def log(self, *metrics: Mapping[str, Any], **named: Any) -> None:
        """Record metrics of the present step, as `log(loss=loss)` or `log({"val/accuracy": 0.9})`, whenever there are any.

        A tensor is not waited for. Of several values of one metric at a step, the last one counts. NaN is recorded. Raises
        `InputError` for what is not a number, before the first step, and after the end of the run.
        """
        if (recording := self._open("log")) is None:
            return
        for given in (*metrics, named):
            for name, value in given.items():
                recording.buffer.add(self.step, name, value if type(value) is float else take(name, value))

    def look(self, *, labels: Any = None, colors: Any = None, **latents: Any) -> None:
        """Record what a video shows: latents `[N, L]` of some fixed inputs by name, such as `look(hidden=latents)`.

        `labels` `[N]` are whole numbers by which points are colored, or `colors` `[N, 3]` say it themselves. Raises `InputError` for
        anything of another shape.
        """
        if (recording := self._open("look")) is None:
            return
        if not latents:
            raise InputError("look: nothing to record: pass latents by name, such as look(hidden=latents)")
        given = {"labels": (labels, np.int64), "colors": (colors, np.float32)}
        marks = {name: _array(own, kind) for name, (own, kind) in given.items() if own is not None}
        for name, value in latents.items():
            recording.look(name, _array(value, np.float32), marks)

    @property
    def playhead(self) -> Playhead:
        """The position in the schedule, for an adapter: `ScheduleCallback(run.playhead)`. To retarget, call `retarget` of this run."""
        return self._playhead

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if self._recording is None:
            return False
        steps = self._every is not None and self.step + 1 - self._kept_step >= self._every
        return steps or time.monotonic() - self._kept >= self._seconds

    def checkpoint(self, *objects: Any, **named: Any) -> None:
        """Store the states of a model, an optimizer, and anything else with `state_dict`, from which this seed resumes after this step.

        Call it last in the body of the loop. Without arguments, what `resume` was called with is stored. Also stored: where in the
        schedule training is, and the states of the random generators. Raises `InputError` for a state that is not plain data.
        """
        if (recording := self._open("checkpoint")) is None:
            return
        own = _named(objects, named) or self._objects
        if not own:
            raise InputError("checkpoint: nothing to store: pass the model and the optimizer")
        self._playhead.commit()  # what was passed when this step began is over once it is stored
        states = {name: target.state_dict() for name, target in own.items()}
        recording.keep(encode({**states, "playhead": self._playhead.state_dict(), "random": random_states()}))
        self._kept, self._kept_step = time.monotonic(), self.step + 1

    def flush(self) -> None:
        """Store what was logged until now."""
        if self._recording is not None:
            self._recording.flush()

    def _open(self, what: str) -> Recording | None:
        """Give what records; None for a seed that was trained before."""
        if self._at_its_end:
            self._begin()
        if self._recording is not None and not self._over and self.step >= 0:
            return self._recording
        if self._over:
            raise InputError(f"{what} was called after the end of the run {self.path}: nothing is recorded after its `with` block")
        if self.done:
            return None
        raise InputError(f"{what} was called before the first step: call it inside the loop over steps()")

    @property
    def _at_its_end(self) -> bool:
        """Whether a resumed seed had no steps left: it was killed between the checkpoint of its last step and its end."""
        return self._recording is None and self._checkpoint is not None and not self._over

    def _begin(self) -> Recording:
        if self._over:
            raise InputError(f"the run {self.path} is over")
        if not self._entered:
            raise InputError(f"the loop of the run {self.path} is outside its `with` block: write `with run:` around the loop")
        if self.done:
            raise InputError(f"{self.path}: seed {self.seed} has been trained already: it has no steps left")
        record = self._checkpoint.record if self._checkpoint else None
        if record is None and (unused := self._block.checkpoint()) is not None:
            say(
                f"{self.path}: seed {self.seed} starts again from step 0: its checkpoint of step {unused.step:,} is not used, because "
                "resume was not called before the first step"
            )
        self._recording = Recording(self._inputs, self._block, record)
        self.step = self._recording.step
        self._kept, self._kept_step = time.monotonic(), self.step + 1
        if self._random is not None:
            set_random_states(self._random)
        return self._recording

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._over:
            return
        try:
            if error is None and self._at_its_end:
                self._begin()
            self._over = True
            if error is not None and self._recording is not None:
                self._recording.stop("interrupted" if isinstance(error, KeyboardInterrupt | GeneratorExit) else "failed", error)
            elif self._recording is not None:
                if self._stepped and (unread := self._playhead.unread):
                    say(f"note: {self.path}, seed {self.seed}: nothing has read {', '.join(unread)} of the sheet")
                self._recording.finish()
            elif error is None and not self.done:
                raise InputError(f"the run {self.path} ended before its first step: loop over steps()")
        finally:
            self._block.release()
            self._recording = None
        if error is None:
            join(self.path)


def _named(objects: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    found = {**{str(place): own for place, own in enumerate(objects)}, **named}
    for name in found:
        if name in ("playhead", "random"):
            raise InputError(f"{name!r} is stored by itself: choose another name")
        if not hasattr(found[name], "state_dict") or not hasattr(found[name], "load_state_dict"):
            kind = type(found[name]).__name__
            raise InputError(f"an object of type {kind} cannot be stored in a checkpoint: it has no state_dict and load_state_dict")
    return found


def _list(names: Mapping[str, Any]) -> str:
    plain = [name for name in names if not name.isdecimal()]
    count = len(names) - len(plain)
    return ", ".join([*([f"{count} object(s)"] if count else []), *plain]) or "nothing"


def _array(value: Any, kind: Any) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        return np.array(value, dtype=kind)
    except (TypeError, ValueError):
        raise InputError(f"look: this is not an array of numbers: {type(value).__name__}") from None
