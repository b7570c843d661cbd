"""What `run.json` says of the hooks of a run, and in what other hooks differ from them.

A hook is known by its event, by the name and source of its callable, and by the numbers and texts that it brings along.
Other objects that it uses, and functions that it calls, are not compared.
"""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from curriculum.errors import RunError
from curriculum.outside import title_of
from curriculum.store.files import digest
from curriculum.store.reader import Run
from curriculum.train.hooks import Hook, definition


class HookRecord(BaseModel):
    """A hook, as `run.json` lists it.

    `call` is `module:qualname` or `file.py:qualname`, `source` the hash of its source, and `values` the hash of each plain
    value that it was made with: arguments of a partial, defaults, and variables of the functions around it. `note` says what
    cannot be compared.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    event: str
    action: str | None
    call: str
    source: str | None
    values: dict[str, str]
    note: str | None

    @property
    def place(self) -> str:
        """Its event, with the name of the action."""
        return self.event + (f":{self.action}" if self.action is not None else "")

    @property
    def title(self) -> str:
        """The hook in words."""
        return f"the hook {self.call} on {self.place}"


def records_of(hooks: Iterable[Hook]) -> list[HookRecord]:
    """Describe hooks as `run.json` lists them."""
    return [_record(hook) for hook in hooks]


def stored_records(run: Run) -> list[HookRecord] | None:
    """Read the hooks of a stored run; None for one of version 0.1, which did not list them.

    Raises `RunError` where the list is damaged.
    """
    if "hooks" not in run.manifest:
        return None
    try:
        return TypeAdapter(list[HookRecord]).validate_python(run.manifest["hooks"])
    except ValidationError as error:
        raise RunError(f"the run {run.path} is damaged: cannot read its list of hooks ({error.errors()[0]['msg']})") from None


def hook_differences(now: Sequence[HookRecord], before: Sequence[HookRecord]) -> list[str]:
    """Name what differs between two lists of hooks, each as a clause."""
    left, found = list(before), []
    for own in now:
        others = [other for other in left if (other.place, other.call) == (own.place, own.call)]
        if not others:
            found.append(f"{own.title} is new")
            continue
        other = min(others, key=lambda other: len(_changes(own, other)))
        left.remove(other)
        found += _changes(own, other)
    found += [f"{other.title} is missing (pass hooks from Python again)" for other in left]
    places = dict.fromkeys(own.place for own in now) if not found else ()
    return found + [f"the order of the hooks on {place} differs" for place in places if not _in_order(place, now, before)]


def uncertainties(now: Iterable[HookRecord], before: Iterable[HookRecord]) -> list[str]:
    """Say of which hooks something cannot be compared, each as a sentence."""
    return list(dict.fromkeys(f"cannot check whether {one.title} is the same: {one.note}" for one in (*before, *now) if one.note))


def _changes(now: HookRecord, before: HookRecord) -> list[str]:
    changes = []
    if None not in (now.source, before.source) and now.source != before.source:
        changes.append(f"the source of {now.title} differs")
    names = dict.fromkeys([*before.values, *now.values])
    return changes + [f"the value of {name!r} in {now.title} differs" for name in names if now.values.get(name) != before.values.get(name)]


def _in_order(place: str, now: Iterable[HookRecord], before: Iterable[HookRecord]) -> bool:
    pairs = zip(*([one for one in hooks if one.place == place] for hooks in (now, before)), strict=True)
    return all(own.call == other.call and not _changes(own, other) for own, other in pairs)


def _record(hook: Hook) -> HookRecord:
    own = definition(hook.call)
    source = _source(own)
    plain, others = _brought(hook.call)
    notes = [] if source is not None else ["its source is not available"]
    if others:
        notes.append(f"not compared: {', '.join(others)}")
    return HookRecord(
        event=hook.on.kind,
        action=hook.name,
        call=f"{title_of(getattr(own, '__module__', None) or 'builtins')}:{own.__qualname__}",
        source=None if source is None else digest(source.encode()),
        values={name: digest(repr(value).encode()) for name, value in plain.items()},
        note="; ".join(notes) or None,
    )


def _source(own: Any) -> str | None:
    """Read the source of a function or class; None where there is none, as for builtins and in an interactive session."""
    try:
        function = inspect.unwrap(own)
        return _lambda_source(function) if getattr(function, "__name__", "") == "<lambda>" else textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError):
        return None


def _lambda_source(function: Any) -> str | None:
    """Read a lambda's own text: the lines in which it stands hold other code, and other lambdas, too."""
    text = "".join(inspect.findsource(function)[0])
    places = {(line, column) for line, _, column, _ in function.__code__.co_positions()}
    lambdas = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda))
    found = [node for node in lambdas if (node.body.lineno, node.body.col_offset) in places]
    return ast.get_source_segment(text, found[0]) if len(found) == 1 else None


def _brought(call: Callable[..., Any]) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Find what a callable was made with: plain values by name, and the names of others."""
    found: dict[str, Any] = {}
    if isinstance(call, partial):
        found |= {f"argument {number}": value for number, value in enumerate(call.args, 1)}
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(call).parameters.values()
        found |= {one.name: one.default for one in parameters if one.default is not one.empty}
    own = definition(call)
    function = inspect.unwrap(own)
    code = getattr(function, "__code__", None)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True) if code is not None else ():
        with suppress(ValueError):  # a variable that has no value yet
            found[name] = cell.cell_contents
    # What a function sets itself is a state, which starts anew with the process.
    states = {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_DEREF"} if code is not None else set()
    plain = {name: value for name, value in found.items() if name not in states and _is_plain(value)}
    others = [repr(name) for name in found if name not in plain]
    bare = call.func if isinstance(call, partial) else call
    if own is not bare or not isinstance(getattr(bare, "__self__", None), ModuleType | None):
        others.append("the attributes of its object")
    return plain, others


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
