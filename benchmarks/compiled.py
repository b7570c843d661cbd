"""What compiled steps give: a part of `bench.py`.

Each training is compared with the same one without compiled steps, by turns. The libraries are built before, and what that takes is
printed: in a folder of the benchmark's own, or in `$CURRICULUM_CACHE`, which keeps them for the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

FIRST = 100  # steps after which losses are compared: small differences grow while a model is trained
NUDGES = 3  # trainings with initial weights changed in their last bits, which show how much they grow
WAYS = ("off", "on")
# One phase with the terms that count in most of smooth.csv, so that there is one library to build.
MOST_TERMS = """STEP,PHASE,ACTION,lr,loss-recon,reg-planar,reg-norm,reg-anchor,data-hues,data-vibrancies
0,All hues,anchor,0.001,1,0.4,0.25,0.1,1,0.5
9999,,,0.01,,,,,,
"""
RULES = ("control-regular.csv", "control-stopped.csv", "control-combined.csv")
SHORT = ("task.cartpole.steps=5", "task.cartpole.dt=0.2")  # one second: building takes time by the number of steps


@dataclass(frozen=True)
class Case:
    """A training, planned for each way; the plans are kept, and with them what is compiled for their task."""

    name: str
    plan: Callable[..., Sequence[Any]]
    steps: int
    stored: bool = False
    target: str = ""


def bench_compiled(steps: int, folder: Path, turns: int = 3) -> dict[str, float]:
    """Train with and without compiled steps, by turns; the best of several, since any pause makes a time longer."""
    os.environ.setdefault("CURRICULUM_CACHE", str(folder / "libraries"))
    print(f"with compiled steps and without, the best of {turns} each (load of the machine {os.getloadavg()[0]:.1f}):")
    print(f"  {'':42}{'without':>8}{'compiled':>10} steps/s{'ratio':>7}{'losses apart':>14}{'nudged':>8}{'building':>10}")
    found: dict[str, float] = {}
    for case in _cases(steps, folder):
        plans = {way: case.plan(overrides=[f"compile={way}"]) for way in WAYS}
        places = (folder / f"compiled-{number}" for number in count()) if case.stored else None
        built = _train(plans["on"], places)[0]
        best = dict.fromkeys(WAYS, float("inf"))
        for _ in range(turns):
            best = {way: min(best[way], _train(plans[way], places)[0]) for way in WAYS}
        ends = {way: _ends(plans[way]) for way in WAYS}
        apart, building = _apart(ends["on"], ends["off"]), max(0.0, built - best["on"])
        nudged = max(_apart(_ends(plans["off"], nudge), ends["off"]) for nudge in range(1, NUDGES + 1))
        plain, fast = (case.steps / best[way] for way in WAYS)
        print(
            f"  {case.name:<42}{plain:8,.0f}{fast:10,.0f}        {fast / plain:7.1f}{apart:14.0e}{nudged:8.0e}{building:8.0f} s"
            f"{case.target}",
            flush=True,
        )
        own = {"steps_per_s": fast, "ratio": fast / plain, "apart": apart, "nudged": nudged, "building_s": building}
        found |= {f"{case.name}, {what}": value for what, value in own.items()}
    return found


def _cases(steps: int, folder: Path) -> list[Case]:
    sheet = folder / "terms.csv"
    sheet.write_text(MOST_TERMS)
    few = min(steps, 1000)
    return [
        Case("color, 1 seed, everything stored", partial(_color, steps), steps, True, "  (target: ratio at least 10)"),
        Case("general path, 1 model", partial(_general, sheet, "0", 2 * few), 2 * few),
        Case("general path, 128 models", partial(_general, sheet, "0:128", 2 * few), 2 * few, False, "  (target: at least 4)"),
        Case("e2c-plane, 8 models, 2 threads", partial(_images, few // 10), few // 10),
        Case("control, 48 models, 5 steps ahead", partial(_control, few // 2), few // 2, False, "  (target: at least 2)"),
    ]


def _color(steps: int, overrides: Sequence[str]) -> Sequence[Any]:
    from curriculum.runner.plan import plan

    return [plan("ex-1.6", "smooth.csv", seeds="0", steps=steps, overrides=overrides)]


def _general(sheet: Path, seeds: str, steps: int, overrides: Sequence[str]) -> Sequence[Any]:
    """Plan the color task without its hand-written gradient, as any task is that has none."""
    from curriculum.runner.plan import plan
    from curriculum.tasks.color.task import ColorTask

    class General(ColorTask):
        stacked_gradients = None
        stacked_observe = None

    checked = plan("ex-1.6", sheet, seeds=seeds, steps=steps, overrides=overrides)
    return [replace(checked, task=General(checked.config.task))]


def _images(steps: int, overrides: Sequence[str]) -> Sequence[Any]:
    from curriculum.runner.plan import plan

    return [plan("e2c-plane", "e2c-small.csv", seeds="0:8", steps=steps, overrides=overrides)]


def _control(steps: int, overrides: Sequence[str]) -> Sequence[Any]:
    from curriculum.runner.plan import plan

    settings = [*overrides, *SHORT]
    return [plan("control-cartpole-easy", rule, seeds="0:16", steps=steps, overrides=settings) for rule in RULES]


def _train(plans: Sequence[Any], places: Any = None, nudge: int = 0) -> tuple[float, list[Any]]:
    """Train plans as one stack, each stored at the next place if there are any; give the seconds, and the results.

    With a `nudge`, the initial weights are changed in their last bits, each number in another way.
    """
    import torch

    from curriculum.runner.execute import train_stack
    from curriculum.runner.opening import open_stack

    said: list[str] = []
    began = time.perf_counter()
    stack = open_stack(plans, [None if places is None else next(places) for _ in plans])
    if nudge:
        signs = torch.randint(0, 2, stack.state.flat.shape, generator=torch.Generator().manual_seed(nudge)) * 2 - 1
        stack = replace(stack, state=replace(stack.state, flat=stack.state.flat * (1 + signs * torch.finfo(torch.float32).eps)))
    results = train_stack(stack, figures=False, tell=said.append)
    seconds = time.perf_counter() - began
    if failed := [line for line in said if "cannot be compiled" in line]:
        raise SystemExit(failed[0])
    return seconds, results


def _ends(plans: Sequence[Any], nudge: int = 0) -> list[Any]:
    """Give the losses after the first steps."""
    short = [replace(checked, schedule=checked.schedule.truncate(FIRST)) for checked in plans]
    return [loss for result in _train(short, nudge=nudge)[1] for _, loss in sorted(result.losses.items())]


def _apart(losses: Sequence[Any], others: Sequence[Any]) -> float:
    """Give the largest difference between losses, relative to the `others`."""
    return max(float(((one - other).abs() / other.abs().clamp_min(1e-12)).max()) for one, other in zip(losses, others, strict=True))
