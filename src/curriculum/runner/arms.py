"""Run the arms of an experiment: those that are not finished, as one stack."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.config.settings import Config, Seeds, Settings
from curriculum.errors import ConfigError, OutputExistsError
from curriculum.find_file import read_config
from curriculum.runner.inputs import folder_of
from curriculum.runner.opening import is_unfinished
from curriculum.runner.plan import Plan, plan
from curriculum.runner.same import differences, shared
from curriculum.store.checkpoint import steps_in
from curriculum.store.names import check_name, is_run
from curriculum.store.reader import Run
from curriculum.train.make import settings_of


class StudySettings(Settings):
    """The settings in the file of an experiment."""

    config: str | None = Field(
        None, description="the config that all arms share: a path, or the name of a config; or its settings stand in the experiment itself"
    )
    seeds: Seeds = Field(description="the seeds of every arm, such as 0:32 or [0, 3, 5]")
    arms: dict[str, str] = Field(description="the sheet of each arm, by the name of the arm; at least two arms")

    @field_validator("arms")
    @classmethod
    def _two_or_more(cls, arms: dict[str, str]) -> dict[str, str]:
        if len(arms) < 2:
            raise ValueError("an experiment needs at least two arms")
        return arms


@dataclass(frozen=True)
class Study:
    """A fully checked experiment: the plan and the path of each arm, and whether it is finished."""

    names: tuple[str, ...]
    plans: tuple[Plan, ...]
    paths: tuple[Path, ...]
    done: tuple[bool, ...]


def plan_study(reference: str, folder: Path, *, overrides: Iterable[str] = (), seeds: str | None = None, steps: int | None = None) -> Study:
    """Read an experiment and check every arm of it.

    The runs of the arms are stored in a folder named after the experiment. A run with the same sheet, config and seeds is
    resumed if it is unfinished. Raises `InputError` for errors in the files, `OutputExistsError` if a run of that name was
    created with different inputs.
    """
    source, text = read_config(reference)
    name = Path(source).stem
    # What the experiment's own file does not have is a setting of the config that its arms share.
    own = [one for one in overrides if one.partition("=")[0].partition(".")[0] in StudySettings.model_fields]
    shared = [one for one in overrides if one not in own]
    fields = tuple(StudySettings.model_fields)
    others = [name for name in configs.names_in(text, source) if name not in fields]
    named = "config" in configs.names_in(text, source)
    for setting in others:
        if named and setting in Config.model_fields:
            message = f"set {setting!r} in the config that the experiment names, or remove 'config'"
            raise ConfigError([configs.locate(text, source, (), (setting,), message)])
    # Without the name of a config, whatever is not the experiment's own is a setting of the config that it holds.
    settings = configs.load_as(StudySettings, text, source, own, () if named else others)
    near = folder_of(source)
    if settings.config is not None:
        config: str | Config[Any, Any] = settings.config
    else:
        known = partial(settings_of, near=near)
        config, shared = configs.load(text, source, known, plugins.names("task"), shared, fields), []
    plans: list[Plan] = []
    for sheet in settings.arms.values():
        chosen = seeds if seeds is not None else settings.seeds
        like = plans[0] if plans else None
        plans.append(plan(config, sheet, overrides=shared, seeds=chosen, steps=steps, near=near, like=like))
    return study_of(tuple(settings.arms), plans, folder / name)


def study_of(names: Sequence[str], plans: Sequence[Plan], place: Path) -> Study:
    """Make an experiment of planned arms, whose runs are stored in the folder `place`.

    Raises `InputError` for a name that no run can have, `OutputExistsError` if a run there was created with different inputs.
    """
    for name in (place.name, *names):
        check_name(name)
    if is_run(place):
        raise OutputExistsError(f"{place} is a run: rename the run or the experiment")
    paths = tuple(place / name for name in names)
    done = tuple(_is_done(checked, path) for checked, path in zip(plans, paths, strict=True))
    return Study(tuple(names), tuple(plans), paths, done)


def _is_done(checked: Plan, path: Path) -> bool:
    """Tell whether an arm has nothing left to train. Raises an error where something else is stored in its place."""
    if not os.path.lexists(path):
        return False
    run = Run(path)
    found = differences(checked, run)
    if found:
        raise OutputExistsError(
            f"{path} already exists, but was created with different inputs: {'; '.join(found)}. Remove or rename it first"
        )
    return not is_unfinished(path)


def run_study(study: Study, train: Callable[[Sequence[Plan], Sequence[Path]], object]) -> list[Run]:
    """Train the unfinished arms, as one stack where possible, and open the runs of all arms.

    `train` is called with the plans and paths of each stack, like `execute_all`.
    """
    waiting = [(checked, path) for checked, path, done in zip(study.plans, study.paths, study.done, strict=True) if not done]
    stacks: dict[str, list[tuple[Plan, Path]]] = {}
    for checked, path in waiting:
        stacks.setdefault(json.dumps([shared(checked), _begun(path)]), []).append((checked, path))
    for stack in stacks.values():
        plans, paths = zip(*stack, strict=True)
        train(plans, paths)
    return [Run(path) for path in study.paths]


def _begun(path: Path) -> list[str]:
    """Name the arms that have begun to train as one stack with this one; none where nothing of it is to be gone on with."""
    if not is_unfinished(path):
        return []
    names = [name for name in (Run(path).manifest.get("stack") or [path.name]) if os.sep not in name]
    return names if any(steps_in(path.parent / name) for name in names) else []
