"""Record what a training loop logs: parts that are stored while it trains, and the curves that they make at its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from curriculum.errors import CurriculumError, InputError, RunError
from curriculum.runner.stamps import close_segments, now
from curriculum.runner.track_folder import LOGGED, Block, Inputs
from curriculum.runner.track_values import Buffer, Series, check_name, series_of, table_of
from curriculum.store.checkpoint import CheckpointRecord
from curriculum.store.files import read_parquet
from curriculum.store.names import FIXED, METRICS, STEPS
from curriculum.store.writer import RunFolder

FLUSH_SECONDS = 30.0  # from one part of what was logged to the next, or
FLUSH_VALUES = 50_000  # values, whichever comes first
MOST_VALUES = 2_000_000  # that wait in memory while nothing can be written; then they are lost
LOOK_BYTES = 16 * 2**20  # of what was looked at, that wait in memory
Array = np.ndarray[Any, Any]


def say(text: str) -> None:
    """Print a line to stderr, at once."""
    with suppress(OSError, ValueError):
        print(f"curriculum: {text}", file=sys.stderr, flush=True)


class Recording:
    """Fills the block of a seed. A failure to store something does not stop training: it is said at once, and at the end."""

    def __init__(self, inputs: Inputs, block: Block, record: CheckpointRecord | None):
        self.inputs = inputs
        self.title = f"{block.path.parent.parent}, seed {inputs.seed}"
        self.folder: RunFolder = block.open(record)
        self.buffer = Buffer({})
        self.step = record.step - 1 if record else -1
        self.problem = ""
        self.lost = 0
        self._flushed = time.monotonic()
        self._began = self._flushed - (record.seconds if record else 0.0)
        self._events: list[dict[str, Any]] = []
        phases = [(phase.start, "phase-start", {"phase": phase.name}) for phase in inputs.schedule.phases]
        actions = [(at, "action", {"name": name}) for at, name in inputs.schedule.actions]
        self._upcoming = sorted([*phases, *actions], key=lambda event: event[0])[::-1]  # the next one last
        self._looks: dict[str, list[tuple[int, Array]]] = {}
        self._marks: dict[str, Array] = {}

    def advance(self, step: int) -> None:
        """Go to a later step; what was logged before is stored if it is time to."""
        if self.buffer.count >= FLUSH_VALUES or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()
        while self._upcoming and self._upcoming[-1][0] <= step:
            at, kind, more = self._upcoming.pop()
            if at > self.step:
                self.note(kind, at, **more)
        self.step = step

    def note(self, kind: str, step: int, **more: Any) -> None:
        """Note an event in the log."""
        self._events.append({"event": kind, "step": step, "time": round(time.time(), 3), **more})

    def look(self, name: str, latents: Array, marks: Mapping[str, Array]) -> None:
        """Take latents `[N, L]`. Raises `InputError` where they do not fit those before."""
        known = self._looks.get(check_name(name))
        if latents.ndim != 2 or (known and known[-1][1].shape != latents.shape):
            raise InputError(f"look: {name} must be latents [N, L] of the same inputs each time, not of shape {list(latents.shape)}")
        for key, own in marks.items():
            if own.shape[:1] != latents.shape[:1]:
                raise InputError(f"look: {key} has {len(own)} entries for the {len(latents)} points of {name}")
        if known is None:
            self._looks[name] = known = []
            self._safely(lambda: self._declare(name))
        if known and known[-1][0] == self.step:
            known.pop()
        known.append((self.step, latents))
        self._marks |= {f"{FIXED}{key}.{name}": own for key, own in marks.items()}
        if sum(array.nbytes for own in self._looks.values() for _, array in own) >= LOOK_BYTES:
            self._safely(self._flush_looks)

    def flush(self) -> None:
        """Store what was logged until now."""
        self._safely(self._flush)

    def keep(self, arrays: Mapping[str, Any]) -> None:
        """Store a checkpoint, from which training resumes after the present step."""
        self._safely(lambda: self._keep(arrays))

    def stop(self, status: str, error: BaseException) -> None:
        """Say that training ended before its time."""
        self.flush()
        segments = close_segments(self.folder.manifest.get("segments", []), self.step + 1, status, ended=now())
        with suppress(CurriculumError):
            self.folder.update(status=status, error=str(error) or type(error).__name__, segments=segments, ended=now())

    def finish(self) -> None:
        """Make curves of the declared metrics, and say that the block is over.

        Raises `RunError` if something could not be stored, `InputError` for a declared metric that was never logged.
        """
        self.flush()
        if self.problem or self.lost:
            why = self.problem or f"{self.lost:,} values were lost while nothing could be written"
            raise RunError(f"{self.title}: NOT RECORDED: {why}. The seed does not count as trained")
        folder, found = self.folder, self._series()
        curves: dict[str, Array] = {}
        for name, (steps, values) in found.items():
            if name in self.inputs.scores:
                curves |= {f"score.{name}.{LOGGED}": values[:, None], f"score.{name}.{LOGGED}.{STEPS}": steps}
        if curves:
            folder.append_traces(curves)
        folder.write_model({})
        folder.write_exhibits(self._marks)
        segments = close_segments(folder.manifest.get("segments", []), self.step + 1, "finished", ended=now())
        seconds = max(time.monotonic() - self._began, 1e-9)
        timings = {"train_s": round(seconds, 3), "steps_per_s": round((self.step + 1) / seconds, 1)}
        more = {"trained": self.step + 1, "diverged": self._diverged(found), "timings": timings, "segments": segments}
        folder.finish("finished", join=True, metrics=table_of(found, self.inputs.seed), ended=now(), **more)
        if missing := [name for name in self.inputs.scores if name not in found]:
            raise InputError(
                f"{self.title}: the metric {missing[0]!r} is declared, but was never logged (logged: {', '.join(found) or 'nothing'}). "
                f"To train this seed again, remove {folder.path}"
            )

    def _series(self) -> dict[str, Series]:
        """Read everything that was logged. A step of which two parts have something becomes one row."""
        tables = [read_parquet(self.folder.path / file) for file in self.folder.parts[METRICS]]
        return series_of(tables) if tables else {}

    def _diverged(self, found: Mapping[str, Series]) -> dict[str, str]:
        """Say whether the seed diverged: its loss, or a declared metric, ended as no finite number."""
        for name in dict.fromkeys(["loss", *self.inputs.scores]):
            if name in found and not np.isfinite(found[name][1][-1]):
                steps, values = found[name]
                finite = np.flatnonzero(np.isfinite(values))
                return {str(self.inputs.seed): f"{name} at step {int(steps[finite[-1] + 1 if len(finite) else 0]):,}"}
        return {}

    def _safely(self, call: Callable[[], None]) -> None:
        """Store something; say it where that fails, and where it works again."""
        try:
            call()
        except (RunError, OSError) as error:
            if str(error) != self.problem:
                say(f"ERROR: {self.title}: NOT RECORDED since step {max(self.step, 0):,}: {error}. Training goes on")
            self.problem = str(error)
            self._flushed = time.monotonic()
            if self.buffer.count > MOST_VALUES:
                self.lost += self.buffer.count
                self.buffer.clear()
        else:
            if self.problem:
                say(f"{self.title}: recording works again at step {max(self.step, 0):,}")
            self.problem = ""

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        while self._events:
            self.folder.append_event(self._events[0])
            self._events.pop(0)
        if found := self.buffer.read():
            self.folder.append_metrics(table_of(found, self.inputs.seed))
            self.buffer.clear()
        self._flush_looks()

    def _flush_looks(self) -> None:
        looks = {name: own for name, own in self._looks.items() if own}
        if looks:
            arrays = {f"look.{name}": np.stack([array for _, array in own])[:, None] for name, own in looks.items()}
            steps = {f"look.{name}.{STEPS}": np.array([step for step, _ in own], np.int64) for name, own in looks.items()}
            self.folder.append_traces({**arrays, **steps})
            for own in looks.values():
                own.clear()

    def _declare(self, name: str) -> None:
        probes = self.folder.manifest["probes"]
        if all(probe["name"] != name for probe in probes):
            self.folder.update(probes=[*probes, {"name": name, "title": name, "uses": ["look"]}])

    def _keep(self, arrays: Mapping[str, Any]) -> None:
        self._flush()
        record = {
            "step": self.step + 1,
            "chunk": None,
            "trained": self.step + 1,
            "seconds": round(time.monotonic() - self._began, 3),
            "events": self.folder.events_until_now(),
            "diverged": {},
        }
        self.folder.store_checkpoint(record, arrays)
