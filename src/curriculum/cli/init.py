"""`curriculum init`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curriculum.cli.guard import guarded
from curriculum.console import put, say


class Kind(StrEnum):
    """What is trained in the new folder."""

    script = "script"
    lightning = "lightning"
    hf = "hf"
    task = "task"


@guarded
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to create; it must not exist yet, or be empty.")],
    template: Annotated[
        Kind,
        typer.Option("--template", help="A script of your own, one with Lightning or Hugging Face's Trainer, or a task."),
    ] = Kind.script,
) -> None:
    """Start a study: a folder with two sheets, a training script, an experiment that compares them, a README and a CI workflow.

    Everything in it works as it is: it trains a small network to read handwritten digits. Change the files until they ask
    your question.

    Examples:

      curriculum init my-study

      cd my-study && curriculum experiment study.yaml

      curriculum init my-study --template lightning
    """
    from curriculum.runner.example import start_study

    for path in start_study(folder, template.value):
        put(str(path))
    say(f"train and compare with: cd {folder} && curriculum experiment study.yaml")
