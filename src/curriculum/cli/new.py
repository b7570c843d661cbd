"""`curriculum new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curriculum.cli.guard import guarded
from curriculum.console import put, say


@guarded
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to create; it must not exist yet, or be empty.")],
) -> None:
    """Create a folder with an example of a task of your own.

    It holds a classifier of handwritten digits, its data, two schedules and an experiment that compares them. Change the
    files until they ask your question.

    Examples:

      curriculum new digits

      cd digits && curriculum experiment study.yaml
    """
    from curriculum.runner.example import copy_example

    for path in copy_example(folder):
        put(str(path))
    say(f"train and compare with: cd {folder} && curriculum experiment study.yaml")
