"""Where runs, comparisons and videos are kept, and how they are found."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from curriculum.errors import CurriculumError, InputError, RunError, nearest_name
from curriculum.store.compared import DOCUMENT, MOST_COMPARISON, ComparisonRecord, comparisons_in, read_comparison
from curriculum.store.files import read_document, write_file
from curriculum.store.names import COMPARISONS, MANIFEST, VIDEOS, is_run, plain, run_paths
from curriculum.store.place import claim, swap
from curriculum.store.reader import Run


def runs_in(folder: Path) -> tuple[list[Run], list[CurriculumError]]:
    """Open the runs in a folder, the oldest first; also give what is wrong with those that cannot be read."""
    found: list[Run] = []
    damaged: list[CurriculumError] = []
    for path in run_paths(folder):
        try:
            found.append(Run(path))
        except CurriculumError as error:
            damaged.append(error)
    return sorted(found, key=lambda run: (run.created, run.name)), damaged


def find_run(reference: str, folder: Path, others: Sequence[str] = ()) -> Run:
    """Open a run by its path, its name in `folder`, or a unique beginning of its name.

    `others` are names of what else may have been meant. Raises `InputError` with the nearest name where there is none.
    """
    if not reference:
        raise InputError("an empty name is not a run")
    for path in (folder / reference, Path(reference)):
        if is_run(path):
            return Run(path)
    names = [path.relative_to(folder).as_posix() for path in run_paths(folder)]
    close = [name for name in names if name.startswith(reference)]
    if len(close) == 1:
        return Run(folder / close[0])
    if close:
        raise InputError(f"{reference!r} matches the beginning of several runs: {', '.join(close)}")
    if Path(reference).is_dir() or (folder / reference).is_dir():
        raise InputError(f"{reference!r} is a folder, but not a run: it has no {MANIFEST}")
    guess = nearest_name(reference, [*others, *names])
    hint = f", did you mean {guess!r}?" if guess else ""
    listed = f"(in {folder}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''})" if names else f"({folder} has no runs yet)"
    raise InputError(f"there is no run {reference!r}{hint} {listed}")


FIGURES_OF_COMPARISONS = {"bands", "effects", "latents", "losses", "schedules"}
FORMATS_OF_FIGURES = {".png", ".svg", ".pdf"}


def newest_finished(folder: Path, count: int = 2) -> list[Run]:
    """Open the newest finished runs, the oldest of them first.

    Raises `InputError` where there are fewer.
    """
    good, damaged = runs_in(folder)
    finished = [run for run in good if run.status == "finished"]
    if len(finished) < count:
        also = f" ({len(damaged)} {'is' if len(damaged) == 1 else 'are'} damaged: `curriculum runs` says how)" if damaged else ""
        raise InputError(f"found {len(finished)} finished run(s) in {folder}, but {count} are needed{also}: train more, or name the runs")
    return finished[-count:]


def new_comparison(folder: Path, names: Sequence[str], found: Mapping[str, Any], draw: Callable[[Path], None]) -> Path:
    """Store a comparison of runs called `names` in a folder of its own, whole at once; `draw` writes its figures.

    `found` are its plain values, as JSON has them. A comparison of the same pairs of the same runs is replaced, unless its folder
    has files that no comparison writes. Returns the folder. Raises `RunError` where it cannot be written.
    """
    parent = folder / COMPARISONS
    document = {"created": datetime.now(UTC).isoformat(timespec="milliseconds"), **found}
    made = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".", dir=parent))
        made.chmod(0o755)
        draw(made)
        write_file(made / DOCUMENT, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
        stem = "-vs-".join(names)
        for earlier in sorted(parent.glob(f"{plain(stem)}*")):
            if _is_same(earlier, document, {path.name for path in made.iterdir()}) and swap(made, earlier):
                return earlier
        return claim(parent, stem, partial(os.rename, made))
    except BaseException as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        cause = error.__cause__ if isinstance(error, RunError) else error
        if isinstance(cause, OSError):
            reason = cause.strerror or cause
            raise RunError(f"cannot store the comparison in {parent}: {reason}") from error
        raise


def earlier_looks(folder: Path, runs: Sequence[tuple[str, Sequence[int]]]) -> tuple[int, ...]:
    """Give with how many seeds the same runs were compared before, where that were fewer than now: in each case those of all runs.

    `runs` are their paths and their seeds.
    """
    paths, now = [path for path, _ in runs], len(set.intersection(*(set(seeds) for _, seeds in runs)))
    same = [own for own in comparisons_in(folder)[0] if own.paths == paths]
    found = {count for own in same for count in (own.shared_seeds, *own.earlier_looks)}
    return tuple(sorted(count for count in found if count < now))


def _is_same(folder: Path, document: Mapping[str, Any], written: set[str]) -> bool:
    """Tell whether a folder holds a comparison of the same pairs of the same runs, and nothing but the files of a comparison."""
    with suppress(OSError, RunError):
        stored = read_comparison(folder)
        asked = [run["path"] for run in document["runs"]], [(pair["first"], pair["other"]) for pair in document["pairs"]]
        same = asked == (stored.paths, [(pair.first, pair.other) for pair in stored.pairs])
        return same and all(path.name in written or _is_figure(path, written) for path in folder.iterdir())
    return False


def _is_figure(path: Path, written: set[str]) -> bool:
    """Tell whether a file is a figure that comparisons write, perhaps in another format than those that were `written` now."""
    known = FIGURES_OF_COMPARISONS | {Path(name).stem for name in written if Path(name).suffix in FORMATS_OF_FIGURES}
    return path.suffix in FORMATS_OF_FIGURES and path.stem in known


@dataclass(frozen=True)
class Asked:
    """How the runs of a stored comparison were compared: the pairs by their places, and what else was asked for.

    `smallest` is the smallest effect of interest as a share, `own` that of single measures, and `judged` tells whether there was
    anything to judge.
    """

    runs: list[Run]
    pairs: list[tuple[int, int]]
    primary: list[str] | None
    smallest: float
    own: dict[str, float]
    judged: bool


def latest_comparison(folder: Path) -> list[Run] | None:
    """Open the runs of the latest comparison; None where there is none, or a run of it was removed.

    Raises `RunError` where one of them is damaged, `InputError` where one lies outside of the folder.
    """
    latest = _latest(folder)
    return None if latest is None else _runs_of(latest, folder)


def latest_asked(folder: Path) -> Asked | None:
    """Open the runs of the latest comparison, with what was asked of it; None as above, and where an early version stored it."""
    latest = _latest(folder)
    runs = None if latest is None else _runs_of(latest, folder)
    if latest is None or runs is None or latest.smallest is None:
        return None
    pairs = [(pair.first, pair.other) for pair in latest.pairs]
    judged = bool(latest.verdicts or latest.guards)
    return Asked(runs, pairs, latest.primary, latest.smallest.ratio, latest.smallest.own, judged)


def _latest(folder: Path) -> ComparisonRecord | None:
    """Read the latest of the comparisons that can be read."""
    return next(reversed(comparisons_in(folder)[0]), None)


def _runs_of(compared: ComparisonRecord, folder: Path) -> list[Run] | None:
    paths = [Path(path.replace("\0", "")) for path in compared.paths]
    if not paths or not all(path.is_dir() for path in paths):
        return None
    outside = [path for path in paths if not path.resolve().is_relative_to(folder.resolve())]
    if outside:
        raise InputError(f"the latest comparison in {folder} contains a run outside the folder, {outside[0]}: name the runs to use")
    return [Run(path) for path in paths]


def stored_comparison(folder: Path, runs: Sequence[Run]) -> dict[str, Any] | None:
    """Read the latest comparison of exactly these runs, with all their seeds, from after they ended; None where there is none."""
    wanted = {(str(run.path.resolve()), run.seeds) for run in runs}
    ended = max(str(run.manifest.get("ended", "")) for run in runs)
    for own in reversed(comparisons_in(folder)[0]):
        compared = {(os.path.realpath(run.path.replace("\0", "")), tuple(run.seeds)) for run in own.runs}
        if compared == wanted and own.created >= ended:
            return dict(read_document(own.path / DOCUMENT, MOST_COMPARISON))
    return None


def new_video(folder: Path, runs: Sequence[Run], suffix: str = ".mp4") -> Path:
    """Give the path that a video of some runs is for, and make the folder for it.

    Another video may have that name: `place_numbered` then finds another.
    """
    parent = folder / VIDEOS
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {parent}: {error.strerror or error}") from error
    return parent / f"{plain('-vs-'.join(run.name for run in runs))}{suffix}"
