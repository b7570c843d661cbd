"""The gates of the hue circle on circles of known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curriculum import plugins
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import (
    ANCHORS,
    HUES,
    PRIMARIES,
    anchor_drift,
    hue_coherence,
    hues_out_of_order,
    out_of_plane,
    unit_norm_deviation,
    winding_number,
)

GATES = ("unit_norm", "planarity", "hue_coherence", "winding", "hue_order", "anchoring")
H = 2 * np.pi * np.arange(36) / 36


def circle(phi=H, radius=1.0) -> np.ndarray:
    """Latents `[36, 4]` at these angles, in the plane."""
    return np.stack([radius * np.cos(phi), radius * np.sin(phi), 0 * phi, 0 * phi], axis=1)


def swapped(first: int, second: int) -> np.ndarray:
    order = np.arange(36)
    order[[first, second]] = second, first
    return circle()[order]


def passed(hues: np.ndarray, primaries=None, anchors=None) -> list[str]:
    """Name the gates that the end of a run passes."""
    exhibits = {HUES: hues, PRIMARIES: hues[::6] if primaries is None else primaries, ANCHORS: hues[::6] if anchors is None else anchors}
    steps, window = np.arange(2), np.ones(2, dtype=bool)
    trace = Trace(1, steps, np.zeros(2), steps, np.zeros((2, 1, 4)), {}, exhibits=exhibits)
    found = []
    for name in GATES:
        gate = plugins.find("measure", name)
        value = gate.compute(trace, window)
        if value >= gate.limit if gate.better == "higher" else value <= gate.limit:
            found.append(name)
    return found


@given(st.floats(-10, 10), st.sampled_from([1, -1]))
def test_a_perfect_circle_is_one_however_it_is_turned_or_reflected(angle, sense):
    z = circle(sense * H + angle)
    assert hue_coherence(z) == pytest.approx(1)
    assert winding_number(z) == sense
    assert hues_out_of_order(z) == 0
    assert passed(z) == list(GATES)


def test_everything_at_one_point_is_no_circle():
    for point in (np.zeros((36, 4)), circle(np.full(36, 0.7))):
        assert hue_coherence(point) == pytest.approx(0, abs=1e-12)
        assert winding_number(point) == 0
        assert hues_out_of_order(point) == 36
    assert passed(np.zeros((36, 4))) == ["planarity", "anchoring"]


@pytest.mark.parametrize(("first", "second"), [(3, 4), (35, 0), (5, 20)])
def test_two_hues_in_each_others_place_are_out_of_order(first, second):
    z = swapped(first, second)
    assert hues_out_of_order(z) > 0
    assert abs(winding_number(z)) == 1
    assert "hue_order" not in passed(z)
    assert "hue_order" not in passed(z * [1, -1, 1, 1])


def test_neighbours_in_each_others_place_are_one_step_out_of_order():
    assert hues_out_of_order(swapped(3, 4)) == 1


@pytest.mark.parametrize("rounds", [2, -2, 3])
def test_hues_that_go_round_twice_are_in_order_but_do_not_pass(rounds):
    z = circle(rounds * H)
    assert winding_number(z) == rounds
    assert hues_out_of_order(z) == 0
    assert hue_coherence(z) == pytest.approx(0, abs=1e-12)
    assert passed(z) == ["unit_norm", "planarity", "hue_order", "anchoring"]


def test_a_circle_beside_the_origin_does_not_go_round_it():
    z = circle() + np.array([3, 0, 0, 0])
    assert winding_number(z) == 0
    assert hues_out_of_order(z) > 0


def test_angles_that_are_off_by_a_step_of_hue_are_at_the_limit_of_coherence():
    """The mean resultant length of a normal error of sigma is exp(-sigma^2 / 2)."""
    rng = np.random.default_rng(0)
    for degrees, passes in ((5, True), (20, False)):
        sigma = math.radians(degrees)
        found = [hue_coherence(circle(H + rng.normal(scale=sigma, size=36))) for _ in range(400)]
        assert np.mean(found) == pytest.approx(math.exp(-(sigma**2) / 2), abs=0.003)
        assert (np.median(found) >= 0.985) == passes
    assert math.exp(-(math.radians(10) ** 2) / 2) == pytest.approx(0.985, abs=2e-4)


def test_lengths_beside_the_circle_are_what_they_are():
    assert unit_norm_deviation(circle(radius=1.3)) == pytest.approx(0.3)
    assert unit_norm_deviation(circle(radius=0.7)) == pytest.approx(0.3)
    lifted = circle() + np.array([0, 0, 0.3, 0.4])
    assert out_of_plane(lifted) == pytest.approx(0.5)
    assert out_of_plane(circle()[:, :2]) == 0
    assert anchor_drift(lifted, circle()) == pytest.approx(0.5)
    assert passed(circle(radius=1.2)) == [name for name in GATES if name != "unit_norm"]
    assert passed(lifted * [0.8, 0.8, 1, 1]) == [name for name in GATES if name != "planarity"]
    assert passed(circle(), anchors=circle(H + 0.2)[::6]) == [name for name in GATES if name != "anchoring"]


def test_latents_that_are_missing_or_not_finite_pass_no_gate():
    assert passed(np.full((36, 4), np.nan)) == []
    steps, window = np.arange(2), np.ones(2, dtype=bool)
    for name in GATES:
        compute = plugins.find("measure", name).compute
        assert math.isnan(compute(Trace(1, steps, np.zeros(2), steps, np.zeros((2, 1, 4)), {}), window))
