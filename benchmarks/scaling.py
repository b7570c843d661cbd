"""How training scales: a part of `bench.py`.

In seeds, steps and arms, the time should grow no faster than what is trained. For models that are not tiny, all at once is compared
with groups of a few, and with what `stack: auto` takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEEDS, SEEDS_STEPS = (1, 4, 16, 64, 256, 1024), 300
STEPS = (1_000, 10_000, 100_000)
ARMS, ARMS_STEPS, ARMS_SEEDS = (2, 4, 8), 1_000, 16
MODELS, TURNS = 8, 3  # of those that are not tiny, and how often each way is timed
OWN = """import torch
from torch import nn
from torch.nn import functional as F

import curriculum


class Layers(curriculum.Task):
    terms = ("loss",)
    batch_size = 64

    def data(self):
        drawn = torch.Generator().manual_seed(0)
        inputs, labels = torch.randn(1280, 784, generator=drawn), torch.randint(10, (1280,), generator=drawn)
        return {{"train": (inputs[:1024], labels[:1024]), "test": (inputs[1024:], labels[1024:])}}

    def build(self):
        width = {width}
        return nn.Sequential({layers})

    def losses(self, model, batch):
        return {{"loss": F.cross_entropy(model(batch.inputs), batch.labels)}}
"""
MLP = "nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)"
CONV = (
    "nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), "
    "nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(98 * width, 10)"
)
LARGE = {"MLP": (MLP, (116, 640)), "convolutions": (CONV, (16, 40))}


def bench_scaling(folder: Path) -> dict[str, float]:
    """Print how long training takes by seeds, steps and arms, nothing stored; and models that are not tiny, all at once and in groups."""
    found: dict[str, float] = {}
    print("training of the color task, microseconds for a step of a seed; the ratio is to the line before:")
    for name, sizes in (("seeds", SEEDS), ("steps", STEPS), ("arms", ARMS)):
        before = None
        for size in sizes:
            each = _color(name, size)
            ratio = "" if before is None else f"{each / before:8.2f}"
            print(f"  {size:7,} {name:6}{1e6 * each:10.1f}{ratio}", flush=True)
            found[f"{size} {name}, us"] = 1e6 * each
            before = each
    return found | _large(folder)


def _color(what: str, size: int) -> float:
    """Train in one way; give the seconds for a step of a seed."""
    from curriculum.runner.plan import plan

    steps = {"seeds": SEEDS_STEPS, "steps": size, "arms": ARMS_STEPS}[what]
    seeds = {"seeds": size, "steps": 1, "arms": ARMS_SEEDS}[what]
    sheets = ["smooth.csv", "stepped.csv"] * (size // 2) if what == "arms" else ["smooth.csv"]
    plans = [plan("ex-1.6", sheet, seeds=f"0:{seeds}", steps=min(steps, 10_001)) for sheet in sheets]
    if steps > 10_001:
        plans = [plan("ex-1.6", _longer(steps), seeds="0")]
    return _train(plans) / (steps * seeds * len(sheets))


def _longer(steps: int) -> Any:
    from curriculum.play.sheets import load_sheet
    from curriculum.sheet.parse import parse

    header, *rows = load_sheet("smooth.csv")[1].decode().splitlines()
    stretched = []
    for row in rows:
        step, rest = row.split(",", 1)
        stretched.append(f"{int(step) * (steps - 1) // 10_000},{rest}" if step.isdigit() else row)
    return parse("\n".join([header, *stretched]) + "\n")


def _large(folder: Path) -> dict[str, float]:
    """Compare all at once with groups, by turns, for models that are not tiny."""
    from curriculum.runner.at_once import bytes_of_one, models_at_once
    from curriculum.runner.plan import plan
    from curriculum.sheet.parse import parse
    from curriculum.train.state import initial_state

    found: dict[str, float] = {}
    print(f"{MODELS} models, a batch of 64, milliseconds for a step of all of them, computed 1, 2, 4 and 8 at a time:")
    for kind, (layers, widths) in LARGE.items():
        for width in widths:
            file = folder / f"{kind}{width}.py"
            file.write_text(OWN.format(width=width, layers=layers))
            sheet = parse("STEP,lr,loss\n0,0.001,1\n11,,\n")
            config = folder / f"{kind}{width}.yaml"
            config.write_text(f"task: {{name: {file}:Layers}}\nrecord: {{snapshots: off}}\n")
            checked = plan(config, sheet, seeds=f"0:{MODELS}")
            state = initial_state(checked.task, [(checked.schedule, checked.seeds)], checked.config.optimizer)
            one, chosen = bytes_of_one(checked, state), models_at_once([checked], state) or MODELS
            rooms = {count: max(1, -(-count * one // 2**20)) for count in (1, 2, 4, MODELS)}
            plans = {count: plan(config, sheet, seeds=f"0:{MODELS}", overrides=[f"stack_memory={room}M"]) for count, room in rooms.items()}
            best = dict.fromkeys(plans, float("inf"))
            for _turn in range(TURNS):
                best = {count: min(best[count], _train([own]) / 12) for count, own in plans.items()}
            numbers = sum(value.numel() for value in checked.task.build().parameters())
            line = "".join(f"{1e3 * seconds:7.0f}" for seconds in best.values())
            print(f"  {kind:13}{numbers:9,} parameters, {one / 2**20:5.1f} MiB each:{line}   auto: {chosen} at a time", flush=True)
            found |= {f"{kind} {numbers}, {count} at a time, ms": 1e3 * seconds for count, seconds in best.items()}
    return found


def _train(plans: Sequence[Any]) -> float:
    from curriculum.runner.execute import train_stack
    from curriculum.runner.opening import open_stack

    began = time.perf_counter()
    train_stack(open_stack(plans, [None] * len(plans)), figures=False)
    return time.perf_counter() - began
