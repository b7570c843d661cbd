"""The run folder: `RunFolder` writes it, `Run` reads it. No other module knows its file names.

Everything is a plain file that opens without executing anything. A file appears under its name only
when it is whole: it is written beside and renamed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from curriculum.dopesheet import Dopesheet, decode, parse
from curriculum.errors import CurriculumError, InputError, OutputExistsError, RunError, nearest
from curriculum.manifest import LookManifest, Manifest, ProbeManifest
from curriculum.schedule import Schedule, compile_sheet
from curriculum.storage import (
    Arrays,
    digest,
    digest_file,
    join_safetensors,
    read_parquet,
    read_safetensors,
    to_parquet,
    to_safetensors,
    write_file,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA = 1

MANIFEST, CONFIG, SHEET = "run.json", "config.yaml", "dopesheet.csv"
METRICS, SNAPSHOTS, TRACES, MODEL = "metrics.parquet", "snapshots.safetensors", "traces.safetensors", "model.safetensors"
EVENTS, PHASE_ENDS, EXHIBITS, FIGURES = "events.jsonl", "phase-ends.safetensors", "exhibits.safetensors", "figures"
FINAL_SHARE = 0.05  # of a run's steps, the last ones, make its final error
FIXED = "fixed."  # before the name of an array that no model changes
STEPS = "steps"  # the name of the steps among a snapshot file's tensors

COMPARISONS, VIDEOS = "comparisons", "videos"  # beside the runs, so no run can have these names


def check_name(name: str) -> None:
    """Raise `InputError` for a name that cannot be a folder's everywhere."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"{name!r} cannot be a name: use up to 100 letters, digits, '.', '_' and '-', the first no '.' or '-'")
    if name in (COMPARISONS, VIDEOS):
        raise InputError(f"{name!r} cannot be a run's name: the {name} are kept in a folder of that name")


