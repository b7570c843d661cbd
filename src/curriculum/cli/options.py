"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = {"help_option_names": ["-h", "--help"]}
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Override a setting of the config. May be repeated.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="The device to train on: cpu or cuda. Same as --set device=DEVICE.")
]
AcceptCode = Annotated[
    bool,
    typer.Option("--accept-changed-code", help="Resume although the code or the data of your task have changed; the run records it."),
]


def with_device(overrides: list[str] | None, device: str | None) -> list[str]:
    """Add the device to the overrides."""
    return [*(overrides or ()), *([f"device={device}"] if device is not None else [])]
