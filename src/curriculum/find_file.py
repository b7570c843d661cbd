"""Find sheets and configs: by path, then in the working folder's collection, then in the package's."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from curriculum.errors import ConfigError, InputError, Problem, nearest

SHEETS, CONFIGS = "dopesheets", "configs"
DEFAULT_CONFIG = "default"
MOST_BYTES = 16 * 2**20
SUFFIX = {SHEETS: ".csv", CONFIGS: ".yaml"}


def shipped(kind: str) -> Path:
    """Give the folder of the sheets or configs that come with the program."""
    package = Path(__file__).parent
    inside = package / kind
    return inside if inside.is_dir() else package.parents[1] / kind  # a checkout keeps them at its top


def find_file(reference: str | Path, kind: str, near: Sequence[Path] = ()) -> Path:
    """Find a sheet or config; the suffix may be left out. The folders `near` are searched after the working folder.

    Raises `InputError` with the nearest name where there is none, and for a pipe or a device: both can be read only once.
    """
    folders = [Path(), *near, Path(kind), shipped(kind)]
    suffix, thing = SUFFIX[kind], kind.removesuffix("s")
    original, reference = reference, Path(reference)
    for folder in folders[:1] if reference.is_absolute() else folders:
        for name in (reference, reference.with_name(reference.name + suffix) if reference.name else reference):
            path = folder / name
            if path.is_file():
                return path
            if path.exists() and not path.is_dir():
                raise InputError(f"{path} is not a regular file: a {thing} from a pipe or a device must be saved as a file first")
    if not str(original):
        raise InputError(f"an empty name is not a {thing}")
    if reference.is_dir():
        raise InputError(f"{str(reference)!r} is a folder, not a {thing}")
    names = sorted({path.name for folder in folders for path in folder.glob(f"*{suffix}")})
    guess = nearest(reference.name, [*names, *(name.removesuffix(suffix) for name in names)])
    hint = f", did you mean {guess!r}?" if guess else ""
    raise InputError(
        f"there is no {thing} {str(reference)!r}{hint} (looked in the working folder, in {kind}/ and among: {', '.join(names[:12])})"
    )


def collection(kind: str) -> list[Path]:
    """List the sheets or configs that can be named without a path, in order of name.

    A file in the working folder's collection hides a shipped one of the same name.
    """
    found = {path.name: path for folder in (shipped(kind), Path(kind)) for path in folder.glob(f"*{SUFFIX[kind]}")}
    return [found[name] for name in sorted(found)]


def read_sheet(reference: str | Path, near: Sequence[Path] = ()) -> tuple[str, bytes]:
    """Find a sheet and read it: its path as messages name it, and its bytes. The folders `near` are searched too.

    Raises `InputError` where it cannot be found or read, or is larger than any sheet.
    """
    path = find_file(reference, SHEETS, near)
    return str(path), _read(path)


def read_config(reference: str | Path, near: Sequence[Path] = ()) -> tuple[str, str]:
    """Find a config or an experiment and read it: its path as messages name it, and its text. The folders `near` are searched too.

    Raises `InputError` where it cannot be found or read, `ConfigError` where it is not UTF-8 text.
    """
    path = find_file(reference, CONFIGS, near)
    data = _read(path)
    try:
        return str(path), data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(str(path), line, 0, f"byte 0x{error.object[error.start]:02x} is not UTF-8 text")]) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES:,} bytes, which is too large for a sheet or a config")
    return data
