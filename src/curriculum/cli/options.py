"""Options that several commands share."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import typer

from curriculum.cli.completion import run_names

HELP = {"help_option_names": ["-h", "--help"]}
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Override a setting of the config. May be repeated.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="The device to train on: cpu or cuda. Same as --set device=DEVICE.")
]
CompileOption = Annotated[
    str | None,
    typer.Option(
        "--compile",
        metavar="WHEN",
        help="Train by compiled code: auto (the default: where a long training makes up for the time to compile), on or off. "
        "Same as --set compile=WHEN.",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="RUN",
        autocompletion=run_names,
        help="The run, or the arm of the experiment, that each of the others is measured against. Default: that of the experiment, "
        "else the first run is measured against each of the others.",
    ),
]
AcceptCode = Annotated[
    bool,
    typer.Option("--accept-changed-code", help="Resume although the code or the data of your task have changed; the run records it."),
]


class FigureFormat(StrEnum):
    """The file formats of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


Figures = Annotated[FigureFormat, typer.Option("--figures", help="The file format of the figures.")]
Width = Annotated[
    str | None,
    typer.Option(
        "--width",
        metavar="WIDTH",
        help="The width of the figures for a paper, such as 3.3in or 8.4cm. Text then has 8 points, whatever the width.",
    ),
]
INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4}
NARROWEST, WIDEST = 3.0, 20.0  # inches


def width_in_inches(text: str | None) -> float | None:
    """Read a width such as `3.3in` or `8.4cm`; None stays None. Raises `InputError` for anything else, and for one out of range."""
    from curriculum.errors import InputError

    if text is None:
        return None
    number, unit = text[:-2], text[-2:]
    try:
        inches = float(number) * INCHES[unit]
    except (ValueError, KeyError):
        inches = math.nan
    if math.isnan(inches):
        raise InputError(f"cannot read --width {text!r}: write a number with its unit (in, cm or mm), as in --width 3.3in")
    if not NARROWEST <= inches <= WIDEST:
        lowest, highest = (f"{end / INCHES[unit]:.3g}{unit}" for end in (NARROWEST, WIDEST))
        raise InputError(f"--width {text} is out of range: use {lowest} to {highest}")
    return inches


def with_options(overrides: list[str] | None, device: str | None, compiled: str | None) -> list[str]:
    """Add the options that stand for settings of the config to the overrides."""
    chosen = {"device": device, "compile": compiled}
    return [*(overrides or ()), *(f"{name}={value}" for name, value in chosen.items() if value is not None)]
