"""Plan a tuned experiment: every arm at each of the same values of a factor on seeds of its own, then each arm at its best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curriculum.errors import InputError, unknown
from curriculum.runner.arms import Study, study_of
from curriculum.runner.experiment_file import plan_study
from curriculum.runner.inputs import with_seeds
from curriculum.runner.plan import Plan, with_sheet
from curriculum.sheet.convert import multiplied

SEEDS = 8  # on which each value is tried, unless others are asked for


@dataclass(frozen=True)
class Tuning:
    """A checked search: each of `arms` with `column` times each factor of `grid`, in the order of arms, then of factors.

    `seeds` are those that are tried; `base` is the experiment itself, whose arms get their factors afterwards.
    """

    column: str
    grid: tuple[float, ...]
    seeds: tuple[int, ...]
    base: Study
    trials: Study
    folder: Path

    @property
    def arms(self) -> tuple[str, ...]:
        return self.base.names


def plan_tuning(
    experiment: str,
    folder: Path,
    column: str,
    grid: Sequence[float],
    *,
    tuning_seeds: str | None = None,
    overrides: Iterable[str] = (),
    seeds: str | None = None,
    steps: int | None = None,
) -> Tuning:
    """Check an experiment and all trials of its arms; the trials are stored in a folder named after it.

    Raises `InputError` for what is wrong in the files, a column that an arm does not have, a grid of fewer than two values, and seeds
    that the experiment has as well: what is chosen on some seeds is not to be judged by them.
    """
    if len(grid) < 2 or len(set(grid)) < len(grid):
        raise InputError(f"a grid has at least two different factors, not {', '.join(f'{factor:g}' for factor in grid)}")
    base = plan_study(experiment, folder, overrides=overrides, seeds=seeds, steps=steps)
    own = base.plans[0].seeds
    wanted = tuning_seeds if tuning_seeds is not None else f"{max(own) + 1}:{max(own) + 1 + SEEDS}"
    tried = with_seeds(base.plans[0].config, wanted).seeds
    if both := sorted(set(tried) & set(own)):
        raise InputError(f"seed {both[0]} is one of the experiment's and one to tune on: choose other --tuning-seeds")
    chosen = tuple(sorted(grid))
    place = folder / f"{Path(experiment).stem}-tuning"
    names, plans = [], []
    for arm, checked in zip(base.names, base.plans, strict=True):
        for factor in chosen:
            names.append(f"{arm}-x{factor:g}")
            plans.append(_scaled(checked, column, factor, names[-1], tried))
    return Tuning(column, chosen, tried, base, study_of(names, plans, place), place)


def plan_tuned(tuning: Tuning, best: Sequence[float]) -> Study:
    """Plan the experiment with each arm at its own factor, on the experiment's seeds."""
    both = zip(tuning.base.names, tuning.base.plans, best, strict=True)
    plans = [_scaled(checked, tuning.column, factor, name, checked.seeds) for name, checked, factor in both]
    place = tuning.folder.with_name(f"{tuning.folder.name.removesuffix('-tuning')}-tuned")
    return study_of(tuning.base.names, plans, place, tuning.base.record)


def _scaled(checked: Plan, column: str, factor: float, name: str, seeds: Sequence[int]) -> Plan:
    if column not in checked.sheet.properties:
        raise InputError(f"{checked.sheet.source}: {unknown('column', column, checked.sheet.properties)}")
    sheet = replace(multiplied(checked.sheet, column, factor), source=f"{name}.csv")
    try:
        return with_sheet(checked, sheet, seeds)
    except InputError as error:
        raise InputError(f"{checked.sheet.source} cannot be trained with {column} times {factor:g}:\n{error}") from None
