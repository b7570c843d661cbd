"""Build a library of the steps in a folder: `python -m curriculum.compiled.build FOLDER`.

The folder has `step.py`, a training step as a function of tensors, and `step.json`, which describes these. The library goes through
any number of steps in one call. A process of its own builds it, which keeps the compiler's memory, and its faults, away from training.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from curriculum.compiled.functions import decompositions

STEP, SHAPES, LIBRARY = "step.py", "step.json", "loop.so"
# Multiplications of products of matrices, of all models together and of each. Larger ones are left to the library that is good at these;
# PyTorch itself computes those of up to 400 with a plain loop.
FUSED, FUSED_OF_EACH = 2**15, 400
EXAMPLE_STEPS = 8
# Multiplications and additions are fused and rounded once, as compilers for GPUs do by default.
CONFIG = {"cpp.enable_floating_point_contract_flag": "fast"}
Step = Callable[..., tuple[Tensor, ...]]


def build(folder: Path) -> None:
    """Build the library of a folder."""
    from torch._inductor import aoti_compile_and_package

    described = json.loads((folder / SHAPES).read_text())
    carried, fixed, per_step = (_examples(described[name]) for name in ("carried", "fixed", "per_step"))
    step = _simplified(_step_of(folder / STEP), [*carried, *fixed, *per_step])
    many = [value.expand(EXAMPLE_STEPS, *value.shape).contiguous() for value in per_step]
    steps = {0: torch.export.Dim("steps", min=1, max=2**20)}
    shapes: Any = ([{}] * len(carried), [{}] * len(fixed), [steps] * len(many))
    with torch.no_grad():
        program = torch.export.export(
            _Loop(step, described["weights"]),
            (carried, fixed, many),
            dynamic_shapes=shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        package = folder / f"loop-{os.getpid()}.pt2"
        aoti_compile_and_package(program, package_path=str(package), inductor_configs={"cpp.threads": described["threads"], **CONFIG})
    part = folder / f"{LIBRARY}.{os.getpid()}"
    with zipfile.ZipFile(package) as files:
        names = files.namelist()
        part.write_bytes(files.read(next(name for name in names if name.endswith(".so"))))
    package.unlink()
    # A file that lists operations which the library would ask a running PyTorch for.
    if any(name.endswith(".wrapper.json") for name in names):
        part.unlink()
        raise RuntimeError("it uses an operation that has no compiled form")
    os.replace(part, folder / LIBRARY)


class _Loop(torch.nn.Module):
    """Goes through steps, each with what the one before gave; with `weights`, also gives the weights before each."""

    def __init__(self, step: Step, weights: bool):
        super().__init__()
        self.step, self.weights = step, weights

    def forward(self, carried: list[Tensor], fixed: list[Tensor], many: list[Tensor]) -> Any:
        from torch._higher_order_ops.scan import scan

        def combine(before: list[Tensor], own: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            *after, found = self.step(*before, *fixed, *own)
            return [value.clone() for value in after], [found.clone(), *([before[0].clone()] if self.weights else [])]

        return scan(combine, carried, many)


def _examples(described: list[list[Any]]) -> list[Tensor]:
    return [torch.zeros(shape, dtype=getattr(torch, kind)) for kind, shape in described]


def _step_of(file: Path) -> Step:
    space: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    step: Step = partial(space["forward"], None)
    return step


def _simplified(step: Step, given: list[Tensor]) -> Step:
    """Give a step that changes nothing in place, with small products of matrices as sums and elementary functions as arithmetic.

    Both become one loop with what is around.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    aten = torch.ops.aten
    replaced = {aten.bmm.default: _product, aten.mm.default: _product, **decompositions()}
    found = make_fx(torch.func.functionalize(step, remove="mutations"), replaced)(*given)
    for node in found.graph.nodes:
        # What could be viewed while tracing may be laid out in another way once compiled.
        if node.target in (aten.view.default, aten._unsafe_view.default):
            node.target = aten.reshape.default
    found.graph.eliminate_dead_code()
    found.recompile()
    return found


def _product(left: Tensor, right: Tensor) -> Tensor:
    columns = right.shape[-1]
    if left.numel() * columns > FUSED and left.shape[-2] * left.shape[-1] * columns >= FUSED_OF_EACH:
        unchanged: Tensor = NotImplemented
        return unchanged
    return (left.unsqueeze(-1) * right.unsqueeze(-3)).sum(-2)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except Exception as error:  # whatever PyTorch raises; its first line is what a user is told
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}")
