"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = {"help_option_names": ["-h", "--help"]}
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a setting; may be repeated.")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Where models are trained: cpu or cuda; the same as --set device=DEVICE.")
]


def with_device(overrides: list[str] | None, device: str | None) -> list[str]:
    """Add the device to the settings that are changed."""
    return [*(overrides or ()), *([f"device={device}"] if device is not None else [])]
