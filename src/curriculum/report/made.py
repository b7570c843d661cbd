"""How the runs were made: their sheets side by side, configs, versions and hashes, and the commands to run all of it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curriculum.config.yaml import flat_settings
from curriculum.errors import ConfigError, CurriculumError
from curriculum.measure.comparison import Comparison
from curriculum.measure.pairing import names_of
from curriculum.measure.verdicts import SmallestEffect
from curriculum.report.sheets import changes, sheet_table
from curriculum.report.tables import Cell, Table, table
from curriculum.report.templating import render
from curriculum.store.blocks import block_paths, seeds_text
from curriculum.store.reader import Run

DIFFERS = "differs"
PROGRAM = "curriculum"
# What differs between any two runs, and says nothing about their results.
ALWAYS = ("path", "created (UTC)", "ended (UTC)", "sheet", "trained as one stack with", "seconds of training", "steps per second")


@dataclass(frozen=True)
class Command:
    """A command to run again, and what it does."""

    what: str
    text: str


@dataclass(frozen=True)
class Made:
    """All that the section shows, in its order."""

    commands: tuple[Command, ...]
    sheets: tuple[Table, ...]
    changes: tuple[Table, ...]
    facts: Table
    settings: Table | None
    configs: tuple[tuple[str, str], ...]
    more: tuple[Table, ...]


def made_section(runs: Sequence[Run], found: Comparison | None, command: str) -> str:
    """Write the section as HTML; `found` is None for a single run, and `command` is the one that makes the page."""
    return render("made.html.j2", made=made_of(runs, found, command))


def made_of(runs: Sequence[Run], found: Comparison | None, command: str) -> Made:
    """Collect how the runs were made. Raises `RunError` where one is damaged."""
    names = names_of(runs) if found is None else found.names
    return Made(
        commands=tuple(_commands(runs, names, found, command)),
        sheets=tuple(sheet_table(runs, names, place, found) for place in range(len(runs))),
        changes=() if found is None else tuple(own for pair in found.pairs for own in changes(pair, names)),
        facts=_across("How each run was made", "what", names, [_facts(run) for run in runs], unmarked=ALWAYS),
        settings=_settings(runs, names),
        configs=tuple((name, run.config_text) for run, name in zip(runs, names, strict=True)),
        more=tuple(_more(runs, names)),
    )


def _across(
    caption: str,
    what: str,
    names: Sequence[str],
    columns: Sequence[Mapping[str, str]],
    *,
    unmarked: Collection[str] = (),
    only_changed: bool = False,
) -> Table:
    """Make a table with a column for each run; where the runs differ, the cells are marked, but in rows that always differ."""
    rows: list[list[str | Cell]] = []
    for key in dict.fromkeys(key for column in columns for key in column):
        values = [column.get(key, "-") for column in columns]
        same = len(set(values)) == 1
        if not (same and only_changed):
            rows.append([key, *(Cell(value, "" if same or key in unmarked else DIFFERS) for value in values)])
    return table(caption, [what, *names], rows)


def _facts(run: Run) -> dict[str, str]:
    known, timings = run.manifest, run.manifest.get("timings", {})
    task = known["task"]
    facts: dict[str, Any] = {
        "path": run.path,
        "status": run.shown_status,
        "created (UTC)": run.created[:19].replace("T", " "),
        "ended (UTC)": str(known.get("ended", ""))[:19].replace("T", " "),
        "task": f"{task['name']}, version {task['version']}",
        "sheet": known["sheet"],
        "seeds": f"{len(run.seeds)} ({seeds_text(run.seeds)})",
        "steps": f"{run.trained_steps:,} of {known['steps']:,}",
        "device": known.get("device"),
        "threads": known.get("threads"),
        "trained as one stack with": ", ".join(name for name in known.get("stack") or () if name != run.path.name),
        "seconds of training": timings.get("train_s"),
        "steps per second": timings.get("steps_per_s"),
        **{f"version of {name}": version for name, version in run.manifest.get("versions", {}).items()},
        "git commit": known.get("git"),
        "host": known.get("host"),
        "platform": known.get("platform"),
        "hooks": len(known.get("hooks") or ()) or "none",
    }
    return {key: str(value) for key, value in facts.items() if value not in (None, "")}


def _settings(runs: Sequence[Run], names: Sequence[str]) -> Table | None:
    """Make the table of the settings in which the configs differ, seeds aside; None for a single run."""
    if len(runs) < 2:
        return None
    try:
        settings = [flat_settings(run.config_text, str(run.config_path)) for run in runs]
    except ConfigError:
        return None
    written = [{key: _written(value) for key, value in own.items() if key.partition(".")[0] != "seeds"} for own in settings]
    return _across("Settings that differ", "setting", names, written, only_changed=True)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _more(runs: Sequence[Run], names: Sequence[str]) -> Iterable[Table]:
    """Make the tables of hashes, hooks, blocks, and stretches of training."""
    hashes = [_hashes(run) for run in runs]
    yield _across("Hashes (SHA-256)", "of", names, hashes, unmarked=[key for own in hashes for key in own if "." in key])
    hooks = [
        [name, str(own.get("call")), f"{own.get('event')}{':' + own['action'] if own.get('action') else ''}", str(own.get("source") or "-")]
        for run, name in zip(runs, names, strict=True)
        for own in run.manifest.get("hooks") or ()
        if isinstance(own, Mapping)
    ]
    if hooks:
        yield table("Hooks", ["run", "hook", "event", "hash of its source"], hooks)
    keys = ("from", "to", "status", "started", "ended")
    segments = [
        [name, *(str(own.get(key, "-")) for key in keys)]
        for run, name in zip(runs, names, strict=True)
        for own in run.manifest.get("segments", [])
        if len(run.manifest["segments"]) > 1
    ]
    if segments:
        yield table("Stretches of training", ["run", "from step", *keys[1:]], segments, right=[1, 2])
    blocks = [
        [name, str(own.get("name")), seeds_text(own["seeds"]), str(own.get("status", "-")), str(own.get("created", "-"))]
        for run, name in zip(runs, names, strict=True)
        for own in run.manifest.get("blocks") or ()
    ]
    if blocks:
        yield table("Blocks of seeds", ["run", "block", "seeds", "status", "created"], blocks)


def _hashes(run: Run) -> dict[str, str]:
    hashes = run.manifest["hashes"]
    flat = {key: str(value) for key, value in hashes.items() if isinstance(value, str)}
    probes = {f"probe {key}": str(value) for key, value in hashes.get("probes", {}).items()}
    source = {"code of the task": str(run.manifest["task"]["source"])} if run.manifest["task"].get("source") else {}
    return {**flat, **source, **probes, **{key: str(value) for key, value in run.manifest.get("files", {}).items()}}


def _commands(runs: Sequence[Run], names: Sequence[str], found: Comparison | None, command: str) -> Iterable[Command]:
    """List the commands that train the runs again, compare them, verify them, and make this page."""
    trained: dict[str, list[str]] = {}
    for run, name in zip(runs, names, strict=True):
        for text in _trained_by(run):
            trained.setdefault(text, []).append(name)
    yield from (Command(f"train {', '.join(dict.fromkeys(own))}", text) for text, own in trained.items())
    if found is not None:
        yield Command("compare", _compare(runs, found))
    yield Command("verify", "\n".join(shlex.join([PROGRAM, "verify", str(run.path)]) for run in runs))
    yield Command("make this page", command)


def _trained_by(run: Run) -> list[str]:
    """Give the commands by which a run was trained: of one whose seeds were joined from blocks, that of each block."""
    manifests = [run.manifest]
    if not run.manifest.get("argv"):
        for path in block_paths(run.path):
            with suppress(CurriculumError):
                manifests.append(Run(path).manifest)
    return list(dict.fromkeys(_shown([str(part) for part in own["argv"]]) for own in manifests if own.get("argv")))


def _shown(argv: Sequence[str]) -> str:
    """Write a command line as a person types it: the program by its name, and a script with `python`."""
    program = Path(argv[0]).name
    if program in (PROGRAM, "__main__.py", "-c", ""):
        return shlex.join([PROGRAM, *argv[1:]])
    return shlex.join(["python", *argv]) if program.endswith(".py") else shlex.join(argv)


def _compare(runs: Sequence[Run], found: Comparison) -> str:
    """Write the command that compares the runs in the same way."""
    words = [PROGRAM, "compare", *(str(run.path) for run in runs)]
    pairs = [(pair.first, pair.other) for pair in found.pairs]
    others = {other for _, other in pairs}
    if len(runs) > 2 and len(pairs) == len(runs) * (len(runs) - 1) // 2:
        words.append("--all-pairs")
    elif len(others) == 1 and pairs != [(0, other) for other in range(1, len(runs))]:
        words += ["--baseline", str(runs[others.pop()].path)]
    for id_ in found.primary or ():
        words += ["--primary", id_]
    usual = SmallestEffect()
    if found.smallest.ratio != usual.ratio:
        words += ["--smallest-ratio", f"{found.smallest.ratio:g}"]
    for id_, amount in found.smallest.own.items():
        words += ["--smallest", f"{id_}={amount:g}"]
    return shlex.join(words)
