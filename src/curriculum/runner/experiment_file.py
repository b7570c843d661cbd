"""Read the file of an experiment, and check every arm of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.config.launching import LauncherSettings
from curriculum.config.settings import Config, Seeds
from curriculum.errors import ConfigError, InputError
from curriculum.find_file import read_config
from curriculum.measure.measures import count_tests, primary_ids
from curriculum.runner.arms import Study, study_of
from curriculum.runner.arms_settings import ComparedArms, ShownArm, named_sheet
from curriculum.runner.inputs import folder_of
from curriculum.runner.plan import Plan, plan
from curriculum.runner.provenance import planned_look
from curriculum.store.experiment import ArmRecord, ExperimentRecord
from curriculum.train.make import settings_of


class ArmSettings(ShownArm):
    """The settings of one arm."""

    set: dict[str, Any] = Field({}, description="settings of the config that this arm alone has, such as {optimizer.weight_decay: 0.1}")


class StudySettings(ComparedArms):
    """The settings in the file of an experiment."""

    config: str | None = Field(
        None, description="the config that all arms share: a path, or the name of a config; or its settings stand in the experiment itself"
    )
    seeds: Seeds = Field(description="the seeds of every arm, such as 0:32 or [0, 3, 5]")
    arms: dict[str, Annotated[ArmSettings, BeforeValidator(named_sheet)]] = Field(
        description="the arms by the names of their runs, at least two: each a sheet, or a mapping with sheet, set, label and color"
    )
    baseline: str | None = Field(
        None, description="the arm that each of the others is measured against; by default the first arm is measured against the others"
    )
    primary: list[str] | None = Field(
        None, description="the measures or hypotheses that are judged, by their ids; the others are then exploratory; by default all"
    )

    launcher: LauncherSettings | None = Field(None, description="where blocks of seeds are trained, such as {name: local, workers: 8}")

    @field_validator("primary")
    @classmethod
    def _names_some(cls, primary: list[str] | None) -> list[str] | None:
        if primary is not None and not primary:
            raise ValueError("name at least one measure or hypothesis, or remove it")
        return primary


def plan_study(
    reference: str,
    folder: Path,
    *,
    overrides: Iterable[str] = (),
    seeds: str | None = None,
    steps: int | None = None,
    accept_changed_code: bool = False,
) -> Study:
    """Read an experiment and check every arm of it.

    The runs of the arms are stored in a folder named after the experiment. A run with the same sheet, config and seeds is
    resumed if it is unfinished. Raises `InputError` for errors in the files, `OutputExistsError` if a run of that name was
    created with different inputs.
    """
    source, text = read_config(reference)
    # What the experiment's own file does not have is a setting of the config that its arms share.
    own = [one for one in overrides if one.partition("=")[0].partition(".")[0] in StudySettings.model_fields]
    common = [one for one in overrides if one not in own]
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
    plans: list[Plan] = []
    for arm, chosen in settings.arms.items():
        changes = [f"{path}={json.dumps(value)}" for path, value in _flat(chosen.set)]
        try:
            if settings.config is not None:
                config: str | Config[Any, Any] = settings.config
                given = [*common, *changes]
            else:
                known = partial(settings_of, near=near)
                config, given = configs.load(text, source, known, plugins.names("task"), [*common, *changes], fields), []
            wanted, like = seeds if seeds is not None else settings.seeds, plans[0] if plans else None
            checked = plan(config, chosen.sheet, overrides=given, seeds=wanted, steps=steps, near=near, like=like)
            plans.append(replace(checked, accepts_changed_code=accept_changed_code))
        except ConfigError as error:
            # What an arm sets is read as an override; where it is wrong, it stands in the experiment's file.
            mine = {f"--set {change}" for change in changes}
            placed = (
                configs.locate(text, source, own, ("arms", arm, "set"), problem.message) if problem.source in mine else problem
                for problem in error.problems
            )
            raise ConfigError(placed) from None
    record = ExperimentRecord(
        arms={name: ArmRecord(label=arm.label, color=arm.color) for name, arm in settings.arms.items()},
        baseline=settings.baseline,
        primary=settings.primary,
    )
    if settings.primary is not None:
        try:
            primary_ids(planned_look(plans[0]), settings.primary)
        except InputError as error:
            raise ConfigError([configs.locate(text, source, own, ("primary",), str(error))]) from None
    study = study_of(tuple(settings.arms), plans, folder / Path(source).stem, record)
    return replace(study, launcher=settings.launcher)


def tests_of(study: Study) -> int:
    """Count the tests of an experiment that are corrected together: those of all measures that are judged, in each pair of arms."""
    look, primary = planned_look(study.plans[0]), study.record.primary
    return count_tests(look, None if primary is None else primary_ids(look, primary)) * (len(study.names) - 1)


def _flat(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List settings by their paths `a.b`, whether they are written so or as mappings."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
