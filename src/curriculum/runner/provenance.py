"""What a run is made from and when: what `run.json` says of it, beside what was stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curriculum import plugins
from curriculum.compiled.stretches import way_of
from curriculum.runner.hook_records import records_of
from curriculum.runner.own import described
from curriculum.runner.plan import Plan
from curriculum.runner.recorded import snapshot_steps
from curriculum.runner.stamps import new_segment, now, place
from curriculum.store.files import digest
from curriculum.store.manifest import LookManifest, ProbeManifest
from curriculum.train import optimizers
from curriculum.train.scores import score_of
from curriculum.train.state import State
from curriculum.train.task import STABLE, Question, Task


def made_from(checked: Plan) -> dict[str, Any]:
    """Say what a run is made from, beside its config and hooks."""
    return {
        "sheet": digest(checked.sheet_bytes),
        "training": digest(checked.config.model_dump_json(include={"task", "optimizer"}).encode()),
        "task": identity(checked),
        "seeds": list(checked.seeds),
        "steps": len(checked.schedule),
    }


def identity(checked: Plan) -> dict[str, Any]:
    """Say which task a plan trains: its name and version, and for one of a user's its file and the hash of that.

    `named` is the name in the config. Runs are of the same task where name and version agree.
    """
    named, source = checked.config.task.name, checked.source
    if source is None:
        return {"name": named, "version": checked.task.version}
    file, _, kind = named.rpartition(":")
    name = f"{source.path.name}:{kind}" if file.endswith(".py") else named
    return {
        "name": name,
        "version": checked.task.version,
        "named": named,
        "file": str(source.path),
        "source": source.sha256,
        "data": source.data,
    }


def manifest_of(checked: Plan, argv: Sequence[str], state: State, config_text: str) -> dict[str, Any]:
    """Say in `run.json` what a new run is and how it is made."""
    task = checked.task
    probes = {probe.name: digest(probe.inputs.contiguous().numpy().tobytes()) for probe in task.probes()}
    return {
        "created": now(),
        "segments": [new_segment(0)],
        "argv": list(argv),
        "task": identity(checked),
        "sheet": Path(checked.sheet.source).name,
        "seeds": list(checked.seeds),
        "steps": len(checked.schedule),
        "sheet_steps": checked.sheet.last_step + 1,
        "snapshots": bool(snapshot_steps(checked, state.layout.size)),
        "parameters": {name: list(shape) for name, shape in state.layout.shapes.items()},
        "defaults": _defaults(checked),
        "probes": _probes(task),
        "look": _look(checked),
        "hashes": {
            "sheet": made_from(checked)["sheet"],
            "config": digest(config_text.encode()),
            "training": made_from(checked)["training"],
            "probes": probes,
        },
        "hooks": [record.model_dump() for record in records_of(checked.hooks)],
        **place(),
        "device": checked.config.device,
        "threads": checked.config.threads,
        "compile": way_of(checked.config.compile),
    }


def _defaults(checked: Plan) -> dict[str, float]:
    """Give the finite values of the columns that a sheet need not have: weights of terms, controls, and settings of the optimizer."""
    task, settings = checked.task, checked.config.optimizer
    moved = {name: optimizers.setting(settings, name) for name in optimizers.columns(settings)}
    found = {**dict.fromkeys(task.terms, 0.0), **task.defaults(), **moved}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _look(checked: Plan) -> dict[str, Any]:
    task = checked.task
    picture = task.picture()
    return {
        "measures": [name for name in task.measures if name in plugins.shipped_names("measure")],
        "hypotheses": {name: {"question": question, "measures": list(ids)} for name, (question, ids) in asked(task).items()},
        "plots": [name for name in task.plots if name in plugins.shipped_names("figure")],
        "scores": {name: asdict(score_of(name, declared)) for name, declared in task.scores.items()},
        "own_measures": [described(metric) for metric in checked.own.measures],
        "error_unit": task.error_unit,
        "circles": list(picture.circles) if picture else [],
    }


def _probes(task: Task) -> list[dict[str, Any]]:
    return [{"name": probe.name, "title": probe.title, "uses": sorted(probe.uses)} for probe in task.probes()]


@dataclass(frozen=True)
class PlannedLook:
    """How the run of a plan will be compared, as its `run.json` will say."""

    look: LookManifest
    probes: tuple[ProbeManifest, ...]

    @property
    def has_latents(self) -> bool:
        return any("motion" in probe.uses for probe in self.probes)


def planned_look(checked: Plan) -> PlannedLook:
    """Say how the run of a plan will be compared."""
    probes = tuple(ProbeManifest.model_validate(probe) for probe in _probes(checked.task))
    return PlannedLook(LookManifest.model_validate(_look(checked)), probes)


def asked(task: Task) -> dict[str, Question]:
    """Give a task's hypotheses; where it has none of its own, each score is one, and the stability of training."""
    if task.hypotheses:
        return dict(task.hypotheses)
    scores = {name: (f"a {score_of(name, declared).better} {name}", (name,)) for name, declared in task.scores.items()}
    return {**scores, "stability": STABLE}
