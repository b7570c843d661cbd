"""Draw the samples of batches by the weights in a schedule's columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curriculum.errors import InputError
from curriculum.play.playhead import Playhead
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.schedule import Schedule


class MixtureSampler:
    """A batch sampler for a PyTorch `DataLoader`: the share of each source in a batch follows the columns of a sheet.

        sampler = MixtureSampler("sheet.csv", "mix-noisy", is_noisy, batch_size=32, seed=0)
        loader = DataLoader(dataset, batch_sampler=sampler)

    With one column, its value is the probability that a sample comes from those that are marked, from 0 to 1; all others share the
    rest. With a list of columns, these are the weights of as many sources. Within a source, every sample is equally likely; samples
    are drawn with replacement.

    The batch of a step is a function of the seed and the step alone. So it is the same after a resume, and however many workers
    load it. Past the end of the schedule, its last values hold: the loader never ends.
    """

    def __init__(
        self,
        schedule: Schedule | Dopesheet | Playhead | str | PathLike[str],
        column: str | Sequence[str],
        source: ArrayLike,
        *,
        batch_size: int,
        seed: int = 0,
    ):
        """Set up a sampler for `N` samples; the first batch is that of step 0.

        `source` `[N]` says of each sample whether it is one of the column's (a truth value), or for a list of columns which of them is
        its own (an index from 0 on). A `Playhead` passes on what it retargets.

        Raises `InputError` for a column that the sheet does not have, values that are not weights, and a source without samples to
        which a weight is given.
        """
        self._playhead = schedule if isinstance(schedule, Playhead) else Playhead(schedule)
        self._names = (column,) if isinstance(column, str) else tuple(column)
        self.batch_size, self.seed, self._step = _whole("batch_size", batch_size, 1), _whole("seed", seed, 0), 0
        count = 2 if isinstance(column, str) else len(self._names)
        found = np.asarray(source)
        if found.ndim != 1 or found.dtype.kind not in "bui" or not len(found) or not 0 <= found.min() <= found.max() < count:
            allowed = "a truth value" if isinstance(column, str) else f"an index from 0 to {count - 1}"
            raise InputError(f"source must have {allowed} for each sample of the data set, in one dimension")
        order = (1, 0) if isinstance(column, str) else range(count)
        self._members = [np.flatnonzero(found == place) for place in order]
        for step in np.flatnonzero(self._bends()):
            self._shares(int(step))

    def seek(self, step: int) -> None:
        """Let the next batch that is drawn be that of a step."""
        self._step = _whole("step", step, 0)

    def batch(self, step: int) -> list[int]:
        """Draw the batch of a step: the indices of its samples."""
        random = np.random.default_rng((self.seed, step))
        shares = self._shares(step)
        drawn = np.searchsorted(np.cumsum(shares)[:-1], random.random(self.batch_size), side="right")
        place = random.random(self.batch_size)
        return [int(own[int(part * len(own))]) for own, part in zip((self._members[at] for at in drawn), place, strict=True)]

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            step = self._step
            self._step += 1
            yield self.batch(step)

    def state_dict(self, step: int | None = None) -> dict[str, Any]:
        """Give what is to be stored with a checkpoint.

        A loader with workers draws batches ahead of those that were trained: pass the `step` that is to come next. Without it, it is
        the next batch to be drawn.
        """
        return {"step": self._step if step is None else _whole("step", step, 0), "seed": self.seed, "batch_size": self.batch_size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a checkpoint was stored. Raises `InputError` for the state of another seed or batch size."""
        for name in ("seed", "batch_size"):
            if state[name] != getattr(self, name):
                raise InputError(f"the state of this sampler has {name} {state[name]}, but the sampler has {getattr(self, name)}")
        self.seek(state["step"])

    def _bends(self) -> NDArray[np.bool_]:
        """Find the steps at which the weights may be wrong for the first time: 0, and where one becomes or leaves 0 or passes a bound."""
        schedule = self._playhead.schedule
        values = np.stack([schedule.column(name) for name in self._names], axis=1)
        kinds = np.stack([values < 0, values > 0, values > 1], axis=2).reshape(len(values), -1)
        return np.concatenate([[True], (kinds[1:] != kinds[:-1]).any(axis=1)])

    def _shares(self, step: int) -> NDArray[np.float64]:
        """Compute the probability of each source at a step."""
        schedule = self._playhead.schedule
        at = schedule.at(min(step, schedule.last_step))
        weights = np.array([at[name] for name in self._names])
        where = f"step {step:,}: {', '.join(f'{name} = {at[name]:g}' for name in self._names)}"
        if len(self._members) > len(self._names):
            if not 0 <= weights[0] <= 1:
                raise InputError(f"{where} is not a share of the samples (allowed: 0 to 1)")
            weights = np.array([weights[0], 1 - weights[0]])
        if (weights < 0).any() or not weights.sum() > 0:
            raise InputError(f"{where}: weights must be at least 0, and one of them above 0")
        shares = np.asarray(weights / weights.sum(), dtype=np.float64)
        if any(share > 0 and not len(own) for share, own in zip(shares, self._members, strict=True)):
            raise InputError(f"{where}: a source that has a weight there has no samples")
        return shares


def _whole(name: str, value: int, least: int) -> int:
    if value != int(value) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)
