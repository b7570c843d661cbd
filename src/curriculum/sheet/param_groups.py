"""Put the values of a sheet into the parameter groups of a PyTorch optimizer.

Nothing of PyTorch is imported: an optimizer is whatever has `param_groups`, a list of mappings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from curriculum.errors import InputError, unknown

BETAS = "betas"
DECAY, MOMENTUM, BETA2 = "weight-decay", "momentum", "beta2"
ROUNDING = 1e-12  # a value is below 0 only by more
SETTINGS = ("lr", DECAY, MOMENTUM, BETA2)  # the columns that move an optimizer
AT, TIMES = "@", "*"  # before the name of the group that alone is meant: a value of its own, or a factor of everybody's


class HasGroups(Protocol):
    """An optimizer of PyTorch, or what looks like one."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...


def split(column: str) -> tuple[str, str, str]:
    """Split a column's name into a setting, `@` or `*`, and the name of a group: `lr*head` into `lr`, `*` and `head`.

    The last two are empty for a column of all groups. A column that moves no optimizer is returned whole, with two empty parts.
    """
    for mark in (AT, TIMES):
        setting, found, group = column.partition(mark)
        if found and setting in SETTINGS and group:
            return setting, mark, group
    return column, "", ""


def apply(values: Mapping[str, float], optimizer: HasGroups, place: str) -> tuple[str, ...]:
    """Write the values of columns into the groups of an optimizer; return the columns that were taken.

    `lr`, `weight-decay`, `momentum` and `beta2` hold for all groups; of Adam and its relatives `momentum` is the first of the betas.
    `lr@head` holds for the group whose `name` is `head` alone, `lr*head` is a factor of `lr` there. `place` says in errors which
    values these are.

    Raises `InputError` for a group or a setting that the optimizer does not have, for a value that none can have, for a factor of a
    column that the sheet does not have, and for a group with both a value of its own and a factor.
    """
    if not hasattr(optimizer, "param_groups"):
        raise InputError(f"{place}: apply needs an optimizer with param_groups, not {_kind(optimizer)}")
    groups = optimizer.param_groups
    names = [str(group["name"]) for group in groups if "name" in group]
    taken = []
    parts = {column: split(column) for column in values}
    for column, (setting, mark, name) in parts.items():
        if setting not in SETTINGS:
            continue
        if mark and name not in names:
            known = unknown("parameter group", name, names) if names else "the optimizer's parameter groups have no names"
            raise InputError(f"{place}: column {column!r}: {known}; name a group as in {{'params': ..., 'name': {name!r}}}")
        if mark == TIMES and setting not in values:
            raise InputError(f"{place}: column {column!r} is a factor of {setting!r}, but the sheet has no such column")
        if mark == TIMES and f"{setting}{AT}{name}" in values:
            raise InputError(f"{place}: {column!r} and '{setting}{AT}{name}' both set {setting} of the group {name!r}: remove one")
        taken.append(column)
    for group in groups:
        name = str(group.get("name", ""))
        for setting in SETTINGS:
            own, factor = f"{setting}{AT}{name}", f"{setting}{TIMES}{name}"
            value = values.get(own, values.get(setting)) if name else values.get(setting)
            if value is not None:
                _set(group, setting, value * values.get(factor, 1.0) if name else value, place, optimizer)
    return tuple(taken)


def _set(group: dict[str, Any], setting: str, value: float, place: str, optimizer: HasGroups) -> None:
    key = {DECAY: "weight_decay"}.get(setting, setting)
    # PyTorch checks settings only when it makes an optimizer: with a negative learning rate, training would silently climb.
    if value < -ROUNDING or (setting in (MOMENTUM, BETA2) and value > 1):
        limits = "0 to 1" if setting in (MOMENTUM, BETA2) else "at least 0"
        raise InputError(f"{place}: {setting} cannot be {value:.6g} (allowed: {limits})")
    if setting in (MOMENTUM, BETA2) and BETAS in group:
        betas = list(group[BETAS])
        betas[0 if setting == MOMENTUM else 1] = value
        group[BETAS] = tuple(betas)
    elif key in group:
        # A learning rate in a tensor is read by a compiled step: it has to stay the same tensor.
        if hasattr(group[key], "fill_"):
            group[key].fill_(value)
        else:
            group[key] = value
    else:
        raise InputError(f"{place}: nothing takes the column {setting!r}: {_kind(optimizer)} has {', '.join(_settings_of(group))}")


def _kind(optimizer: object) -> str:
    return type(optimizer).__name__


def _settings_of(group: Mapping[str, Any]) -> Sequence[str]:
    found = [setting for setting in SETTINGS if {DECAY: "weight_decay"}.get(setting, setting) in group]
    return found + [setting for setting in (MOMENTUM, BETA2) if BETAS in group and setting not in found]
