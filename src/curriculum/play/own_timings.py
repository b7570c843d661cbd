"""Find the timings of a user's own that a sheet names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from curriculum import plugins
from curriculum.blame import blame
from curriculum.errors import InputError
from curriculum.sheet.easings import Array, Curve


def timings_for(source: str | Path, near: Sequence[Path] = ()) -> Callable[[str], Curve | None]:
    """Give what finds the timings that the sheet `source` names: in a file, a module, or by an entry point.

    A relative file is looked for in the working folder, then next to the sheet, then in the folders `near`. What is found
    raises `InputError` with the line of the user's code if that fails; None is found for a name that is unknown.
    """
    folders = ((Path(source).resolve().parent,) if Path(source).is_file() else ()) + tuple(near)

    def find(name: str) -> Curve | None:
        if ":" not in name and name not in set(plugins.names("timing")) - set(plugins.shipped_names("timing")):
            return None
        function: Curve = plugins.find("timing", name, folders)

        def call(u: Array) -> Array:
            try:
                return function(u)
            except (Exception, SystemExit) as error:
                own = getattr(function, "__module__", None) or ""
                raise InputError(blame(error, [own]) or f"{type(error).__name__}: {error}") from error

        return call

    return find
