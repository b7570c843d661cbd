"""What the files of all experiments have in common: their arms, and which of these the others are measured against."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from curriculum.config.settings import Settings
from curriculum.errors import unknown
from curriculum.store.experiment import Color, Label


class ShownArm(Settings):
    """An arm by its sheet, and how it is shown."""

    sheet: str = Field(description="the sheet of the arm: a path, or the name of a sheet")
    label: Label = Field(None, description="the name of the arm in texts, figures and videos; by default that of its run")
    color: Color = Field(None, description="the color of the arm in figures and videos, such as '#0072b2'")


def named_sheet(value: object) -> object:
    """Read an arm that is given by its sheet alone."""
    return {"sheet": value} if isinstance(value, str) else value


class ComparedArms(Settings):
    """Checks the `arms` of an experiment, and its `baseline`, which a subclass declares after them."""

    @field_validator("arms", check_fields=False)
    @classmethod
    def _two_or_more(cls, arms: dict[str, Any]) -> dict[str, Any]:
        if len(arms) < 2:
            raise ValueError("an experiment needs at least two arms")
        return arms

    @field_validator("baseline", check_fields=False)
    @classmethod
    def _is_an_arm(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        if baseline is not None and "arms" in info.data and baseline not in info.data["arms"]:
            raise ValueError(unknown("arm", baseline, list(info.data["arms"])))
        return baseline
