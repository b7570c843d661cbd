"""Choose a launcher by its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curriculum.config.launching import OF, LauncherSettings
from curriculum.errors import InputError
from curriculum.launch.jobs import Launcher


def merge_settings(*layers: Mapping[str, Any], name: str | None = None) -> LauncherSettings:
    """Merge settings, the later over the earlier. If a launcher is named, what belongs to other launchers is left out.

    Raises `InputError` for settings that the launcher does not know.
    """
    merged: dict[str, Any] = {key: value for layer in layers for key, value in layer.items()}
    if name is not None:
        merged = {key: value for key, value in merged.items() if name in OF.get(key, (name,))} | {"name": name}
    settings = LauncherSettings.model_validate(merged)
    for key in settings.misplaced:
        raise InputError(f"{key} is a setting of the launcher {' and '.join(OF[key])}, not of {settings.name}")
    return settings


def make_launcher(settings: LauncherSettings, threads: int) -> Launcher:
    """Make a launcher whose workers have `threads` cores unless its settings say otherwise.

    Raises `InputError` where it cannot give what they ask for.
    """
    if settings.name == "ray":
        from curriculum.launch.ray import RayCluster

        return RayCluster(settings, threads)
    if settings.name == "slurm":
        from curriculum.launch.slurm import Slurm

        return Slurm(settings, threads)
    from curriculum.launch.local import Local

    return Local(settings, threads)
