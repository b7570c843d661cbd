"""What a run records: at which steps, and in which columns."""

from __future__ import annotations

import numpy as np

from curriculum.draw.frames import frame_steps
from curriculum.runner.plan import Plan

SNAPSHOT_BYTES = 256 * 2**20  # of a run, unless its config says how often


def snapshot_steps(checked: Plan, size: int) -> list[int]:
    """Choose the steps that a run stores snapshots of.

    As its config says; else, for a task with a picture that moves, every step of one seed, and of more seeds those that its video
    shows. Of a larger model, whose parameters are `size`, as many of these as fit into `SNAPSHOT_BYTES`, evenly apart.
    """
    steps, record = len(checked.schedule), checked.config.record
    every = record.snapshot_every
    if record.snapshots == "off" or (record.snapshots == "auto" and every is None and checked.task.picture() is None):
        return []
    if every is not None:
        return list(range(0, steps, every))
    wanted = list(range(steps)) if len(checked.seeds) == 1 else frame_steps(steps)
    most = max(2, SNAPSHOT_BYTES // (len(checked.seeds) * size * 4))
    if len(wanted) <= most:
        return wanted
    return [wanted[round(place)] for place in np.linspace(0, len(wanted) - 1, most)]


def possible_terms(checked: Plan) -> list[str]:
    """List the loss terms that a run's metrics have a column for."""
    properties = checked.schedule.properties
    return [term for term in checked.task.terms if term in properties]
