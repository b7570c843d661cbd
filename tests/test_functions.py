"""Elementary functions as arithmetic: near the functions, and never beyond their bounds."""

import math

import pytest
import torch

from curriculum.compiled import functions

pytestmark = pytest.mark.parametrize("name", ["tanh", "erf"])


def floats(low: float, high: float) -> torch.Tensor:
    """List every number in single precision from `low` to `high`."""
    first, last = torch.tensor([low, high]).view(torch.int32).tolist()
    return torch.arange(first, last + 1, dtype=torch.int32).view(torch.float32)


def test_they_are_within_1e_6_of_the_functions(name: str):
    x = torch.cat([torch.linspace(-20, 20, 1_000_001), torch.logspace(-37, 1, 20_001), -torch.logspace(-37, 1, 20_001)])
    exact = getattr(torch, name)(x.double())
    found = getattr(functions, name)(x).double()
    assert ((found - exact).abs() <= 1e-6 * exact.abs()).all()


def test_they_never_reach_beyond_1(name: str):
    own = getattr(functions, name)
    x = floats(1.0, 16.0)  # 33 million, all there are
    for part in x.split(2**22):
        assert own(part).max() < 1
        assert own(-part).min() > -1


def test_nan_zero_and_infinity_stay_what_they_are(name: str):
    found = getattr(functions, name)(torch.tensor([math.nan, 0.0, math.inf, -math.inf, 3e38]))
    assert found[0].isnan()
    assert found[1] == 0
    assert found[2:].tolist() == pytest.approx([1, -1, 1], abs=1e-6)
