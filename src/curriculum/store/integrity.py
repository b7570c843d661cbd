"""Check that what a checkpoint says is stored of a run is there, and is what was stored."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from curriculum.errors import RunError
from curriculum.store.checkpoint import CheckpointRecord
from curriculum.store.files import digest, digest_file, read_limited, reason
from curriculum.store.names import EVENTS, IN_PARTS, is_part


def check_parts(path: Path, record: CheckpointRecord) -> None:
    """Check that what a checkpoint says is stored of the run at `path` is there, and is what was stored.

    Raises `RunError` with the first file that is not.
    """
    for name, files in record.parts.items():
        for file, expected in files.items():
            part = path / file
            if name not in IN_PARTS or not (is_part(file, name) or file == name):
                raise RunError(f"the run {path} is damaged: a checkpoint of it names {file!r}, which is not a part of a run")
            try:
                if part.is_symlink():
                    raise ValueError("it is a link")
                if digest_file(part) != expected:
                    raise ValueError("its hash differs from the stored one")
            except FileNotFoundError:
                raise RunError(f"the run {path} is damaged: {part}: it is missing") from None
            except (OSError, ValueError) as error:
                raise RunError(f"the run {path} is damaged: {part}: {reason(error)}") from None


def check_stored_until(path: Path, record: CheckpointRecord) -> None:
    """Check all that a checkpoint says is stored of the run at `path`: its parts and its events. Raises `RunError`."""
    check_parts(path, record)
    events_until(path, record)


def events_until(path: Path, record: CheckpointRecord) -> tuple[dict[str, Any], ...]:
    """Read the events of the run at `path` that came before a checkpoint. Raises `RunError` where they are damaged."""
    try:
        data = read_limited(path / EVENTS)[: record.events.size]
        if digest(data) != record.events.hash:
            raise ValueError("its hash differs from the stored one")
        return read_events(data)
    except (OSError, ValueError) as error:
        raise RunError(f"the run {path} is damaged: {path / EVENTS}: {reason(error)}") from None


def read_log(path: Path, record: CheckpointRecord | None, ended: bool) -> tuple[dict[str, Any], ...]:
    """Read a log of events: of a run that has not ended in order, those before its newest checkpoint, where it has one.

    Raises `RunError` or `ValueError` where they are damaged.
    """
    if record:
        return events_until(path.parent, record)
    data = read_limited(path)
    # Of a run that has not ended in order the last line may be half written.
    return read_events(data if ended else data[: data.rfind(b"\n") + 1])


def read_events(data: bytes) -> tuple[dict[str, Any], ...]:
    """Read the lines of a log of events. Raises `ValueError` for one that is none.

    An event is an object with its kind and its step, and a retarget has the name, value and duration that it was made with.
    """
    events: list[dict[str, Any]] = []
    for line in io.BytesIO(data):
        try:
            event = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {len(events) + 1} cannot be read ({error})") from None
        if not (isinstance(event, dict) and isinstance(event.get("event"), str) and type(event.get("step")) is int):
            raise ValueError(f"line {len(events) + 1} is not an event with its step")
        if event["event"] == "retarget" and not (
            isinstance(event.get("name"), str) and all(isinstance(event.get(key), int | float) for key in ("value", "duration"))
        ):
            raise ValueError(f"line {len(events) + 1} is not a retarget with its name, value and duration")
        events.append(event)
    return tuple(events)
