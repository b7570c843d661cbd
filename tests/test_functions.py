"""Elementary functions as arithmetic: near the functions, and never beyond their bounds."""

import math

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from curriculum.compiled import functions

each = pytest.mark.parametrize("name", ["tanh", "erf"])


def floats(low: float, high: float) -> torch.Tensor:
    """List every number in single precision from `low` to `high`."""
    first, last = torch.tensor([low, high]).view(torch.int32).tolist()
    return torch.arange(first, last + 1, dtype=torch.int32).view(torch.float32)


@each
def test_they_are_within_1e_6_of_the_functions(name: str):
    x = torch.cat([torch.linspace(-20, 20, 1_000_001), torch.logspace(-37, 1, 20_001), -torch.logspace(-37, 1, 20_001)])
    exact = getattr(torch, name)(x.double())
    found = getattr(functions, name)(x).double()
    assert ((found - exact).abs() <= 1e-6 * exact.abs()).all()


@each
def test_they_never_reach_beyond_1(name: str):
    own = getattr(functions, name)
    x = floats(1.0, 16.0)  # 33 million, all there are
    for part in x.split(2**22):
        assert own(part).max() <= 1
        assert torch.equal(own(-part), -own(part))


@each
def test_nan_zero_and_infinity_stay_what_they_are(name: str):
    found = getattr(functions, name)(torch.tensor([math.nan, 0.0, math.inf, -math.inf, 3e38]))
    assert found[0].isnan()
    assert found[1] == 0
    assert found[2:].tolist() == [1, -1, 1]


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize(("kind", "apart"), [(torch.float32, 1e-6), (torch.float64, 1e-15)])
def test_a_traced_gelu_has_its_values_and_its_gradient(approximate: str, kind: torch.dtype, apart: float):
    def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x.detach().requires_grad_()
        found = torch.nn.functional.gelu(leaf, approximate=approximate)
        return found.detach(), torch.autograd.grad(found.sum(), leaf)[0]

    x = torch.linspace(-12, 12, 10_001, dtype=kind)
    traced = make_fx(both, functions.decompositions())(x)
    called = {str(node.target) for node in traced.graph.nodes}
    assert any("gelu" in name or "erf" in name or "tanh" in name for name in called) == (kind == torch.float64)
    for found, exact in zip(traced(x), both(x.double()), strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=apart * 12)
