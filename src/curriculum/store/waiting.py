"""Say which seeds of a run are not joined to it yet, and why; and how far the blocks of an experiment are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curriculum.errors import CurriculumError
from curriculum.store.blocks import block_name, seeds_text
from curriculum.store.experiment import ExperimentRecord
from curriculum.store.lock import is_held
from curriculum.store.names import BLOCKS, OVER, is_run
from curriculum.store.reader import Run


def waiting(run: Run) -> list[str]:
    """Describe the seeds in blocks that are not joined yet, by what they wait for; nothing for a run that is whole."""
    training, stopped, ready, damaged = [], [], [], []
    joined = set(run.seeds) if run.manifest.get("files") else set()
    for path in run.open_blocks:
        try:
            block = Run(path)
        except CurriculumError as error:
            damaged.append(str(error))
            continue
        own = [seed for seed in block.seeds if seed not in joined]
        if block.status in OVER:
            ready += own
        elif block.status == "running" and is_held(path):
            training += own
        else:
            stopped += own
    count = len({*run.seeds, *training, *stopped, *ready})
    said = []
    for own, one, more in (
        (training, "is still training", "are still training"),
        (stopped, "was stopped before its end", "were stopped before their end"),
        (ready, "has finished, but is not joined", "have finished, but are not joined"),
    ):
        if own:
            hint = f": curriculum join {run.path}" if own is ready else ""
            said.append(f"{len(own)} of {count} seeds {one if len(own) == 1 else more} (seed {seeds_text(own)}){hint}")
    return [*said, *damaged]


def blocks_standing(folder: Path, record: ExperimentRecord) -> dict[str, int]:
    """Count the blocks of an experiment that was cut into some: finished, running, stopped and not begun, in all arms together."""
    counts = dict.fromkeys(("finished", "running", "stopped", "not begun"), 0)
    runs = [Run(folder / arm) if is_run(folder / arm) else None for arm in record.arms]
    for seeds in record.blocks or ():
        states = {_standing_of(run, seeds) for run in runs}
        if states == {"finished"}:
            counts["finished"] += 1
        elif "running" in states:
            counts["running"] += 1
        else:
            counts["not begun" if states <= {"finished", "not begun"} else "stopped"] += 1
    return counts


def _standing_of(run: Run | None, seeds: Sequence[int]) -> str:
    if run is None:
        return "not begun"
    if run.manifest.get("files") and set(seeds) <= set(run.seeds):
        return "finished"
    block = run.path / BLOCKS / block_name(seeds)
    if not is_run(block):
        return "not begun"
    return "finished" if Run(block).status in OVER else "running" if is_held(block) else "stopped"
