"""Find a task, measure, figure, film or timing by its name.

Shipped: one file, one name. What is special to a task stands in the task's room, what suits any task in the general one.
From outside: `./digits.py:Digits`, `package.module:Name`, or the name of an entry point of an installed package. Nothing
is imported but what is asked for, so that a broken file stops nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from curriculum import outside
from curriculum.errors import InputError, unknown
from curriculum.outside import Folders, Reference, import_module_of, pick, place_of, read_reference

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True)
class Kind:
    """A kind of thing: where shipped ones are, in the entry points of which `group` others are, and what any of them must be.

    Shipped ones are the `attribute` of each module in `places`, or the items of a `table`. Each is an instance of the class
    `type`, or a subclass of it if they are `classes`; without a type it is a function.
    """

    group: str
    places: tuple[str, ...] = ()
    attribute: str = ""
    table: str = ""
    type: str = ""
    classes: bool = False

    @property
    def requirement(self) -> str:
        """What a thing of this kind must be, in words."""
        public = f"curriculum.{self.type.partition(':')[2]}"
        return f"a subclass of {public}" if self.classes else f"an instance of {public}" if self.type else "a function"


KINDS: Mapping[str, Kind] = {
    "task": Kind("curriculum.tasks", ("tasks/*/task.py",), "TASK", type="curriculum.train.task:Task", classes=True),
    "measure": Kind(
        "curriculum.measures", ("measure/metrics/*.py", "tasks/*/metrics/*.py"), "METRIC", type="curriculum.measure.metric:Metric"
    ),
    "figure": Kind("curriculum.figures", ("draw/plots/*.py", "tasks/*/plots/*.py"), "draw"),
    "comparison figure": Kind("curriculum.comparison_figures", ("tasks/*/comparisons/*.py",), "draw"),
    "timing": Kind("curriculum.timings", table="curriculum.sheet.easings:EASINGS"),
    "film": Kind("curriculum.films", ("draw/films/*.py", "tasks/*/films/*.py"), "FILM"),
}
_ROOT = Path(__file__).parent


def names(kind: str) -> tuple[str, ...]:
    """List the names of the things of a kind, shipped ones and entry points, without importing them."""
    return tuple(sorted({*_shipped(kind), *(point.name for point, _ in _entry_points(kind))}))


def shipped_names(kind: str) -> tuple[str, ...]:
    """List the names of the things of a kind that come with the program, without importing them."""
    return tuple(sorted(_shipped(kind)))


def shipped(kind: str, name: str) -> Any:
    """Import a thing that comes with the program.

    What looks at a stored run finds things only so: a name in it must never execute code of a user's. Raises `InputError`
    with the nearest name if none matches.
    """
    places = _shipped(kind)
    if name not in places:
        raise InputError(unknown(kind, name, sorted(places)))
    return _object(places[name]) if KINDS[kind].places else _object(KINDS[kind].table)[name]


def find(kind: str, name: str, near: Folders = ()) -> Any:
    """Import the thing of a kind, `task`, `measure`, `figure` or `timing`, that has this name.

    A relative file is looked for in the working folder, then in the folders `near`. Raises `InputError` if there is none,
    with the nearest name; if its code cannot be imported, with the line at fault; if two have the name; and if it is
    something else.
    """
    reference, what = _reference(kind, name)
    if reference is None:
        return shipped(kind, name)
    module = import_module_of(reference, what, near)
    if not reference.name:
        raise InputError(f"{what}: write {reference.place}:NAME ({_choice(kind, module)})")
    try:
        found = pick(module, reference.name, what)
    except InputError as error:
        raise InputError(f"{error} ({_choice(kind, module)})") from None
    if not _suits(kind, found):
        wanted = KINDS[kind].requirement
        raise InputError(f"{what}: {reference.name} in {place_of(module)} is not {wanted} ({_choice(kind, module)})")
    return found


def source_of(name: str, near: Folders = (), kind: str = "task") -> tuple[Path, str] | None:
    """Give the resolved path of the file that a thing from outside is in, and a hash of its code, without importing it.

    That is the SHA-256 of the file's bytes, or of all files if it imports others beside it. None for a shipped thing, and for
    a module that is no file. Raises `InputError` as `find` does where there is no file.
    """
    reference, what = _reference(kind, name)
    return outside.source_of(reference, what, near) if reference is not None else None


def _reference(kind: str, name: str) -> tuple[Reference | None, str]:
    """Find what a name refers to, None for a shipped thing, and how an error about it begins."""
    what = f"cannot load the {kind} {name!r}"
    if (reference := read_reference(name)) is not None:
        return reference, what
    known = _shipped(kind)
    points = [(point, by) for point, by in _entry_points(kind) if point.name == name]
    places = [(known[name], "curriculum")] if name in known else []
    places += [(point.value, by) for point, by in points]
    if len(places) > 1:
        raise InputError(
            f"there are {len(places)} {kind}s named {name!r}, from {' and '.join(by for _, by in places)}: "
            f"write the one that you mean as {' or '.join(place for place, _ in places)}"
        )
    if points:
        ((place, by),) = places
        what = f"{what} from {by}"
        found = read_reference(place.partition("[")[0].strip())
        if found is None or found.is_file or not found.name:
            raise InputError(f"{what}: its entry point is {place!r}, not PACKAGE.MODULE:NAME")
        return found, what
    if name not in known:
        hint = f"; for the one in {name}.py, write ./{name}.py:NAME" if Path(f"{name}.py").is_file() else ""
        raise InputError(unknown(kind, name, [*names(kind), "./FILE.py:NAME", "PACKAGE.MODULE:NAME"]) + hint)
    return None, what


def _entry_points(kind: str) -> Iterator[tuple[EntryPoint, str]]:
    """Find the entry points of a kind, each with the name of its distribution; broken metadata has none."""
    from importlib.metadata import distributions

    seen = set()
    for distribution in distributions():
        try:
            own = [point for point in distribution.entry_points if point.group == KINDS[kind].group]
            title = distribution.metadata["Name"] if own else ""
        except Exception:
            # Whatever is wrong with another package is no concern of whoever names a thing of this one.
            continue
        if own and title not in seen:  # the same distribution is found again through a second entry of sys.path
            seen.add(title)
            yield from ((point, title) for point in own)


@cache
def _shipped(kind: str) -> Mapping[str, str]:
    """Give for each shipped name the `module:attribute` that it is; a task is named by its room."""
    own = KINDS[kind]
    if own.table:
        return MappingProxyType(dict.fromkeys(_object(own.table), own.table))
    files = [path for pattern in own.places for path in sorted(_ROOT.glob(pattern)) if path.stem != "__init__"]
    modules = [".".join(("curriculum", *path.relative_to(_ROOT).with_suffix("").parts)) for path in files]
    titles = [path.parent.name if kind == "task" else path.stem for path in files]
    return MappingProxyType({title: f"{module}:{own.attribute}" for title, module in zip(titles, modules, strict=True)})


def _object(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _suits(kind: str, thing: object) -> bool:
    own = KINDS[kind]
    if not own.type:
        return callable(thing) and not isinstance(thing, type)
    wanted = _object(own.type)
    return isinstance(thing, type) and issubclass(thing, wanted) if own.classes else isinstance(thing, wanted)


def _choice(kind: str, module: ModuleType) -> str:
    """List the things of a kind that a module defines, as a clause."""
    own = [name for name, value in vars(module).items() if not name.startswith("_") and _suits(kind, value) and _defined_in(module, value)]
    return f"{kind}s in it: {', '.join(own)}" if own else f"it has no {kind}"


def _defined_in(module: ModuleType, thing: object) -> bool:
    return thing.__module__ == module.__name__ if isinstance(thing, type | FunctionType) else True
