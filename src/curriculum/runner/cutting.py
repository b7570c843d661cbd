"""Cut an experiment into blocks: the same seeds of all arms, which are trained together and apart from the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

from curriculum.config import yaml as configs
from curriculum.errors import InputError, OutputExistsError
from curriculum.runner.arms import Study
from curriculum.runner.provenance import manifest_of
from curriculum.store.blocks import seeds_text
from curriculum.store.names import is_run
from curriculum.store.writer import RunFolder
from curriculum.train.state import initial_state

Cut = tuple[tuple[int, ...], ...]


def new_seeds(study: Study) -> tuple[int, ...]:
    """List the seeds that no folder of an arm has yet, for at least one of the arms."""
    new = {seed for _, checked, path in study.parts if not is_run(path) for seed in checked.seeds}
    return tuple(seed for seed in study.plans[0].seeds if seed in new)


def cut_seeds(seeds: Sequence[int], stored: Sequence[Sequence[int]], new: Sequence[int], size: int) -> Cut:
    """Cut an experiment into blocks: those that are stored as they are, and of `new` seeds what they do not have, in blocks of `size`.

    Raises `InputError` if seeds that stored blocks have are not among `seeds`.
    """
    known = [seed for block in stored for seed in block]
    if fewer := sorted(set(known) - set(seeds)):
        raise InputError(
            f"the experiment was cut into blocks with the seeds {seeds_text(known)}, but {seeds_text(fewer)} are not among "
            f"those asked for ({seeds_text(seeds)}). Ask for all of them, and for more if you like; or choose another --runs"
        )
    rest = [seed for seed in new if seed not in set(known)]
    return (*map(tuple, stored), *(tuple(rest[first : first + size]) for first in range(0, len(rest), size)))


def make_run_folders(study: Study) -> None:
    """Make the folders of the runs that do not exist yet, for blocks to be trained in."""
    for path in {path.parent.parent for _, _, path in study.parts if path.parent.parent in study.paths}:
        if is_run(path):
            continue
        checked = study.plans[study.paths.index(path)]
        # One seed is enough to tell the shapes.
        state = initial_state(checked.task, [(checked.schedule, checked.seeds[:1])], checked.config.optimizer, checked.config.device)
        text = configs.write(checked.config)
        manifest = {**manifest_of(checked, sys.argv, state, text), "segments": [], "blocks": []}
        # Another process may have been faster.
        with suppress(OutputExistsError):
            RunFolder.create(path, manifest, text, checked.sheet_bytes).release()
