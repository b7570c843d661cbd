"""Faults in the code of a task, as a user should read them: with the file and line, and what can be done."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from curriculum.blame import blame, shown
from curriculum.errors import CurriculumError, InputError

# What PyTorch says where something cannot be computed for a stack, and what it means.
_STACK_FAULTS = (
    (
        "called random operation",
        "this random function cannot differ from seed to seed in a stack: use dropout, torch.rand, torch.randn, torch.randint or "
        "torch.bernoulli inside `losses`",
    ),
    (
        "data-dependent control flow",
        "a tensor's value decides what is computed (if, while or float), which cannot differ from seed to seed in a stack: use torch.where",
    ),
    (".item()", "a tensor's value is read by .item(), float() or int(), which is impossible in a stack: compute with tensors"),
    ("inplace arithmetic", "a tensor that all seeds share is changed in place, which is impossible in a stack: compute a new tensor"),
)
OFF = "or train the seeds one after the other with `stack: off`"


class MisuseError(InputError):
    """A method of a task that gave something that cannot be used."""

    def __init__(self, method: str, message: str):
        super().__init__(message)
        self.method = method


def explained(
    error: BaseException, task: object, when: str = "", kind: Callable[[str], CurriculumError] = CurriculumError
) -> BaseException:
    """Turn a fault in a task's code into an error with its file and line; another error is given back as it is.

    `when` says at what step it happened, such as `at step 30`; `kind` makes the error of its message.
    """
    module = (task if isinstance(task, type) else type(task)).__module__.partition(".")[0]
    own = [module] if module != "curriculum" else []
    if isinstance(error, MisuseError):
        return kind(_dated(f"{place_of(task, error.method)}: {error.method}: {error}", when))
    found = "" if isinstance(error, CurriculumError) and not isinstance(error, InputError) else blame(error, own)
    if not found:
        return error
    plain = found.replace(f"{type(error).__name__}: ", "", 1) if isinstance(error, CurriculumError) else found
    return kind(_dated(_readable(str(error), plain), when))


def _dated(said: str, when: str) -> str:
    """Add when it happened to what a message says of where: `(in losses, at step 30)`."""
    if not when:
        return said
    return f"{said[:-1]}, {when})" if re.search(r" \(in \w+\)$", said) else f"{said} ({when})"


@contextmanager
def faults_of(task: object, when: str) -> Iterator[None]:
    """Explain the faults of a task's code in a context; `when` says at what step it is."""
    try:
        yield
    except Exception as error:
        found = explained(error, task, when)
        if found is error:
            raise
        raise found from error


def _readable(said: str, found: str) -> str:
    """Replace what PyTorch says of a stack by what it means to a user."""
    place = found.partition(": ")[0]
    inside = found[found.rfind(" (in ") :] if found.endswith(")") and " (in " in found else ""
    for words, meaning in _STACK_FAULTS:
        if words in said and ("vmap" in said or "functorch" in said):
            return f"{place}: {meaning}, {OFF}{inside}"
    if "vmap" in said or "functorch" in said or "Batching rule" in said:
        first = said.strip().splitlines()[0][:200].rstrip(".")
        return f"{place}: this cannot be computed for a stack of seeds ({first}): use another operation, {OFF}{inside}"
    return " ".join(found.split())


def place_of(task: object, method: str = "") -> str:
    """Give the file and line where the class of a task, or one of its methods, is defined."""
    kind = task if isinstance(task, type) else type(task)
    code: Any = getattr(getattr(kind, method, None), "__code__", None) if method else None
    if code is not None:
        return f"{shown(code.co_filename)}:{code.co_firstlineno}"
    try:
        return f"{shown(inspect.getfile(kind))}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return kind.__qualname__
