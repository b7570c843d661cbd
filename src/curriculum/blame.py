"""Find where a user's own code failed: their file, the line and the error, for a message without a traceback."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable
from traceback import walk_tb

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_STANDARD = tuple({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")


def blame(error: BaseException, own: Iterable[str] = ()) -> str:
    """Describe a fault in a user's code: `digits.py:31: NameError: name 'logit' is not defined (in losses)`.

    The line is the deepest one in the traceback that belongs neither to this package, nor to an installed one, nor to the
    standard library; empty if there is none. `own` are modules whose packages are the user's even if they are installed. A path
    inside the working folder is relative to it.
    """
    if isinstance(error, SyntaxError) and error.filename is not None and is_own(error.filename):
        return f"{shown(error.filename)}:{error.lineno or 1}: {type(error).__name__}: {error.msg}"
    packages = {module.partition(".")[0] for module in own}
    frames = [
        (frame, line)
        for frame, line in walk_tb(error.__traceback__)
        if is_own(frame.f_code.co_filename, str(frame.f_globals.get("__name__", "")).partition(".")[0] in packages)
    ]
    if not frames:
        return ""
    (frame, line), text = frames[-1], str(error)
    name = frame.f_code.co_name
    place = "" if name == "<module>" else f" (in {name})"
    return f"{shown(frame.f_code.co_filename)}:{line}: {type(error).__name__}{': ' if text else ''}{text}{place}"


def shown(path: str | os.PathLike[str]) -> str:
    """Write a path as a message names it: relative to the working folder if it is inside it."""
    path = os.path.abspath(path)
    try:
        inside = os.path.relpath(path)
    except OSError:  # the working folder was deleted
        return path
    return path if inside.split(os.sep)[0] == os.pardir else inside


def is_own(file: str, installed: bool = False) -> bool:
    """Tell whether code in a file is a user's; `installed` says that their package may be an installed one."""
    if file.startswith("<"):  # no file: generated code, or an interactive session
        return False
    path = os.path.realpath(file)
    if _inside(path, _PACKAGE):
        return False
    return installed or not (any(part in _INSTALLED for part in path.split(os.sep)) or any(_inside(path, root) for root in _STANDARD))


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)
