"""`curriculum runs` and `curriculum show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from curriculum.cli.completion import run_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put_json, put_table, say


@guarded
def list_runs(
    comparisons: Annotated[
        bool, typer.Option("--comparisons", help="List the stored comparisons instead, and what each has found.")
    ] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """List all runs, or all stored comparisons, oldest first.

    Examples:

      curriculum runs

      curriculum runs --comparisons
    """
    if comparisons:
        _list_comparisons(runs, as_json)
        return
    from curriculum.store.shelf import runs_in
    from curriculum.store.waiting import waiting

    good, damaged = runs_in(runs)
    for error in damaged:
        say(f"warning: {error}")
    keys = ("created", "sheet", "steps", "seeds")
    found: list[dict[str, Any]] = [
        {
            "name": run.path.relative_to(runs).as_posix(),
            "status": run.shown_status,
            "task": run.task_name,
            "trained": run.trained_steps,
            "waiting": waiting(run),
            **{key: run.manifest.get(key) for key in keys},
        }
        for run in good
    ]
    if as_json:
        put_json(found)
    elif not found:
        say(f"no runs in {runs} yet; train one with: curriculum train --dopesheet smooth.csv")
    else:
        rows = [[r["name"], r["status"], r["task"], r["sheet"], _progress(r), str(len(r["seeds"])), r["created"][:19]] for r in found]
        put_table(["run", "status", "task", "sheet", "steps", "seeds", "created (UTC)"], rows, right=[4, 5])
        for one in found:
            for note in one["waiting"]:
                say(f"note: {one['name']}: {note}")
        for name, counts in _blocks_of_experiments(runs).items():
            others = [f"{count} {state}" for state, count in counts.items() if count and state != "finished"]
            say(f"note: {name}: {counts['finished']} of {sum(counts.values())} blocks finished, {', '.join(others)}")


def _blocks_of_experiments(runs: Path) -> dict[str, dict[str, int]]:
    """Count the blocks of each experiment of which some are not finished."""
    from curriculum.errors import CurriculumError
    from curriculum.store.experiment import read_experiment
    from curriculum.store.names import experiment_paths
    from curriculum.store.waiting import blocks_standing

    found = {}
    for path in experiment_paths(runs):
        try:
            record = read_experiment(path)
            counts = blocks_standing(path, record) if record is not None and record.blocks else {}
        except CurriculumError as error:
            say(f"warning: {error}")
            continue
        if sum(counts.values()) > counts.get("finished", 0):
            found[path.name] = counts
    return found


def _list_comparisons(runs: Path, as_json: bool) -> None:
    from curriculum.measure.in_short import answer
    from curriculum.store.compared import comparisons_in
    from curriculum.store.names import is_run

    found, damaged = comparisons_in(runs)
    for error in damaged:
        say(f"warning: {error}")
    documents = []
    for one in found:
        names = [_place(Path(run.path), runs) for run in one.runs]
        compared = [
            {"name": name, "path": run.path, "seeds": run.seeds, "exists": is_run(Path(run.path))}
            for name, run in zip(names, one.runs, strict=True)
        ]
        pairs = [{"first": pair.first, "other": pair.other, "answer": answer(one, pair)} for pair in one.pairs]
        documents.append({"name": one.name, "path": str(one.path), "created": one.created, "runs": compared, "pairs": pairs})
    if as_json:
        put_json(documents)
    elif not documents:
        say(f"no comparisons in {runs} yet; compare two runs with: curriculum compare runA runB")
    else:
        put_table(["comparison", "created (UTC)", "runs", "seeds", "answer"], [row for one in documents for row in _rows(one)])


def _rows(one: dict[str, Any]) -> list[list[str]]:
    """Make the rows of a comparison: one for each pair, the first with its name."""
    runs = [f"{run['name']}{'' if run['exists'] else ' (removed)'}" for run in one["runs"]]
    seeds = [len(run["seeds"]) for run in one["runs"]]
    rows = [
        [f"{runs[pair['first']]} against {runs[pair['other']]}", _seeds([seeds[pair["first"]], seeds[pair["other"]]]), pair["answer"]]
        for pair in one["pairs"]
    ]
    rows = rows or [[", ".join(runs), _seeds(seeds), "stored by an earlier version: compare again for the answer"]]
    return [[one["name"], one["created"][:19], *rows[0]], *(["", "", *row] for row in rows[1:])]


def _seeds(counts: list[int]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts))


def _place(path: Path, runs: Path) -> str:
    """Name a run as the commands do: by its path in the folder of runs, if it is there."""
    whole = runs.resolve()
    return path.relative_to(whole).as_posix() if path.is_relative_to(whole) else str(path)


@guarded
def show_run(
    name: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_names, help="The name or path of a run.")],
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show the details of a run.

    Shows how it was created, how it ended, and its events.

    Examples:

      curriculum show runA
    """
    from curriculum.store.blocks import seeds_text
    from curriculum.store.manifest import skipped_updates
    from curriculum.store.shelf import find_run
    from curriculum.store.waiting import waiting

    run = find_run(name, runs)
    for note in waiting(run):
        say(f"note: {note}")
    if as_json:
        put_json({**run.manifest, "status": run.shown_status, "events": list(run.events)})
        return
    happened = run.events
    skip = ("parameters", "schema", "name", "files", "hashes", "probes", "look", "diverged", "skipped", "segments", "sha256", "blocks")
    known = {**run.manifest, "status": run.shown_status}
    rows = [[key, _text(value)] for key, value in known.items() if key not in skip and value not in (None, {}, [])]
    put_table(["", run.name], rows)
    if blocks := run.manifest.get("blocks"):
        cells = [[own["name"], seeds_text(own["seeds"]), own["status"], own["created"][:19]] for own in blocks]
        put_table(["block", "seeds", "status", "created"], cells)
    segments = run.manifest.get("segments", [])
    if len(segments) > 1:
        keys = ("from", "to", "status", "started", "ended")
        put_table(["from step", "to", "status", "started", "ended"], [[str(one.get(key, "-")) for key in keys] for one in segments])
    if skipped := skipped_updates(run.manifest):
        lost = [[str(seed), f"{own.updates:,} of {run.trained_steps:,}", own.first] for seed, own in skipped.items()]
        put_table(["seed", "skipped updates", "the first"], lost, right=[0])
    events = [[str(e.get("step")), str(e.get("event")), _happened(e)] for e in happened]
    put_table(["step", "event", ""], events, right=[0])


def _happened(event: Mapping[str, Any]) -> str:
    if "term" in event:
        return f"seed {event.get('seed')}: {event['term']} is not finite"
    return str(event.get("name") or event.get("phase") or event.get("message") or "")


def _progress(run: dict[str, Any]) -> str:
    return f"{run['steps']:,}" if run["trained"] == run["steps"] else f"{run['trained']:,} of {run['steps']:,}"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)
