"""What the shell offers for the names of runs, experiments, sheets and configs.

It is asked at every press of the key: only names are listed, nothing of a run is read, and no error is shown. Where nothing is
offered, the shell completes the names of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

import typer

Complete = Callable[[typer.Context, str], list[str]]
MOST_READ = 1 << 20  # bytes of a config, to see whether it is an experiment


def _quiet(complete: Complete) -> Complete:
    """Offer what goes on with what was typed and is not there yet; nothing where a folder or a file cannot be read."""

    @wraps(complete)
    def wrapper(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            given = {str(name) for own in ctx.params.values() if isinstance(own, list | tuple) for name in own}
            return [name for name in complete(ctx, incomplete) if name.startswith(incomplete) and name.isprintable() and name not in given]
        except Exception:  # whatever a damaged folder raises: an error would be printed into the line that is typed
            return []

    return wrapper


@_quiet
def run_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the runs, those of experiments by both names."""
    from curriculum.store.names import run_paths

    return _names(run_paths(_folder(ctx)), ctx)


@_quiet
def run_and_experiment_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the runs, and the experiments that have been run."""
    from curriculum.store.names import experiment_paths, run_paths

    return _names([*experiment_paths(_folder(ctx)), *run_paths(_folder(ctx))], ctx)


@_quiet
def kept_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List all that can be removed: experiments, runs, comparisons, videos and reports."""
    from curriculum.store.names import BESIDE, experiment_paths, run_paths

    folder = _folder(ctx)
    inside = [path for name in BESIDE for path in sorted((folder / name).glob("[!.]*"))]
    return _names([*experiment_paths(folder), *run_paths(folder), *inside], ctx)


@_quiet
def sheet_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the sheets that can be named, and those in the working folder."""
    from curriculum.find_file import SHEETS, collection

    return _with_files(collection(SHEETS), Path().glob("*.csv"))


@_quiet
def config_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the configs that can be named, and those in the working folder; no experiments."""
    return _configs(experiments=False)


@_quiet
def experiment_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the experiments that can be named, and those in the working folder."""
    return _configs(experiments=True)


@_quiet
def launcher_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the launchers."""
    from curriculum.config.launching import LAUNCHERS

    return list(LAUNCHERS)


@_quiet
def config_and_experiment_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the configs and the experiments that can be named, and those in the working folder."""
    return [*_configs(experiments=False), *_configs(experiments=True)]


def _configs(experiments: bool) -> list[str]:
    from curriculum.find_file import CONFIGS, collection

    def chosen(paths: Iterable[Path]) -> list[Path]:
        return [path for path in paths if _is_experiment(path) is experiments]

    return _with_files(chosen(collection(CONFIGS)), chosen(Path().glob("*.yaml")))


def _is_experiment(path: Path) -> bool | None:
    """Tell whether a file is an experiment; None where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return any(line.startswith("arms:") for line in file.read(MOST_READ).splitlines())
    except OSError:
        return None


def _with_files(collected: Iterable[Path], files: Iterable[Path]) -> list[str]:
    return sorted({*(path.stem for path in collected), *(path.name for path in files)})


def _folder(ctx: typer.Context) -> Path:
    return Path(ctx.params["runs"])


def _names(paths: Iterable[Path], ctx: typer.Context) -> list[str]:
    return [path.relative_to(_folder(ctx)).as_posix() for path in paths]
