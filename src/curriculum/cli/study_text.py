"""What an experiment will train and judge, before it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from curriculum.console import put, put_json, put_table

if TYPE_CHECKING:
    from curriculum.runner.arms import Study


def undecidable(study: Study) -> Iterator[str]:
    """Say before training that there are too few seeds to decide anything, and how many it takes."""
    from curriculum.runner.experiment_file import tests_of

    if study.record.looks is None:  # looks that could not find anything are not planned
        yield from too_few(min(len(checked.seeds) for checked in study.plans), tests_of(study))


def too_few(seeds: int, tests: int) -> Iterator[str]:
    """Say that so many seeds cannot decide so many tests, and how many it takes."""
    from curriculum.measure.exact import pairs_needed, smallest_p
    from curriculum.measure.pairing import FEWEST
    from curriculum.measure.verdicts import ALPHA

    if seeds < FEWEST:
        yield f"with {seeds} seed{'' if seeds == 1 else 's'}, nothing is judged: at least {max(FEWEST, pairs_needed(tests))} are needed"
    elif smallest_p(seeds, tests) > ALPHA:
        yield (
            f"with {seeds} seeds and {tests} tests, p cannot be below {smallest_p(seeds, tests):.2g}, so that no difference can be found: "
            f"{pairs_needed(tests)} seeds or fewer tests are needed ('primary' in the experiment chooses what is judged)"
        )


def print_study(study: Study, as_json: bool) -> None:
    """Print what would be trained and judged."""
    from curriculum.measure.exact import smallest_p
    from curriculum.runner.experiment_file import tests_of
    from curriculum.runner.opening import is_unfinished

    states = [
        "finished" if done else "resumes" if is_unfinished(path) else "new" for done, path in zip(study.done, study.paths, strict=True)
    ]
    tests, seeds = tests_of(study), min(len(checked.seeds) for checked in study.plans)
    record = study.record
    if as_json:
        arms = [
            {"name": name, "path": str(path), "sheet": checked.sheet.source, "steps": len(checked.schedule), "state": state}
            for name, path, checked, state in zip(study.names, study.paths, study.plans, states, strict=True)
        ]
        stacks = [[study.names[place] for place in places] for places in study.stacks]
        judged: dict[str, object] = {
            "baseline": record.baseline,
            "primary": record.primary,
            "tests": tests,
            "smallest_p": smallest_p(seeds, tests),
        }
        judged["looks"] = None if record.looks is None else [look.model_dump() for look in record.looks]
        put_json({"arms": arms, "seeds": list(study.plans[0].seeds), "stacks": stacks, **judged, "warnings": list(undecidable(study))})
        return
    rows = [
        [
            name,
            record.arms[name].label or "-",
            checked.sheet.source,
            f"{len(checked.schedule):,}",
            f"{len(checked.seeds)}",
            state,
            str(path),
        ]
        for name, checked, state, path in zip(study.names, study.plans, states, study.paths, strict=True)
    ]
    put_table(["arm", "label", "sheet", "steps", "seeds", "state", "run"], rows, f"Arms of {study.folder.name}", right=[3, 4])
    for number, places in enumerate(study.stacks, start=1):
        names = ", ".join(study.names[place] for place in places)
        put(f"stack {number}: {names} ({sum(len(study.plans[place].seeds) for place in places)} models)")
    against = f"each other arm against {record.baseline}" if record.baseline else f"{study.names[0]} against each other arm"
    what = ", ".join(record.primary) if record.primary else "every measure of the task"
    put(f"judged: {against}, by {what}: {tests} tests; the smallest possible p is {smallest_p(seeds, tests):.2g}")
    if record.looks is not None:
        looks = ", ".join(f"{look.seeds} (p up to {look.alpha:.2g})" for look in record.looks)
        put(f"looks, until every measure that is judged is decided, at this many seeds: {looks}")
    for warning in undecidable(study):
        put(f"warning: {warning}")
