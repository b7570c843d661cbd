"""The errors a person sees: where, what was read, what is allowed, the nearest name, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

MOST_PROBLEMS = 500  # that are looked for in one input
MOST_PROBLEMS_SHOWN = 50


class CurriculumError(Exception):
    """Something that went wrong and that the message explains in full.

    `exit_code` is what the command line returns for it: 1 where the work failed.
    """

    exit_code = 1


class InputError(CurriculumError):
    """What the user wrote cannot be used as it stands."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in one input, with its place.

    `line` and `column` count from 1, and 0 means that there is none. In a sheet the column is
    the cell's position in its row, in a YAML file that of the character.
    """

    source: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class ProblemsError(InputError):
    """The mistakes in the input, reported together; of a great many the first are shown and the others counted.

    Whoever looks for them may stop after `MOST_PROBLEMS`.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MOST_PROBLEMS_SHOWN]]
        hidden = len(self.problems) - len(lines)
        if hidden:
            atleast = "at least " if len(self.problems) >= MOST_PROBLEMS else ""
            lines.append(f"... and {atleast}{hidden} more")
        return "\n".join(lines)


class SheetError(ProblemsError):
    """A dopesheet that cannot be read, or does not fit what is trained."""


class ConfigError(ProblemsError):
    """A config that cannot be read or does not fit its schema."""


class RunError(CurriculumError):
    """A run folder that is damaged, or cannot be written."""


class OutputExistsError(CurriculumError):
    """A result would be written where something is stored already."""


class InUseError(CurriculumError):
    """Another process is at work on the same thing."""


class DifferenceError(CurriculumError):
    """Something that was stored is not what it was, or not what training it again gives."""

    exit_code = 3


class DivergedError(CurriculumError):
    """Training met a number that is not finite and stopped before using it."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """Find the allowed name that is most like `name`, or None where none is close."""
    by_lower = {option.lower(): option for option in allowed}
    close = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def unknown(kind: str, name: str, allowed: Sequence[str]) -> str:
    """Say in one sentence that `name` is no known `kind`, which ones are, and which was meant."""
    sentence = f"unknown {kind} {name!r}"
    guess = nearest(name, allowed)
    if guess is not None:
        sentence += f", did you mean {guess!r}?"
    if not allowed:
        return f"{sentence} (there are none)"
    return f"{sentence} (allowed: {', '.join(allowed)})"
