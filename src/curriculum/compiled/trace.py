"""Trace a training step: from the code that does it step by step to a graph of tensor operations, as a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import torch
from torch import Tensor

from curriculum.config.settings import Adam, AdamW, Optimizer
from curriculum.train.batch import SheetRow
from curriculum.train.compiling import joined
from curriculum.train.ensemble import Ensemble
from curriculum.train.freeze import first_mark
from curriculum.train.optimizers import BiasCorrection, bias_correction
from curriculum.train.state import State
from curriculum.train.step import Moving, take_step
from curriculum.train.stretch import Now, Plan, Stretch

HEADER = "import torch\nfrom torch import device, inf, nan\n\n\n"


@dataclass(frozen=True)
class Traced:
    """A step as the text of a Python function of tensors.

    Its arguments are, in this order: `carried` tensors, which it returns changed; `fixed` ones, some of which are the task's own
    `constants`; and those of this step. After the tensors that it carries it returns `[S, K + 2]`: the terms, their total, the mark.
    `calls` is the number of its operations, `numbers` that of the numbers that they give.
    """

    text: str
    carried: tuple[Tensor, ...]
    fixed: tuple[Tensor, ...]
    per_step: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    calls: int
    numbers: int


def trace(models: Ensemble, state: State, plan: Plan, stretch: Stretch, settings: Optimizer) -> Traced:
    """Trace the first step of a stretch. Raises whatever PyTorch does where a step cannot be traced."""
    from torch.fx.experimental.proxy_tensor import make_fx

    moving = Moving.of(state.layout, state.flat, state.moments)
    unmarked = first_mark(state.alive)
    moments, references, drawn = sorted(moving.moments), sorted(plan.references), sorted(stretch.batches)
    skips, terms = settings.on_nonfinite == "skip", len(plan.active)

    def step(*given: Tensor) -> tuple[Tensor, ...]:
        rest = list(given)

        def take(count: int) -> list[Tensor]:
            taken, rest[:] = rest[:count], rest[count:]
            return taken

        (flat,), values, (marked, unmarked) = take(1), take(len(moments)), take(2)
        held = dict(zip(references, take(len(references)), strict=True))
        numbers, keys, count = take(3)
        tensors = dict(zip(drawn, rest, strict=True))
        own = Moving.of(state.layout, flat, dict(zip(moments, values, strict=True)))
        weights, rates, row, *bias = torch.split(numbers, [terms, 1, len(plan.columns), *([1, 1] if biased(settings) else [])], 1)
        moved = {name: row[:, place : place + 1] for name, place in plan.moved.items()}
        now = Now(weights, rates, SheetRow(plan.columns, row, plan.undefined), moved, keys, BiasCorrection(*bias) if bias else None)
        batch = replace(plan.batch(models.task.gather(tensors), now), references=held)
        before = unmarked if skips else marked
        found, total, after = take_step(models, own, batch, now, count, settings, before, skips)
        return (*joined(own), after, torch.cat([found, total[:, None], after[:, None]], 1))

    carried = (*joined(moving), unmarked)
    fixed = (unmarked, *(plan.references[name] for name in references))
    per_step = tuple(one[0] for one in inputs_of(plan, stretch, range(plan.first, plan.first + 1), settings))
    graph = make_fx(step, tracing_mode="real")(*carried, *fixed, *per_step)
    constants = _lift(graph, len(carried) + len(fixed))
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    numbers = sum(_count(node.meta.get("val")) for node in calls)
    return Traced(HEADER + graph.code.strip() + "\n", carried, fixed, per_step, constants, len(calls), numbers)


def biased(settings: Optimizer) -> TypeGuard[Adam | AdamW]:
    """Tell whether a step is told Adam's bias corrections: as numbers, since compiled code would compute them for each weight.

    Where updates may be skipped, they are known only at the step.
    """
    return isinstance(settings, Adam | AdamW) and settings.on_nonfinite != "skip"


def inputs_of(plan: Plan, stretch: Stretch, steps: range, settings: Optimizer) -> list[Tensor]:
    """Give what C steps are told, apart from what they carry: `[C, ...]` each.

    These are the numbers of the sheet `[C, S, K + 1 + N]` (weights of the terms, learning rate, columns) with the bias corrections, if
    any, behind them, the keys of the noise, the count of the step from 1 `[C, 1, 1]` in float64, and the batch.
    """
    own = slice(steps.start - plan.first, steps.stop - plan.first)
    rows = plan.rows[own]
    counts = torch.arange(steps.start + 1, steps.stop + 1, dtype=torch.float64).reshape(-1, 1, 1)
    numbers = [plan.weights[own], plan.rates[own], rows]
    if biased(settings):
        bias = bias_correction(settings, counts, {name: rows[:, :, place : place + 1] for name, place in plan.moved.items()})
        numbers += [torch.as_tensor(value).float().expand(*rows.shape[:2], 1) for value in (bias.eps, bias.scale)]
    return [torch.cat(numbers, 2), plan.keys[own], counts, *(stretch.batches[name][own].contiguous() for name in sorted(stretch.batches))]


def _lift(graph: torch.fx.GraphModule, place: int) -> tuple[Tensor, ...]:
    """Make arguments of the tensors that a graph holds, such as a task's data, behind so many others; return them."""
    nodes = graph.graph
    last = [node for node in nodes.nodes if node.op == "placeholder"][place - 1]
    found: dict[str, Any] = {}
    constants = []
    for node in [node for node in nodes.nodes if node.op == "get_attr"]:
        if node.target not in found:
            with nodes.inserting_after(last):
                found[node.target] = last = nodes.placeholder(f"constant_{len(found)}")
            constants.append(getattr(graph, node.target).detach())
        node.replace_all_uses_with(found[node.target])
        nodes.erase_node(node)
    nodes.eliminate_dead_code()
    graph.recompile()
    return tuple(constants)


def _count(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel()
    return sum(map(_count, value)) if isinstance(value, list | tuple) else 0


def shapes(tensors: Iterable[Tensor]) -> list[list[Any]]:
    """Describe tensors: the name of the type, and the shape, of each."""
    return [[str(value.dtype).removeprefix("torch."), list(value.shape)] for value in tensors]
