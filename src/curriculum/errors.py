"""The errors a person sees: where, what was read, what is allowed, the nearest name, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

MOST_PROBLEMS = 500  # that are looked for in one input
MOST_PROBLEMS_SHOWN = 50


class CurriculumError(Exception):
    """Base class of errors with a complete message for the user.

    `exit_code` is the exit code of the command line: 1 for a failure.
    """

    exit_code = 1


class InputError(CurriculumError):
    """The input of the user is invalid."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One error in one input, with its location.

    `line` and `column` count from 1; 0 means none. In a sheet the column is
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
    """All errors in an input, reported together. Only the first `MOST_PROBLEMS_SHOWN` are shown.

    A checker may stop after `MOST_PROBLEMS`.
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
    """The output already exists."""


class InUseError(CurriculumError):
    """Another process is using the same folder."""


class DifferenceError(CurriculumError):
    """Stored data has changed, or differs from the result of retraining."""

    exit_code = 3


class DivergedError(CurriculumError):
    """Training produced a non-finite number and stopped before using it."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """Find the allowed name closest to `name`, or None if none is close."""
    by_lower = {option.lower(): option for option in allowed}
    close = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def nearest_name(reference: str, names: Sequence[str]) -> str | None:
    """Find the name that was probably meant, perhaps that of an arm without its experiment; None if none is close."""
    arms = {name.rpartition("/")[2]: name for name in reversed(names)}
    return arms.get(reference) or nearest(reference, names) or arms.get(nearest(reference, arms) or "")


def unknown(kind: str, name: str, allowed: Sequence[str]) -> str:
    """Format the error for an unknown `name`: the closest name, and the allowed ones."""
    sentence = f"unknown {kind} {name!r}"
    guess = nearest(name, allowed)
    if guess is not None:
        sentence += f", did you mean {guess!r}?"
    if not allowed:
        return f"{sentence} (there are none)"
    return f"{sentence} (allowed: {', '.join(allowed)})"
