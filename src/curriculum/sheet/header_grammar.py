"""The grammar of a property's header: `name`, `name:space`, `name::timing` or `name:space:timing`."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from curriculum.errors import nearest, unknown
from curriculum.sheet.document import RESERVED, Column
from curriculum.sheet.easings import ALIASES, DEFAULT_SPACE, DEFAULT_TIMING, EASINGS, SPACES


def reserved_word(cell: str) -> str | None:
    """Find the reserved word (STEP, PHASE or ACTION) that a header is, or was meant to be."""
    name = cell.partition(":")[0].strip()
    word = {word.lower(): word for word in RESERVED}.get(name.lower())
    if word is None and name.isupper():
        word = next(iter(get_close_matches(name, RESERVED, 1, 0.85)), None)
    return word


def unknown_timing(name: str) -> str:
    """Say that there is no timing of this name."""
    return unknown("timing", name, [*EASINGS, *ALIASES])


def read_column(cell: str, mistake_in: Callable[[str], str] = unknown_timing) -> tuple[Column | None, list[str]]:
    """Read a property's header; return its column and a sentence for each mistake.

    `mistake_in` says what is wrong with a timing that is not built in, such as `./ease.py:spring`; nothing if it is known.

    The column is None where the header has no name. A default stands in for a space or timing that cannot be read, so that
    the cells below can be checked all the same.
    """
    name, *rest = (part.strip() for part in cell.split(":"))
    timings = [*EASINGS, *ALIASES]
    if len(rest) == 3 and all(rest[1:]) and rest[1] not in timings:
        rest = [rest[0], f"{rest[1]}:{rest[2]}"]  # a timing of a user's own, FILE.py:NAME or MODULE:NAME
    word = reserved_word(cell)
    if word:
        advice = f"{word} takes no space and no timing" if rest and name == word else f"did you mean {word!r}?"
        return None, [f"{cell!r} cannot be the name of a property: {advice}"]
    mistakes = []
    if not name or len(rest) > 2 or (rest and not rest[-1]):
        mistakes.append(f"cannot read the header {cell!r}: write 'name', 'name:space', 'name::timing' or 'name:space:timing'")
    elif not name.isprintable() or name.startswith("#"):
        mistakes.append(f"{name!r} cannot be the name of a property: use printable characters, without a leading #")
    space = rest[0] if rest and rest[0] else DEFAULT_SPACE
    timing = rest[1] if len(rest) > 1 and rest[1] else DEFAULT_TIMING
    if "/" in space or space.endswith(".py"):
        own = ":".join(rest)
        return Column(name) if name else None, [*mistakes, f"{space!r} is not a space; to use the timing {own!r}, write {name}::{own}"]
    timing = ALIASES.get(timing, timing)
    if space not in SPACES:
        meant = space if space in timings else nearest(space, timings) if nearest(space, SPACES) is None else None
        if meant:
            allowed = ", ".join(SPACES)
            mistakes.append(f"{space!r} is not a space (allowed: {allowed}); to use the timing {meant!r}, write {name}::{meant}")
        else:
            mistakes.append(unknown("space", space, list(SPACES)))
    wrong = mistake_in(timing) if timing not in EASINGS else ""
    if wrong:
        mistakes.append(wrong)
    if not name:
        return None, mistakes
    return Column(name, space if space in SPACES else DEFAULT_SPACE, DEFAULT_TIMING if wrong else timing), mistakes
