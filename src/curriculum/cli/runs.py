"""`curriculum runs` and `curriculum show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.console import put_json, put_table, say

if TYPE_CHECKING:
    pass


@guarded
def list_runs(runs: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """List all runs, oldest first.

    Examples:

      curriculum runs
    """
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


@guarded
def show_run(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The name or path of a run.")], runs: RunsFolder = RUNS, as_json: AsJson = False
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
