"""Read a stored run."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import CurriculumError, InputError, RunError
from curriculum.find_file import MOST_BYTES
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import Schedule, compile_sheet
from curriculum.store.blocks import block_paths, place_of
from curriculum.store.checkpoint import CheckpointRecord, newest_record
from curriculum.store.columns import values_of
from curriculum.store.files import (
    check_size,
    digest,
    digest_file,
    join_arrays,
    read_limited,
    read_parquet,
    read_safetensors,
    reason,
    rows_of,
    shapes_of,
)
from curriculum.store.integrity import read_log
from curriculum.store.lock import is_held
from curriculum.store.manifest import LookManifest, ProbeManifest, lost_seeds, read_manifest
from curriculum.store.names import (
    CONFIG,
    EVENTS,
    EXHIBITS,
    FIGURES,
    FIXED,
    IN_PARTS,
    MANIFEST,
    METRICS,
    MODEL,
    PHASE_ENDS,
    SHEET,
    SNAPSHOTS,
    STEPS,
    TRACES,
    is_part,
    parts_of,
)
from curriculum.store.shapes import Shapes, check_curves, check_exhibits, check_model, check_parts_alike, check_rows, check_snapshots
from curriculum.store.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import pyarrow as pa


class Run:
    """A stored run, read-only. Each part is read and checked when it is first asked for."""

    def __init__(self, path: Path):
        """Open a run folder.

        Raises `InputError` where it is none, `RunError` where its manifest is damaged.
        """
        self.path = path
        self.manifest, self._checked = read_manifest(path)
        self._verified: set[str] = set()
        self.computed: dict[Any, Any] = {}  # what measures and figures use again while it is open

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def status(self) -> str:
        return str(self.manifest["status"])

    @property
    def shown_status(self) -> str:
        """The status, with `killed` for a run that was never ended in order and that no process trains now."""
        held = self.status == "running" and (is_held(self.path) or any(is_held(path) for path in self.open_blocks))
        return "killed" if self.status == "running" and not held else self.status

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.manifest["seeds"])

    @property
    def created(self) -> str:
        return str(self.manifest.get("created", ""))

    @property
    def task_name(self) -> str:
        return self._checked.task.name

    @property
    def trained_steps(self) -> int:
        """How many steps were trained: fewer than planned where the run was stopped; so far, where it still goes on."""
        if not self._checked.files:
            return self.record.trained if self.record else 0
        return self._checked.steps if self._checked.trained is None else self._checked.trained

    @cached_property
    def record(self) -> CheckpointRecord | None:
        """Of a run that has not ended in order, its newest checkpoint: what is stored after that may be in pieces."""
        return None if self._checked.files else newest_record(self.path)

    @property
    def tracked(self) -> bool:
        """Whether a training loop of a user's own filled the run, by `track`."""
        return self._checked.tracked

    @cached_property
    def open_blocks(self) -> tuple[Path, ...]:
        """The blocks of seeds that are not joined yet: those that are being trained, that were stopped, and that wait to be joined."""
        joined = {block.name for block in self._checked.blocks or ()}
        return tuple(path for path in block_paths(self.path) if path.name not in joined)

    @property
    def diverged(self) -> dict[int, str]:
        """The seeds that diverged, each with where; those that skipped updates did if their last error is not finite."""
        lost = lost_seeds(self.manifest, self.seeds, self.traces) if self.manifest.get("skipped") else {}
        return lost | {int(seed): why for seed, why in self._checked.diverged.items()}

    @property
    def probes(self) -> tuple[ProbeManifest, ...]:
        """The probes that the run recorded."""
        return tuple(self._checked.probes)

    @property
    def has_latents(self) -> bool:
        """Whether the task has a latent space: one of the probes then records how its latents move."""
        return any("motion" in probe.uses for probe in self.probes)

    @property
    def look(self) -> LookManifest:
        """How the run is looked at: its measures, scores, hypotheses and plots."""
        return self._checked.look

    @property
    def config_path(self) -> Path:
        return self.path / CONFIG

    @cached_property
    def config_text(self) -> str:
        text = self._read(CONFIG, partial(read_limited, most=MOST_BYTES))
        self._check_hash(CONFIG, "config", text)
        return str(text, "utf-8")

    @cached_property
    def sheet_bytes(self) -> bytes:
        data: bytes = self._read(SHEET, partial(read_limited, most=MOST_BYTES))
        self._check_hash(SHEET, "sheet", data)
        return data

    @cached_property
    def sheet(self) -> Dopesheet:
        return parse(self.sheet_bytes, str(self.path / SHEET))

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule as it was trained: cut where training stopped, and with every retarget of a hook."""
        schedule = compile_sheet(self.sheet).truncate(self._checked.steps)
        for event in self.events:
            if event.get("event") == "retarget":
                try:
                    schedule = schedule.retarget(event["name"], event["step"], event["value"], event["duration"])
                except (TypeError, ArithmeticError, InputError) as error:
                    raise self._damaged(EVENTS, f"a retarget in it cannot be read ({error})") from None
        return schedule.truncate(max(1, self.trained_steps))

    @cached_property
    def events(self) -> tuple[dict[str, Any], ...]:
        """The log of events: phase starts and ends, actions, retargets, warnings."""
        return tuple(self._read(EVENTS, partial(read_log, record=self.record, ended=bool(self._checked.files))))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row for each step and seed: step, seed, total and every term (NaN where not computed)."""
        return self.metrics_table.to_pandas()

    @cached_property
    def metrics_table(self) -> pa.Table:
        """The rows of `metrics`: what was not computed is missing, what was not a number is NaN."""
        import pyarrow as pa

        files = self._files(METRICS)
        steps, seeds = self._checked.steps, len(self.seeds)
        rows = sum(self._read(name, rows_of) for name in files)
        if rows > steps * seeds or (self.status == "finished" and rows < steps * seeds and not self.tracked):
            raise self._damaged(METRICS, f"it has {rows:,} rows for {steps:,} steps of {seeds:,} seed(s)")
        tables = [self._read(name, read_parquet) for name in files]
        try:
            table = pa.concat_tables(tables, promote_options="default")
            check_rows(table)
        except (pa.ArrowException, ValueError) as error:
            raise self._damaged(METRICS, reason(error)) from None
        return table

    @property
    def terms(self) -> list[str]:
        """The loss terms that were computed at some step, in the task's order."""
        return [str(name) for name in self.metrics_table.column_names if name not in ("step", "seed", "total")]

    def losses(self, seed_index: int = 0) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]:
        """Read the steps `[T]` of one seed, and `total` and every term at them `[T]`."""
        columns = {name: values_of(self.metrics_table[name]) for name in ("step", "seed", "total", *self.terms)}
        rows = np.flatnonzero(columns.pop("seed") == self.seeds[seed_index])
        rows = rows[np.argsort(steps := columns.pop("step")[rows], kind="stable")]
        return np.sort(steps).astype(np.int64), {name: values[rows].astype(np.float32) for name, values in columns.items()}

    @property
    def records_snapshots(self) -> bool:
        """Whether the run stores snapshots: one of a task without a moving picture does not, unless its config says so."""
        return self._checked.snapshots

    @cached_property
    def snapshots(self) -> Snapshots:
        """The weights at some steps; none for a run that does not record them."""
        parameters, seeds, steps = self._checked.parameters, len(self.seeds), self._checked.steps
        if not self.records_snapshots:
            return Snapshots(np.empty(0, np.int64), {name: np.empty((0, seeds, *shape), np.float32) for name, shape in parameters.items()})
        joined = self._arrays(SNAPSHOTS, partial(check_snapshots, parameters=parameters, seeds=seeds, steps=steps))
        return Snapshots(joined[STEPS], {name: joined[name] for name in parameters})

    @cached_property
    def traces(self) -> dict[str, NDArray[Any]]:
        """The curves of the probes at `CURVE.steps`: `loss.PROBE`, `score.NAME.PROBE` `[F, S]`, and `latents.PROBE` `[G, S, N, L]`."""
        if self.tracked and not self._listed(TRACES):
            return {}
        return self._arrays(TRACES, partial(check_curves, seeds=len(self.seeds), steps=self._checked.steps))

    @cached_property
    def model(self) -> dict[str, NDArray[np.float32]]:
        """The weights after the last update: parameters by name `[S, ...]`, in the model's order."""
        parameters = self._checked.parameters
        arrays = self._at_the_end(MODEL, partial(check_model, parameters=parameters, seeds=len(self.seeds)))
        return {name: arrays[name] for name in parameters}

    @cached_property
    def phase_ends(self) -> dict[str, NDArray[np.float32]]:
        """What the model made of the validation data at phase k: `k.colors`, `k.latents`, `k.outputs`, `k.inputs`.

        Empty for a run that ended before its first phase did, and for a run without latents.
        """
        if not self._listed(PHASE_ENDS) and (self.status != "finished" or not self.has_latents):
            return {}
        return self._arrays(PHASE_ENDS)

    @cached_property
    def exhibits(self) -> dict[str, NDArray[Any]]:
        """What the task shows of the final models, and what actions captured as `reference.NAME`: `[S, ...]` by name."""
        return {name: array for name, array in self._exhibits.items() if not name.startswith(FIXED)}

    @cached_property
    def fixed(self) -> dict[str, NDArray[Any]]:
        """What the task gives that no model changes, by name."""
        return {name.removeprefix(FIXED): array for name, array in self._exhibits.items() if name.startswith(FIXED)}

    @cached_property
    def _exhibits(self) -> dict[str, NDArray[Any]]:
        return self._at_the_end(EXHIBITS, partial(check_exhibits, seeds=len(self.seeds)))

    def figure(self, name: str) -> Path:
        """Give the path of a figure of this run."""
        return self.path / FIGURES / name

    def _files(self, name: str) -> list[str]:
        """List the files that hold what `name` does: that file, or its parts in order."""
        if files := self._listed(name):
            return files
        raise self._damaged(name, "it is missing") if self.status == "finished" else RunError(f"{self.path} has no {name} yet")

    def _listed(self, name: str) -> list[str]:
        if self._checked.files:
            return [name] if name in self._checked.files else [file for file in self._checked.files if is_part(file, name)]
        if self.record:
            return [file for file in self.record.parts.get(name, {}) if is_part(file, name)]
        return [path.name for path in parts_of(self.path, name)]

    def check_file(self, name: str) -> None:
        """Check that a file whose hash is known is what was stored. Raises `RunError` where it is not."""
        self._read(name if name in (*IN_PARTS, MODEL, EXHIBITS, EVENTS) or any(is_part(name, own) for own in IN_PARTS) else MANIFEST, Path)

    def _at_the_end(self, name: str, check: Callable[[Shapes], None]) -> dict[str, NDArray[Any]]:
        """Read the arrays of a file that is stored when the run ends; `check` raises `ValueError` where its shapes do not fit."""
        if not self._checked.files:
            raise RunError(f"{self.path} has no {name} yet")
        self._check_shapes(name, check, self._read(name, shapes_of))
        arrays: dict[str, NDArray[Any]] = self._read(name, read_safetensors)
        return arrays

    def _hash_of(self, name: str) -> str | None:
        """Give the hash that a file was stored with, where it is known."""
        if self.record:
            return next((files[name] for files in self.record.parts.values() if name in files), None)
        return self._checked.files.get(name)

    def _arrays(self, name: str, *checks: Callable[[Sequence[Shapes]], None]) -> dict[str, NDArray[Any]]:
        """Read the parts of a file and join them along the first axis; one that comes later may have more names."""
        files = self._files(name)
        shapes = [self._read(file, shapes_of) for file in files]
        for check in (check_parts_alike, *checks):
            self._check_shapes(name, check, shapes)
        check_size(self.path / name, sum(self._read(file, lambda path: path.stat().st_size) for file in files))
        return join_arrays([self._read(file, read_safetensors) for file in files])

    def _check_shapes(self, name: str, check: Callable[[Any], None], shapes: Any) -> None:
        try:
            check(shapes)
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def _read(self, name: str, read: Any) -> Any:
        path = place_of(self.path, self.manifest, name)
        try:
            expected = self._hash_of(name)
            if expected is not None and name not in self._verified:
                if digest_file(path) != expected:
                    self._check_unchanged()
                    raise self._damaged(name, "its hash differs from the stored one")
                self._verified.add(name)
            return read(path)
        except FileNotFoundError:
            self._check_unchanged()
            raise self._damaged(name, "it is missing") from None
        except CurriculumError:
            raise
        except Exception as error:
            # Whatever a damaged file makes its library raise, the person hears which file it was.
            raise self._damaged(name, reason(error)) from None

    def _check_unchanged(self) -> None:
        """Raise `RunError` where the run was finished, or seeds were joined to it, since it was opened."""
        if Run(self.path).manifest.get("files") != self.manifest.get("files"):
            raise RunError(f"the run {self.path} changed while it was being read: try again")

    def _check_hash(self, name: str, key: str, data: bytes) -> None:
        if self.manifest["hashes"].get(key) != digest(data):
            self._check_unchanged()
            raise self._damaged(name, "its hash differs from that of the file that the run was trained with")

    def _damaged(self, name: str, why: str) -> RunError:
        return RunError(f"the run {self.path} is damaged: {self.path / name}: {why}")
