"""Plan the arms of an ablation: two sheets, and each with one part of the other at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curriculum.errors import InputError
from curriculum.play.sheets import load_sheet
from curriculum.runner.arms import Study, study_of
from curriculum.runner.plan import plan, with_sheet
from curriculum.sheet.ablate import By, Part, exchanged, parts, same_phases
from curriculum.sheet.document import Dopesheet
from curriculum.store.names import plain


@dataclass(frozen=True)
class Exchange:
    """The arms of an ablation, checked: both sheets, the second with each part of the first, and the first with each of the second.

    `warnings` say what the answer will not tell.
    """

    names: tuple[str, str]
    parts: tuple[Part, ...]
    study: Study
    folder: Path
    warnings: tuple[str, ...]


def plan_exchange(
    first: str | Path | Dopesheet,
    second: str | Path | Dopesheet,
    folder: Path,
    config: str | Path,
    *,
    by: By = "column",
    overrides: Iterable[str] = (),
    seeds: str | None = None,
    steps: int | None = None,
) -> Exchange:
    """Check all arms of an ablation of two sheets; their runs are stored in a folder named after both.

    Raises `InputError` for what is wrong in a sheet or in the config, for sheets that cannot be taken apart, and for an arm that the
    task does not allow.
    """
    sheets = load_sheet(first)[0], load_sheet(second)[0]
    names = Path(sheets[0].source).stem, Path(sheets[1].source).stem
    if names[0] == names[1]:
        names = f"{names[0]}-a", f"{names[1]}-b"
    found = parts(*sheets, by)

    plans = [plan(config, first, overrides=overrides, seeds=seeds, steps=steps)]
    plans.append(plan(config, second, overrides=overrides, seeds=seeds, steps=steps, like=plans[0]))
    arms = [*names]
    for own, (sheet, donor) in ((names[1], (sheets[1], sheets[0])), (names[0], sheets)):
        for part in found:
            arm = f"{own}-with-{_named(part, found)}"
            try:
                plans.append(with_sheet(plans[0], replace(exchanged(sheet, donor, part), source=f"{arm}.csv")))
            except InputError as error:
                raise InputError(f"{sheet.source} cannot be trained with the part {part.name!r} of {donor.source}:\n{error}") from None
            arms.append(arm)
    place = folder / f"{names[0]}-vs-{names[1]}-by-{by}"
    differ = f"{sheets[0].source} and {sheets[1].source} have different phases, which are not exchanged: what they do counts as interaction"
    return Exchange(names, found, study_of(arms, plans, place), place, () if same_phases(*sheets) else (differ,))


def _named(part: Part, all_parts: Sequence[Part]) -> str:
    """Name a part as a folder can be named; numbers tell those apart that would be called the same."""
    names = [plain(own.name) for own in all_parts]
    place = all_parts.index(part)
    return names[place] if names.count(names[place]) == 1 else f"{names[place]}-{place + 1}"
