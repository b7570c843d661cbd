"""Writes a run folder. A file appears under its name only when it is whole: it is written beside and renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculum.errors import OutputExistsError, RunError
from curriculum.store.checkpoint import CheckpointRecord, drop_after, store
from curriculum.store.files import (
    Arrays,
    arrays_until,
    check_stored,
    digest,
    digest_file,
    join_safetensors,
    link_file,
    read_parquet,
    reason,
    sealed,
    sync,
    to_parquet,
    to_safetensors,
    write_file,
)
from curriculum.store.lock import Lock
from curriculum.store.names import (
    CONFIG,
    EVENTS,
    EXHIBITS,
    FIGURES,
    IN_PARTS,
    MANIFEST,
    METRICS,
    MODEL,
    PHASE_ENDS,
    SCHEMA,
    SHEET,
    SNAPSHOTS,
    TRACES,
    check_new,
    parts_of,
    plain,
)
from curriculum.store.place import claim
from curriculum.store.reader import Run

if TYPE_CHECKING:
    import pyarrow as pa


class RunFolder:
    """Writes one run, and holds its lock. What grows is stored in numbered parts, which are joined when the run is finished.

    `parts` are the files of each, in order, with their hashes.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], lock: Lock):
        self.path = path
        self.manifest = manifest
        self.parts: dict[str, dict[str, str]] = {name: {} for name in IN_PARTS}
        self._lock = lock
        self._events = 0
        self._events_hash = hashlib.sha256()

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, Any], config: str, sheet: bytes, numbered: bool = False) -> RunFolder:
        """Make the folder of a new run, whole at once; where it is `numbered`, at the first free of PATH, PATH-2 and so on.

        Raises `OutputExistsError` where something has that name already, `RunError` where it cannot be
        written.
        """
        if numbered:
            path = path.with_name(plain(path.name))
        else:
            check_new(path)
        full: dict[str, Any] = {}

        def take(free: Path) -> None:
            assert temporary is not None
            full.update({"schema": SCHEMA, "name": free.name, "status": "running", **manifest})
            (temporary / MANIFEST).write_text(to_json(full), encoding="utf-8")
            sync(temporary / MANIFEST)
            os.rename(temporary, free)

        temporary, lock = None, None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            lock = Lock(temporary)
            temporary.chmod(0o755)
            (temporary / CONFIG).write_text(config, encoding="utf-8")
            (temporary / SHEET).write_bytes(sheet)
            (temporary / EVENTS).touch()
            (temporary / FIGURES).mkdir()
            sync(temporary / CONFIG)
            sync(temporary / SHEET)
            if numbered:
                path = claim(path.parent, path.name, take)
            else:
                take(path)
        except BaseException as error:
            if lock is not None:
                lock.release()
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            if not numbered and os.path.lexists(path):
                raise OutputExistsError(f"{path} already exists: choose another --name") from error
            raise RunError(f"cannot make the run folder {path}: {error.strerror or error}") from error
        return cls(path, full, lock)

    @classmethod
    def reopen(cls, run: Run, lock: Lock, record: CheckpointRecord | None, **more: Any) -> RunFolder:
        """Open the folder of an unfinished run to go on from a checkpoint, or from step 0 where that is None.

        What was stored after it is dropped, and `more` is added to the manifest. The lock is the folder's.
        """
        folder = cls(run.path, dict(run.manifest), lock)
        if (run.path / FIGURES).is_symlink() or (run.path / EVENTS).is_symlink():
            raise RunError(f"the run {run.path} is damaged: a symbolic link in it points outside the folder")
        try:
            check_stored(run.path / EVENTS)
        except (OSError, ValueError) as error:
            raise RunError(f"the run {run.path} is damaged: {run.path / EVENTS}: {reason(error)}") from None
        for key in ("files", "error", "ended", "timings"):
            folder.manifest.pop(key, None)
        stored: dict[str, Any] = {"trained": record.trained, "diverged": record.diverged} if record else {"trained": 0, "diverged": {}}
        folder.manifest.pop("skipped", None)
        if record and record.skipped:
            stored["skipped"] = {seed: own.model_dump() for seed, own in record.skipped.items()}
        folder.update(status="running", **stored, **more)
        try:
            if record is not None:
                folder.parts |= {name: dict(files) for name, files in record.parts.items() if name in folder.parts}
                folder._events = record.events.size
            drop_after(run.path, record.step if record else -1)
            kept = {file for files in folder.parts.values() for file in files}
            made = [part for name in IN_PARTS for part in parts_of(run.path, name)]
            for path in [*made, *(run.path / name for name in (*IN_PARTS, MODEL, EXHIBITS)), *run.path.glob(".*.tmp")]:
                if path.name not in kept:
                    path.unlink(missing_ok=True)
            os.truncate(run.path / EVENTS, folder._events)
            folder._events_hash.update((run.path / EVENTS).read_bytes())
        except OSError as error:
            raise RunError(f"cannot resume the run {run.path}: {error.strerror or error}") from error
        return folder

    def release(self) -> None:
        """Let go of the folder: another process may go on with the run."""
        self._lock.release()

    def append_metrics(self, table: pa.Table) -> None:
        """Store rows of metrics: step, seed, total and every term."""
        self._append(METRICS, to_parquet(table))

    def append_snapshots(self, arrays: Arrays) -> None:
        """Store snapshots: parameters by name `[F, S, ...]`, and their `steps` `[F]`."""
        self._append(SNAPSHOTS, to_safetensors(arrays))

    def append_traces(self, arrays: Arrays) -> None:
        """Store curves of the probes, by name, each with its steps first."""
        self._append(TRACES, to_safetensors(arrays))

    def append_phase_end(self, arrays: Arrays) -> None:
        """Store what the model made of the validation data at the end of a phase."""
        self._append(PHASE_ENDS, to_safetensors(arrays))

    def _append(self, name: str, data: bytes) -> None:
        stem, suffix = name.split(".")
        path = self.path / f"{stem}-{len(self.parts[name]) + 1:06d}.{suffix}"
        write_file(path, data)
        self.parts[name][path.name] = digest(data)

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Store one line of the log of events."""
        line = (json.dumps(event) + "\n").encode()
        try:
            with (self.path / EVENTS).open("ab") as log:
                log.write(line)
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path / EVENTS, self._events)
            raise RunError(f"cannot write {self.path / EVENTS}: {error.strerror or error}") from error
        self._events += len(line)
        self._events_hash.update(line)

    def _sync_events(self) -> None:
        try:
            sync(self.path / EVENTS)
        except OSError as error:
            raise RunError(f"cannot write {self.path / EVENTS}: {error.strerror or error}") from error

    def events_until_now(self) -> dict[str, Any]:
        """Say how much of the log of events there is: its size in bytes, and their hash."""
        return {"size": self._events, "hash": self._events_hash.hexdigest()}

    def store_checkpoint(self, record: Mapping[str, Any], arrays: Arrays) -> None:
        """Store a checkpoint: its record but for the parts, which are those stored by now, and its arrays."""
        self._sync_events()  # the record has their hash
        store(self.path, {**record, "parts": {name: dict(files) for name, files in self.parts.items()}}, arrays)

    def write_model(self, arrays: Arrays) -> None:
        """Store the weights after the last update: parameters by name `[S, ...]`."""
        write_file(self.path / MODEL, to_safetensors(arrays))

    def write_exhibits(self, arrays: Arrays) -> None:
        """Store what measures and pictures need beside the curves: `[S, ...]` by name, and what is fixed as `fixed.NAME`."""
        write_file(self.path / EXHIBITS, to_safetensors(arrays))

    def figure(self, name: str) -> Path:
        """Give the path of a figure of this run."""
        return self.path / FIGURES / name

    def finish(self, status: str, join: bool, metrics: pa.Table | None = None, **more: Any) -> None:
        """Say how the run ended; `more` is added to its manifest. Parts are joined where nothing can come after them.

        Where `metrics` are given, they are stored instead of the parts of metrics.

        What a diverged run recorded of steps after the one at which its last seed diverged is left out: nothing was trained there.
        Memory: the snapshots or the curves of the whole run, whichever is more, twice.
        """
        if join:
            self._join(more.get("trained") if status == "diverged" else None, metrics)
        parts = [part for name in IN_PARTS for part in self.parts[name]]
        names = [*(IN_PARTS if join else parts), MODEL, EXHIBITS, EVENTS]
        files = {name: digest_file(self.path / name) for name in names if (self.path / name).is_file()}
        self._sync_events()  # the manifest has their hash; the other files were synced as they were written
        self.update(status=status, files=files, **more)
        if join:
            for path in [part for name in IN_PARTS for part in parts_of(self.path, name)]:
                path.unlink()

    def _join(self, last: int | None, metrics: pa.Table | None) -> None:
        """Make whole files of the parts, which stay: until the manifest says that the run is over they are what counts.

        Of arrays at steps, those after step `last` are left out, where it is given.
        """
        for name, files in self.parts.items():
            parts = [self.path / file for file in files]
            if name == METRICS and metrics is not None:
                write_file(self.path / name, to_parquet(metrics))
            elif not parts:
                continue
            elif name == METRICS:
                import pyarrow as pa

                tables = [read_parquet(part) for part in parts]
                # In one piece it is written the same however many parts there were.
                write_file(self.path / name, to_parquet(pa.concat_tables(tables, promote_options="default").combine_chunks()))
            elif last is not None:
                write_file(self.path / name, to_safetensors(arrays_until(join_safetensors(parts), last)))
            elif len(parts) == 1:
                link_file(parts[0], self.path / name)
            else:
                write_file(self.path / name, to_safetensors(join_safetensors(parts)))

    def update(self, **more: Any) -> None:
        """Change the manifest."""
        self.manifest.update(more)
        write_file(self.path / MANIFEST, to_json(self.manifest).encode())


def to_json(manifest: Mapping[str, Any]) -> str:
    """Seal a manifest and write it with a line for each key: to be read, and small enough to be replaced where a disk is nearly full."""
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sealed(manifest).items()) + "\n}\n"
