"""Where comparisons and videos are kept, beside the runs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from curriculum.errors import InputError, RunError
from curriculum.runfolder import COMPARISONS, VIDEOS, Run, free_name, runs_in
from curriculum.storage import read_document, write_file

if TYPE_CHECKING:
    from curriculum.compare import Comparison

DOCUMENT = "compare.json"


def newest_finished(folder: Path, count: int = 2) -> list[Run]:
    """Open the newest finished runs, the oldest of them first.

    Raises `InputError` where there are fewer.
    """
    finished = [run for run in runs_in(folder)[0] if run.status == "finished"]
    if len(finished) < count:
        raise InputError(f"{folder} has {len(finished)} finished run(s), {count} are needed: train some, or name runs")
    return finished[-count:]


def new_comparison(folder: Path, found: Comparison, draw: Callable[[Path], None]) -> Path:
    """Store a comparison in a folder of its own, whole at once; `draw` writes its figures. Return the folder."""
    parent = folder / COMPARISONS
    document = {"created": datetime.now(UTC).isoformat(timespec="milliseconds"), **found.to_json()}
    made = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = parent / free_name(parent, "-vs-".join(found.names))
        made = Path(tempfile.mkdtemp(prefix=".", dir=parent))
        made.chmod(0o755)
        draw(made)
        write_file(made / DOCUMENT, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
        os.rename(made, path)
    except BaseException as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        cause = error.__cause__ if isinstance(error, RunError) else error
        if isinstance(cause, OSError):
            reason = cause.strerror or cause
            raise RunError(f"cannot store the comparison in {parent}: {reason}") from error
        raise
    return path


def latest_comparison(folder: Path) -> list[Run] | None:
    """Open the runs of the latest comparison; None where there is none, or a run of it was removed.

    Raises `RunError` where one of them is damaged, `InputError` where one lies outside of the folder.
    """
    found: list[tuple[str, Sequence[str]]] = []
    for path in (folder / COMPARISONS).glob(f"*/{DOCUMENT}"):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            document = read_document(path)
            found.append((str(document["created"]), [str(run["path"]) for run in document["runs"]]))
    paths = [Path(path.replace("\0", "")) for path in max(found)[1]] if found else []
    if not paths or not all(path.is_dir() for path in paths):
        return None
    outside = [path for path in paths if not path.resolve().is_relative_to(folder.resolve())]
    if outside:
        raise InputError(f"the latest comparison in {folder} names a run outside of it, {outside[0]}: name the runs that you mean")
    return [Run(path) for path in paths]


def new_video(folder: Path, runs: Sequence[Run], suffix: str = ".mp4") -> Path:
    """Give the path of a new video of some runs, and make the folder for it."""
    parent = folder / VIDEOS
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {parent}: {error.strerror or error}") from error
    return parent / (free_name(parent, "-vs-".join(run.name for run in runs), suffix) + suffix)
