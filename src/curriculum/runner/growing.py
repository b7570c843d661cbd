"""Let a run grow by seeds: what is missing of those asked for is trained as a further block."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curriculum.errors import OutputExistsError
from curriculum.runner.inputs import with_seeds
from curriculum.runner.opening import is_unfinished
from curriculum.runner.plan import Plan
from curriculum.runner.same import accept_hint, differences
from curriculum.store.blocks import block_name, block_paths, check_distinct
from curriculum.store.names import BLOCKS, check_new, is_run
from curriculum.store.reader import Run

BUT_SEEDS = ("task", "steps", "sheet", "config", "hooks")


@dataclass(frozen=True)
class Growth:
    """What is left to train of a run, block by block: the plan of each, and the path of its folder.

    `run` is the path of the run itself, `stored` are the seeds that it has, in blocks that are not joined, too.
    """

    run: Path
    parts: tuple[tuple[Plan, Path], ...]
    stored: tuple[int, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that will be trained, or trained on."""
        return tuple(seed for checked, _ in self.parts for seed in checked.seeds)


def with_own_seeds(checked: Plan, seeds: Sequence[int]) -> Plan:
    """Give the plan of a block: the same but for the seeds."""
    return checked if checked.seeds == tuple(seeds) else replace(checked, config=with_seeds(checked.config, list(seeds)))


def unfinished_parts(run: Run) -> list[Run]:
    """List what is left to train of a run: the run itself, or its blocks."""
    parts = [run] if run.manifest.get("blocks") is None else []
    return [own for own in [*parts, *map(Run, run.open_blocks)] if is_unfinished(own.path)]


def grow(
    checked: Plan, path: Path, advice: str = "Choose another --name, or remove it first", cut: Sequence[Sequence[int]] | None = None
) -> Growth:
    """Find what is to be trained so that the run at `path` has the seeds of a plan.

    New seeds are trained in the blocks of a `cut`; without one, as the run itself or as one block. Blocks that were stopped resume with
    the seeds that they have.

    Raises `OutputExistsError` if a run was created there with different inputs, with `advice`, and `InputError` for seeds that equal
    others modulo 2^32.
    """
    if not os.path.lexists(path):
        check_distinct([("--seeds", checked.seeds)])
        return Growth(path, ((checked, path),) if cut is None else _in_blocks(checked, path, checked.seeds, cut))
    if not is_run(path):
        check_new(path)
    run = Run(path)
    if found := differences(checked, run, only=BUT_SEEDS):
        raise OutputExistsError(
            f"{path} already exists, but was created with different inputs: {'; '.join(found)}. {advice}{accept_hint(found)}"
        )
    holders = [Run(own) for own in block_paths(path)]
    if run.manifest.get("blocks") is None:
        holders = [run, *(holder for holder in holders if holder.seeds != run.seeds)]
    stored = tuple(sorted({seed for holder in holders for seed in holder.seeds}))
    asked = set(checked.seeds)
    parts = [(with_own_seeds(checked, own.seeds), own.path) for own in holders if is_unfinished(own.path) and asked & set(own.seeds)]
    missing = [seed for seed in checked.seeds if seed not in stored]
    if missing and (found := differences(replace(checked, accepts_changed_code=False), run, only=("task",))):
        raise OutputExistsError(f"no seeds can be added to {path}: {'; '.join(found)}, and the seeds of a run are trained alike. {advice}")
    if missing:
        check_distinct([*((str(own.path), own.seeds) for own in holders), ("--seeds", missing)])
        parts += _in_blocks(checked, path, missing, [missing] if cut is None else cut)
    return Growth(path, tuple(parts), stored)


def _in_blocks(checked: Plan, path: Path, seeds: Sequence[int], cut: Sequence[Sequence[int]]) -> tuple[tuple[Plan, Path], ...]:
    """Plan some seeds in the blocks of a cut."""
    wanted = set(seeds)
    blocks = [[seed for seed in block if seed in wanted] for block in cut]
    return tuple((with_own_seeds(checked, own), path / BLOCKS / block_name(own)) for own in blocks if own)