def free_name(folder: Path, stem: str, suffix: str = "") -> str:
    """Find a name that nothing in `folder` has yet: the stem, or the stem and a number."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:80] or "run"
    count = 1
    while os.path.lexists(folder / (stem if count == 1 else f"{stem}-{count}")) or (
        suffix and os.path.lexists(folder / f"{stem if count == 1 else f'{stem}-{count}'}{suffix}")
    ):
        count += 1
    return stem if count == 1 else f"{stem}-{count}"


def check_new(path: Path) -> None:
    """Raise an error where no new run can be at `path`."""
    check_name(path.name)
    if os.path.lexists(path):
        raise OutputExistsError(f"{path} exists already: choose another --name, or remove it first")


class RunFolder:
    """Writes one run. Parts of metrics and snapshots are joined when the run ends."""

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path = path
        self.manifest = manifest
        self._metric_parts = 0
        self._snapshot_parts = 0
        self._trace_parts = 0

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, Any], config: str, sheet: bytes) -> RunFolder:
        """Make the folder of a new run, whole at once.

        Raises `OutputExistsError` where something has that name already, `RunError` where it cannot be
        written.
        """
        check_new(path)
        full = {"schema": SCHEMA, "name": path.name, "status": "running", **manifest}
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            temporary.chmod(0o755)
            (temporary / CONFIG).write_text(config, encoding="utf-8")
            (temporary / SHEET).write_bytes(sheet)
            (temporary / EVENTS).touch()
            (temporary / FIGURES).mkdir()
            (temporary / MANIFEST).write_text(_to_json(full), encoding="utf-8")
            os.rename(temporary, path)
        except BaseException as error:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            if os.path.lexists(path):
                raise OutputExistsError(f"{path} exists already: choose another --name") from error
            raise RunError(f"cannot make the run folder {path}: {error.strerror or error}") from error
        return cls(path, full)

    def append_metrics(self, table: pa.Table) -> None:
        """Store rows of metrics: step, seed, total and every term."""
        self._metric_parts += 1
        write_file(self._part(METRICS, self._metric_parts), to_parquet(table))

    def append_snapshots(self, arrays: Arrays) -> None:
        """Store snapshots: parameters by name `[F, S, ...]`, and their `steps` `[F]`."""
        self._snapshot_parts += 1
        write_file(self._part(SNAPSHOTS, self._snapshot_parts), to_safetensors(arrays))

    def append_traces(self, arrays: Arrays) -> None:
        """Store curves of the probes, by name, each with its steps first."""
        self._trace_parts += 1
        write_file(self._part(TRACES, self._trace_parts), to_safetensors(arrays))

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Store one line of the log of events."""
        try:
            with (self.path / EVENTS).open("a", encoding="utf-8") as log:
                log.write(json.dumps(event) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self.path / EVENTS}: {error.strerror or error}") from error

    def write_phase_ends(self, arrays: Arrays) -> None:
        """Store what the model made of the validation data at the end of each phase."""
        write_file(self.path / PHASE_ENDS, to_safetensors(arrays))

    def write_model(self, arrays: Arrays) -> None:
        """Store the weights after the last update: parameters by name `[S, ...]`."""
        write_file(self.path / MODEL, to_safetensors(arrays))

    def write_exhibits(self, arrays: Arrays) -> None:
        """Store what measures and pictures need beside the curves: `[S, ...]` by name, and what is fixed as `fixed.NAME`."""
        write_file(self.path / EXHIBITS, to_safetensors(arrays))

    def figure(self, name: str) -> Path:
        """Give the path of a figure of this run."""
        return self.path / FIGURES / name

    def finish(self, status: str, **more: Any) -> None:
        """Join the parts, then say how the run ended; `more` is added to its manifest.

        Memory: the snapshots or the curves of the whole run, whichever is more, twice.
        """
        if self._metric_parts:
            import pyarrow as pa

            tables = [read_parquet(part) for part in self._parts(METRICS)]
            write_file(self.path / METRICS, to_parquet(pa.concat_tables(tables, promote_options="default")))
        for name in (SNAPSHOTS, TRACES):
            parts = self._parts(name)
            if len(parts) == 1:
                os.replace(parts[0], self.path / name)
            elif parts:
                write_file(self.path / name, to_safetensors(join_safetensors(parts)))
        stored = (METRICS, SNAPSHOTS, TRACES, MODEL, PHASE_ENDS, EXHIBITS, EVENTS)
        files = {name: digest_file(self.path / name) for name in stored if (self.path / name).is_file()}
        self.update(status=status, files=files, **more)
        for name in (METRICS, SNAPSHOTS, TRACES):
            for part in self._parts(name):
                part.unlink()

    def update(self, **more: Any) -> None:
        """Change the manifest."""
        self.manifest.update(more)
        write_file(self.path / MANIFEST, _to_json(self.manifest).encode())

    def _part(self, name: str, number: int) -> Path:
        stem, suffix = name.split(".")
        return self.path / f"{stem}-{number:06d}.{suffix}"

    def _parts(self, name: str) -> list[Path]:
        return _parts(self.path, name)


@dataclass(frozen=True)
class Snapshots:
    """Parameters by name `[F, S, ...]` before the update of each of `steps` `[F]`."""

    steps: NDArray[np.int64]
    parameters: dict[str, NDArray[np.float32]]

    def select(self, steps: Iterable[int], seed_index: int | slice = slice(None)) -> dict[str, NDArray[np.float32]]:
        """Read the parameters at some of the steps: `[G, S, ...]`, or `[G, ...]` for one seed.

        Raises `KeyError` for a step that has no snapshot.
        """
        wanted = np.asarray(list(steps), dtype=np.int64)
        rows = np.searchsorted(self.steps, wanted)
        if len(self.steps) == 0 or (self.steps[np.minimum(rows, len(self.steps) - 1)] != wanted).any():
            raise KeyError("there is no snapshot of some of these steps")
        return {name: value[rows][:, seed_index] for name, value in self.parameters.items()}


