"""What flushing denormal numbers to zero gives: a part of `bench.py`."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

SURE = -90.0  # the logit of a pixel of which a model is sure: its gradient is denormal, as many are late in a training


def bench_denormal(steps: int, turns: int = 3) -> dict[str, float]:
    """Train models that are sure of their outputs with denormal numbers and without, by turns."""
    from curriculum.runner.plan import plan

    best: dict[tuple[bool, bool], float] = {}
    checked = plan("e2c-plane", "e2c-small.csv", seeds="0:8", steps=steps)
    for _ in range(turns):
        for sure in (False, True):
            for flush in (False, True):
                spent = _seconds(checked, sure, flush)
                best[sure, flush] = min(best.get((sure, flush), spent), spent)
    print(f"e2c-plane, 8 seeds, {steps} steps, the best of {turns} (load of the machine {os.getloadavg()[0]:.1f}):")
    for sure, models in ((False, "new models"), (True, "models that are sure")):
        kept, flushed = best[sure, False], best[sure, True]
        print(f"  {models:<21} with denormal numbers {kept:6.1f} s, flushed to zero {flushed:6.1f} s, ratio {kept / flushed:.1f}")
    return {f"{'sure' if sure else 'new'}{', flushed' if flush else ''}, s": spent for (sure, flush), spent in best.items()}


def _seconds(checked: Any, sure: bool, flush: bool) -> float:
    from curriculum.runner.execute import train_stack
    from curriculum.runner.opening import open_stack

    stack = open_stack([checked], [None])
    flat = stack.state.flat.clone()
    if sure:
        *_, bias = (value for name, value in stack.state.layout.views(flat).items() if name.startswith("decoder"))
        bias.fill_(SURE)
    stack = replace(stack, state=replace(stack.state, flat=flat), flush=flush)
    began = time.perf_counter()
    train_stack(stack, figures=False)
    return time.perf_counter() - began
