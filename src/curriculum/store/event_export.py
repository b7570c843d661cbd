"""Export a run as event files of TensorBoard, by its own writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.config.yaml import flat_settings
from curriculum.errors import InputError, RunError
from curriculum.store.names import MANIFEST
from curriculum.store.reader import Run
from curriculum.store.tables import curve_names, curve_of

if TYPE_CHECKING:
    import pyarrow as pa

LOSSES, SCHEDULE = "metrics", "schedule"  # the groups of tags; a curve is in that of its kind, such as `score`
FILE = "events.out.tfevents"  # how the names of the files begin that TensorBoard looks for
LISTED_APART = ("seeds", "record", "metrics", "hooks")  # settings that are no hyperparameters
Series = tuple[NDArray[Any], NDArray[Any]]  # steps [F] and values [F]


def check_tensorboard() -> None:
    """Raise `InputError` where TensorBoard cannot be imported."""
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise InputError(f"cannot write TensorBoard's event files ({error}); install it with: pip install tensorboard") from None


def export_events(run: Run, folder: Path, watch: Callable[[float], None] = lambda share: None) -> None:
    """Write the schedule of a run into `folder/schedule`, and the losses and curves of each seed into `folder/seed-N`.

    A missing value has no event. The steps have no times, so every event has the time at which the run was created. `watch` is told
    which share is done. Raises `RunError` for a damaged run, and `OSError` where the disk does not take it.
    """
    began, schedule, parts = _began(run), run.schedule, len(run.seeds) + 1
    columns = {f"{SCHEDULE}/{name}": (np.arange(len(schedule)), schedule.column(name)) for name in schedule.properties}
    _write(folder / SCHEDULE, began, columns)
    watch(1 / parts)
    settings, rows = _hyperparameters(run), run.metrics_table
    for place, seed in enumerate(run.seeds):
        series = _losses(rows, seed)
        for name in curve_names(run):
            steps, values, there = curve_of(run, name)
            kind, _, rest = name.partition(".")
            series[f"{kind}/{rest}"] = steps[there[:, place]], values[there[:, place], place]
        _write(folder / f"seed-{seed}", began, series, {**settings, "seed": seed})
        watch((place + 2) / parts)


def _began(run: Run) -> float:
    try:
        return datetime.fromisoformat(run.created).timestamp()
    except ValueError:
        raise RunError(f"the run {run.path} is damaged: {run.path / MANIFEST}: created: {run.created!r} is not a time") from None


def _losses(rows: pa.Table, seed: int) -> dict[str, Series]:
    """Read what was logged of one seed, by tag; a value that is missing is left out."""
    import pyarrow.compute as pc

    own = rows.filter(pc.equal(rows.column("seed"), seed))
    found = {}
    for name in own.column_names:
        if name not in ("step", "seed"):
            there = own.filter(pc.is_valid(own.column(name)))
            found[f"{LOSSES}/{name}"] = there.column("step").to_numpy(), there.column(name).to_numpy()
    return found


def _hyperparameters(run: Run) -> dict[str, Any]:
    """Give the sheet and the settings of a run, those that are one number, text or switch."""
    flat = flat_settings(run.config_text, str(run.config_path))
    kept = {name: value for name, value in flat.items() if name.partition(".")[0] not in LISTED_APART}
    return {"sheet": str(run.manifest["sheet"])} | {name: own for name, own in kept.items() if isinstance(own, bool | int | float | str)}


def _write(folder: Path, began: float, series: Mapping[str, Series], settings: Mapping[str, Any] | None = None) -> None:
    """Write one event file: an event for each step, with every value at it, and the hyperparameters first."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    points: dict[int, list[Any]] = {}
    for tag, (steps, values) in series.items():
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            points.setdefault(step, []).append(Summary.Value(tag=tag, simple_value=value))
    folder.mkdir()
    with (folder / f"{FILE}.{int(began)}").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
        if settings is not None:
            writer.write(Event(wall_time=began, summary=hparams_pb(settings, start_time_secs=began)).SerializeToString())
        for step in sorted(points):
            writer.write(Event(wall_time=began, step=step, summary=Summary(value=points[step])).SerializeToString())
