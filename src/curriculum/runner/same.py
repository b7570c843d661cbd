"""Compare a plan with the inputs of a stored run, and check whether plans can train as one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.errors import InputError
from curriculum.runner.hook_records import hook_differences, records_of, stored_records, uncertainties
from curriculum.runner.plan import Plan, near_of
from curriculum.runner.provenance import made_from
from curriculum.runner.stamps import versions
from curriculum.sheet.lines import differing_line
from curriculum.sheet.table import table_line
from curriculum.store.merging import FREE
from curriculum.store.reader import Run
from curriculum.train.make import settings_of

CODE = ("the code of the task", "the data of the task")  # how differences begin that a user may accept


def check_same(checked: Plan, run: Run) -> None:
    """Raise `InputError` with the differences if a plan differs from that of a run."""
    found = differences(checked, run)
    if found:
        what = f"it was created with different inputs: {'; '.join(found)}"
        raise InputError(f"cannot resume {run.path}: {what}. Choose another --name for a new run{accept_hint(found)}")


def differences(checked: Plan, run: Run, only: Sequence[str] = ("task", "seeds", "steps", "sheet", "config", "hooks")) -> list[str]:
    """List the differences between a plan and the inputs of a run, each as a clause."""
    made, stored = made_from(checked), run.manifest
    found = []
    if "task" in only:
        found += [] if checked.accepts_changed_code and same_task(made["task"], stored["task"]) else changed(made["task"], stored["task"])
    for key in ("seeds", "steps"):
        if key in only and stored.get(key) != made[key]:
            found.append(f"{key} = {_short(made[key])}, was {_short(stored.get(key))}")
    if "sheet" in only and stored["hashes"]["sheet"] != made["sheet"]:
        found.append(_sheet_difference(checked, run))
    if "config" in only:
        found += _config_differences(checked, run)
    if "hooks" in only:
        before = stored_records(run)
        found += hook_differences(records_of(checked.hooks), before) if before is not None else []
    return found


def accept_hint(found: Sequence[str]) -> str:
    """Say what resumes all the same, where only code or data have changed."""
    return ", or resume it all the same with --accept-changed-code" if all(one.startswith(CODE) for one in found) else ""


def same_task(made: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Tell whether a task has the name and the version of that of a run."""
    return bool((made["name"], made["version"]) == (stored["name"], stored["version"]))


def changed(made: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Say in what a task differs from that of a run: in its name, its version, the code in its file, or its data."""
    if not same_task(made, stored):
        return [f"task = {_short(made)}, was {_short(stored)}"]
    if made.get("source") != stored.get("source"):
        return [f"the code of the task in {made.get('file', 'the package')} has changed"]
    return ["the data of the task have changed"] if made.get("data") != stored.get("data") else []


def uncertain(checked: Plan, run: Run) -> list[str]:
    """List the hooks that cannot be compared with those of a stored run."""
    before = stored_records(run)
    return uncertainties(records_of(checked.hooks), before) if before is not None else []


def _short(value: object) -> str:
    text = f"{value['name']} version {value['version']}" if isinstance(value, Mapping) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _sheet_difference(checked: Plan, run: Run) -> str:
    for name, table in checked.sheet.tables.items():
        stored = run.sheet.tables.get(name)
        if stored is not None and table_line(name, stored) != table_line(name, table):
            return f"the timing {name!r} of the sheet {checked.sheet.source} has changed"
    return f"the sheet {checked.sheet.source} differs, first at line {differing_line(run.sheet_bytes, checked.sheet_bytes)}"


def _config_differences(checked: Plan, run: Run) -> list[str]:
    try:
        stored = configs.load(run.config_text, str(run.config_path), partial(settings_of, near=near_of(run)), plugins.names("task"))
    except InputError as error:
        return [f"the stored config cannot be read ({error})"]
    before, after = _flat(stored.dump()), _flat(checked.config.dump())
    keys = [key for key in dict.fromkeys([*after, *before]) if before.get(key) != after.get(key) and key not in FREE]
    return [f"{key} = {_short(after.get(key, 'absent'))}, was {_short(before.get(key, 'absent'))}" for key in keys]


def _flat(tree: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(tree, Mapping) or not tree:
        return {prefix: tree}
    inner = [_flat(value, f"{prefix}.{key}".removeprefix(".")) for key, value in tree.items()]
    return {name: value for part in inner for name, value in part.items()}


def other_versions(run: Run) -> list[str]:
    """List the versions that differ from those of a stored run."""
    fresh = versions()
    stored = run.manifest.get("versions", {})
    changed = [
        f"the version of {name} is {fresh[name]}, was {stored[name]}" for name in fresh if name in stored and stored[name] != fresh[name]
    ]
    return [f"{run.path}: {'; '.join(changed)}; its numbers may differ in the last bits"] if changed else []


def shared(checked: Plan) -> dict[str, object]:
    """List what the arms of one stack share, by the names of the settings: training takes it from the first of them."""
    config = checked.config.dump()
    settings = _flat({name: config[name] for name in ("task", "optimizer", "device", "threads", "stack", "stack_memory", "compile")})
    return {"steps": len(checked.schedule), "task.version": checked.task.version, **settings}


def check_arms(plans: Sequence[Plan], paths: Sequence[Path | None]) -> None:
    """Raise `InputError` with two plans and their differences if plans cannot train as one stack."""
    stored = [path for path in paths if path is not None]
    for path in stored:
        if stored.count(path) > 1:
            raise InputError(f"two arms of one stack cannot both be stored in {path}: rename one of them")
    names = [
        f"{f'arm {number}' if path is None else path} ({checked.sheet.source})"
        for number, (checked, path) in enumerate(zip(plans, paths, strict=True), 1)
    ]
    first = shared(plans[0])
    for checked, name in zip(plans, names, strict=True):
        own = shared(checked)
        found = [key for key in dict.fromkeys([*first, *own]) if first.get(key) != own.get(key)]
        if found:
            values = (f"{key} ({_short(first.get(key, 'absent'))} and {_short(own.get(key, 'absent'))})" for key in found)
            raise InputError(
                "arms of one stack must share the task, the optimizer, the device, the threads and the number of steps: "
                f"{names[0]} and {name} differ in {', '.join(values)}. Train them separately"
            )
