"""Say which seeds of a run are not joined to it yet, and why."""

from __future__ import annotations

from curriculum.errors import CurriculumError
from curriculum.store.blocks import seeds_text
from curriculum.store.lock import is_held
from curriculum.store.names import OVER
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
    count = len({*joined, *training, *stopped, *ready})
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