class Run:
    """A stored run, read-only. Each part is read and checked when it is first asked for."""

    def __init__(self, path: Path):
        """Open a run folder.

        Raises `InputError` where it is none, `RunError` where its manifest is damaged.
        """
        self.path = path
        if not (path / MANIFEST).is_file():
            if (path / SHEET).is_file() or (path / CONFIG).is_file():
                raise self._damaged(MANIFEST, "it is missing")
            raise InputError(f"{path} is not a run: it has no {MANIFEST}")
        plain = self._read(MANIFEST, lambda file: json.loads(file.read_text(encoding="utf-8")))
        if isinstance(plain, dict) and isinstance(plain.get("schema"), int) and plain["schema"] != SCHEMA:
            raise RunError(f"{path} has the schema version {plain['schema']}, this program reads {SCHEMA}")
        try:
            self._checked = Manifest.model_validate(plain)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise self._damaged(MANIFEST, f"{place}: {first['msg']}") from None
        self.manifest: dict[str, Any] = plain
        self._verified: set[str] = set()
        self.alias = ""  # another name for it, where it is shown beside a run of the same name

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.alias or self.path.name

    @property
    def status(self) -> str:
        return str(self.manifest["status"])

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
        if self._checked.trained is not None:
            return self._checked.trained
        if self.status == "running":
            return int(self.metrics["step"].max()) + 1 if _parts(self.path, METRICS) else 0
        return self._checked.steps

    @property
    def diverged(self) -> dict[int, str]:
        """The seeds that diverged, each with where."""
        return {int(seed): why for seed, why in self._checked.diverged.items()}

    @property
    def probes(self) -> tuple[ProbeManifest, ...]:
        """The probes that the run recorded."""
        return tuple(self._checked.probes)

    @property
    def look(self) -> LookManifest:
        """How the run is looked at: its measures, hypotheses and plots."""
        return self._checked.look

    @property
    def config_path(self) -> Path:
        return self.path / CONFIG

    @cached_property
    def config_text(self) -> str:
        text = self._read(CONFIG, lambda file: file.read_bytes())
        self._check_hash(CONFIG, "config", text)
        return str(text, "utf-8")

    @cached_property
    def sheet(self) -> Dopesheet:
        data = self._read(SHEET, lambda file: file.read_bytes())
        self._check_hash(SHEET, "sheet", data)
        return parse(decode(data, SHEET), str(self.path / SHEET))

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule as it was trained: cut where training stopped, and with every retarget of a hook."""
        schedule = compile_sheet(self.sheet).truncate(self._checked.steps)
        for event in self.events:
            if event.get("event") == "retarget":
                try:
                    schedule = schedule.retarget(event["name"], event["step"], event["value"], event["duration"])
                except (KeyError, TypeError, InputError) as error:
                    raise self._damaged(EVENTS, f"a retarget in it cannot be read ({error})") from None
        return schedule.truncate(max(1, self.trained_steps))

    @cached_property
    def events(self) -> tuple[dict[str, Any], ...]:
        """The log of events: phase starts and ends, actions, retargets, warnings."""
        text = self._read(EVENTS, lambda file: file.read_text(encoding="utf-8"))
        try:
            events = tuple(json.loads(line) for line in text.splitlines() if line)
        except json.JSONDecodeError as error:
            raise self._damaged(EVENTS, f"a line in it cannot be read ({error})") from None
        if not all(isinstance(event, dict) for event in events):
            raise self._damaged(EVENTS, "a line in it is no event")
        return events

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row for each step and seed: step, seed, total and every term (NaN where not computed)."""
        import pyarrow as pa

        tables = [self._read(file.name, read_parquet) for file in self._files(METRICS)]
        table = pa.concat_tables(tables, promote_options="default")
        if not {"step", "seed", "total"} <= set(table.column_names):
            raise self._damaged(METRICS, "it lacks the columns step, seed and total")
        if self.status == "finished" and table.num_rows != self.manifest["steps"] * len(self.seeds):
            raise self._damaged(METRICS, f"it has {table.num_rows} rows for {self.manifest['steps']} steps of {len(self.seeds)} seeds")
        return table.to_pandas()

    @property
    def terms(self) -> list[str]:
        """The loss terms that were computed at some step, in the task's order."""
        return [str(name) for name in self.metrics.columns if name not in ("step", "seed", "total")]

    def losses(self, seed_index: int = 0) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]:
        """Read the steps `[T]` of one seed, and `total` and every term at them `[T]`."""
        rows = self.metrics[self.metrics["seed"] == self.seeds[seed_index]].sort_values("step")
        values = {name: rows[name].to_numpy(dtype=np.float32) for name in ("total", *self.terms)}
        return rows["step"].to_numpy(dtype=np.int64), values

    @cached_property
    def snapshots(self) -> Snapshots:
        joined = self._read(SNAPSHOTS, lambda _: join_safetensors(self._files(SNAPSHOTS)))
        if STEPS not in joined:
            raise self._damaged(SNAPSHOTS, "it does not say of which steps it is")
        steps = joined.pop(STEPS)
        shapes = self.manifest.get("parameters", {})
        expected = {name: (len(steps), len(self.seeds), *shape) for name, shape in shapes.items()}
        if {name: value.shape for name, value in joined.items()} != expected:
            raise self._damaged(SNAPSHOTS, "its shapes are not those of this run's model")
        return Snapshots(steps, {name: joined[name] for name in shapes})

    @cached_property
    def traces(self) -> dict[str, NDArray[Any]]:
        """The curves of the probes: `loss.PROBE` `[F, S]` at `loss.PROBE.steps` `[F]`, and `latents.PROBE` `[G, S, N, L]`."""
        arrays: dict[str, NDArray[Any]] = self._read(TRACES, lambda _: join_safetensors(self._files(TRACES)))
        for name, array in arrays.items():
            steps = arrays.get(f"{name}.{STEPS}")
            if not name.endswith(f".{STEPS}") and (steps is None or array.shape[:2] != (len(steps), len(self.seeds))):
                raise self._damaged(TRACES, f"{name} does not fit this run's seeds and steps")
        return arrays

    @cached_property
    def model(self) -> dict[str, NDArray[np.float32]]:
        """The weights after the last update: parameters by name `[S, ...]`, in the model's order."""
        arrays = self._read(MODEL, read_safetensors)
        names = self.manifest.get("parameters", {})
        if set(names) != set(arrays):
            raise self._damaged(MODEL, "its parameters are not those of this run's model")
        return {name: arrays[name] for name in names}

    @cached_property
    def phase_ends(self) -> dict[str, NDArray[np.float32]]:
        """What the model made of the validation data at phase k: `k.colors`, `k.latents`, `k.outputs`, `k.inputs`.

        Empty for a run that ended before its first phase did.
        """
        if self.status != "finished" and not (self.path / PHASE_ENDS).is_file():
            return {}
        arrays: dict[str, NDArray[np.float32]] = self._read(PHASE_ENDS, read_safetensors)
        return arrays

    @cached_property
    def exhibits(self) -> dict[str, NDArray[Any]]:
        """What the task shows of the final models, `[S, ...]` by name.

        Beside it what actions captured as `reference.NAME` `[S, ...]`.
        """
        return {name: array for name, array in self._exhibits.items() if not name.startswith(FIXED)}

    @cached_property
    def fixed(self) -> dict[str, NDArray[Any]]:
        """What the task gives that no model changes, by name."""
        return {name.removeprefix(FIXED): array for name, array in self._exhibits.items() if name.startswith(FIXED)}

    @cached_property
    def _exhibits(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = self._read(EXHIBITS, read_safetensors)
        for name, array in arrays.items():
            if not name.startswith(FIXED) and array.shape[:1] != (len(self.seeds),):
                raise self._damaged(EXHIBITS, f"{name} does not fit this run's seeds")
        return arrays

    def figure(self, name: str) -> Path:
        """Give the path of a figure of this run."""
        return self.path / FIGURES / name

    def _files(self, name: str) -> list[Path]:
        whole = self.path / name
        files = [whole] if whole.is_file() else _parts(self.path, name)
        if not files:
            raise self._damaged(name, "it is missing") if self.status != "running" else RunError(f"{self.path} has no {name} yet")
        return files

    def _read(self, name: str, read: Any) -> Any:
        try:
            expected = self._checked.files.get(name) if name != MANIFEST else None
            if expected is not None and name not in self._verified:
                if digest_file(self.path / name) != expected:
                    raise self._damaged(name, "it is not the file that was stored (its hash differs)")
                self._verified.add(name)
            return read(self.path / name)
        except FileNotFoundError:
            raise self._damaged(name, "it is missing") from None
        except CurriculumError:
            raise
        except Exception as error:
            # Whatever a damaged file makes its library raise, the person hears which file it was.
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise self._damaged(name, reason) from None

    def _check_hash(self, name: str, key: str, data: bytes) -> None:
        if self.manifest["hashes"].get(key) != digest(data):
            raise self._damaged(name, "it is not the file that the run was trained with (its hash differs)")

    def _damaged(self, name: str, why: str) -> RunError:
        return RunError(f"the run {self.path} is damaged: {self.path / name}: {why}")


def runs_in(folder: Path) -> tuple[list[Run], list[CurriculumError]]:
    """Open the runs in a folder, the oldest first; also give what is wrong with those that cannot be read."""
    found: list[Run] = []
    damaged: list[CurriculumError] = []
    for path in _run_paths(folder):
        try:
            found.append(Run(path))
        except CurriculumError as error:
            damaged.append(error)
    return sorted(found, key=lambda run: (run.created, run.name)), damaged


def find_run(reference: str, folder: Path) -> Run:
    """Open a run by its path, its name in `folder`, or a unique beginning of its name.

    Raises `InputError` with the nearest name where there is none.
    """
    if not reference:
        raise InputError("an empty name is no run")
    for path in (folder / reference, Path(reference)):
        if is_run(path):
            return Run(path)
    names = [path.relative_to(folder).as_posix() for path in _run_paths(folder)]
    close = [name for name in names if name.startswith(reference)]
    if len(close) == 1:
        return Run(folder / close[0])
    if close:
        raise InputError(f"{reference!r} is the beginning of several runs: {', '.join(close)}")
    if Path(reference).is_dir() or (folder / reference).is_dir():
        raise InputError(f"{reference!r} is a folder, but no run: it has no {MANIFEST}")
    guess = nearest(reference, names)
    hint = f", did you mean {guess!r}?" if guess else ""
    listed = f"(in {folder}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''})" if names else f"({folder} has no runs yet)"
    raise InputError(f"there is no run {reference!r}{hint} {listed}")


def _run_paths(folder: Path) -> list[Path]:
    """List the runs in a folder, and in the folders in it that are experiments."""
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")] if folder.is_dir() else []
    found = []
    for path in inside:
        if is_run(path):
            found.append(path)
        elif path.name not in (COMPARISONS, VIDEOS):
            found += [own for own in sorted(path.iterdir()) if is_run(own) and not own.name.startswith(".")]
    return found


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run, damaged or not."""
    return (path / MANIFEST).is_file() or (path / SHEET).is_file()


def _parts(folder: Path, name: str) -> list[Path]:
    stem, suffix = name.split(".")
    return sorted(folder.glob(f"{stem}-[0-9]*.{suffix}"))


def _to_json(manifest: Mapping[str, Any]) -> str:
    """Write a manifest with a line for each key: to be read, and small enough to be replaced where a disk is nearly full."""
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in manifest.items()) + "\n}\n"
