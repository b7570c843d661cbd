"""Shared by all commands: turn errors into messages and exit codes, and handle signals."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, cast

import typer

from curriculum.console import report, say
from curriculum.runner.signals import Terminated

Params = ParamSpec("Params")
Returned = TypeVar("Returned")
RunsFolder = Annotated[Path, typer.Option("--runs", envvar="CURRICULUM_RUNS", metavar="DIR", help="The folder that contains the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]
RUNS = Path("runs")
Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback on errors.")]


def guarded(command: Callable[Params, Returned]) -> Callable[Params, Returned]:
    """Wrap a command: print its errors as messages, and exit with their codes. Also give it the option `--debug`.

    0 success, 1 failure, 2 invalid input, 3 `verify` or `--fail-if` found what it looks for, 130 Ctrl-C, 143 SIGTERM.
    """

    @wraps(command)
    def wrapper(*args: Params.args, **kwargs: Params.kwargs) -> Returned:
        context, debug = cast(typer.Context, kwargs.pop("context")), kwargs.pop("debug")
        signal.signal(signal.SIGTERM, _terminate)
        # PyTorch's word on the speed of one operation in a stack: nothing that a user can act on.
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
        # Of a name in letters that the font of figures lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        try:
            _check_runs(kwargs.get("runs"))
            return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            say(str(error) or "interrupted")
            raise typer.Exit(143 if isinstance(error, Terminated) else 130) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; what is left to flush goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except typer.Exit:
            raise
        except Exception as error:
            if debug or context.find_root().params["debug"]:
                traceback.print_exc()
            raise typer.Exit(report(error)) from None

    # typer reads the options of a command from its signature.
    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug),
    ]
    wrapper.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = command.__annotations__ | {one.name: one.annotation for one in added}
    return wrapper


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


def _check_runs(folder: Any) -> None:
    if isinstance(folder, Path) and folder.exists() and not folder.is_dir():
        from curriculum.errors import InputError

        raise InputError(f"{folder} is a file, but runs are kept in a folder: name one with --runs or CURRICULUM_RUNS")


def check_free(path: Path, force: bool) -> None:
    """Raise an error if an output already exists and may not be replaced."""
    from curriculum.errors import OutputExistsError
    from curriculum.store.place import check_parent, exists_already

    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder: pass the name of a file")
    if os.path.lexists(path) and not force:
        raise exists_already(path)
    check_parent(path)
