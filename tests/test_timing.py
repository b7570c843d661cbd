"""Easings and spaces: their known values, and what every entry of the tables promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from curriculum.sheet.easings import ALIASES, DEFAULT_SPACE, DEFAULT_TIMING, EASINGS, SPACES, cubic_bezier, minimum_jerk_quintic

NAMES = ["minjerk", "linear", "step-end", "step-start", "cosine", "ease", "ease-in", "ease-out", "ease-in-out"]
CSS = {  # CSS Easing Functions Level 1, section 2.2
    "ease": (0.25, 0.1, 0.25, 1),
    "ease-in": (0.42, 0, 1, 1),
    "ease-out": (0, 0, 0.58, 1),
    "ease-in-out": (0.42, 0, 0.58, 1),
}
inner = st.floats(0.05, 0.95)  # control points away from the ends, where no slope is infinite
every_easing = pytest.mark.parametrize("easing", EASINGS.values(), ids=EASINGS.keys())


def progress(name, *u):
    return EASINGS[name].progress(np.array(u, dtype=float))


def bezier(x1, y1, x2, y2, u):
    def point(p1, p2, s):
        return 3 * p1 * s * (1 - s) ** 2 + 3 * p2 * s**2 * (1 - s) + s**3

    s = brentq(lambda s: point(x1, x2, s) - u, 0, 1, xtol=1e-16, rtol=1e-15)
    return point(y1, y2, s)


def test_the_language_names_these_timings_and_spaces():
    assert sorted(EASINGS) == sorted(NAMES)
    assert sorted(SPACES) == ["linear", "log"]
    assert (DEFAULT_TIMING, DEFAULT_SPACE) == ("minjerk", "linear")
    assert ALIASES == {"step": "step-end"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("minjerk", {0.1: 0.00856, 0.25: 106 / 1024, 0.5: 0.5, 0.75: 918 / 1024, 0.9: 0.99144}),
        ("linear", {0.125: 0.125, 0.3: 0.3, 0.5: 0.5}),
        ("cosine", {0.25: (1 - math.sqrt(0.5)) / 2, 1 / 3: 0.25, 0.5: 0.5, 2 / 3: 0.75}),
        ("step-end", {1e-9: 0, 0.5: 0, 1 - 1e-9: 0}),
        ("step-start", {1e-9: 1, 0.5: 1, 1 - 1e-9: 1}),
    ],
)
def test_closed_forms(name, known):
    np.testing.assert_allclose(progress(name, *known), list(known.values()), rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", CSS)
def test_css_easings_match_an_independent_solver(name):
    u = np.concatenate([np.linspace(0, 1, 201), [1e-12, 1e-6, 1 - 1e-6, 1 - 1e-12]])
    np.testing.assert_allclose(progress(name, *u), [bezier(*CSS[name], at) for at in u], rtol=0, atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(st.tuples(inner, st.floats(-2, 3), inner, st.floats(-2, 3)), st.lists(st.floats(0, 1), min_size=1))
def test_any_bezier_matches_an_independent_solver(control, u):
    np.testing.assert_allclose(cubic_bezier(*control).progress(np.array(u)), [bezier(*control, at) for at in u], rtol=0, atol=1e-12)


def test_ease_in_mirrors_ease_out():
    u = np.linspace(0, 1, 101)
    np.testing.assert_allclose(progress("ease-in", *u), 1 - progress("ease-out", *(1 - u)), rtol=0, atol=1e-14)


def test_a_bezier_that_overshoots_does_not_claim_to_be_monotone():
    assert not cubic_bezier(0.3, -0.5, 0.7, 1).monotone
    assert not cubic_bezier(0.3, 0, 0.7, 1.5).monotone
    assert cubic_bezier(0.3, 0, 0.7, 1).monotone


@every_easing
def test_runs_from_0_to_1_exactly(easing):
    assert easing.progress(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


@every_easing
def test_never_falls_and_stays_inside(easing):
    assert easing.monotone
    values = easing.progress(np.linspace(0, 1, 10_001))
    assert np.diff(values).min() >= -1e-15
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-15


@every_easing
def test_velocity_and_acceleration_are_the_derivatives_of_progress(easing):
    u, h = np.linspace(0.02, 0.98, 97), 1e-5
    velocity = (easing.progress(u + h) - easing.progress(u - h)) / (2 * h)
    acceleration = (easing.velocity(u + h) - easing.velocity(u - h)) / (2 * h)
    np.testing.assert_allclose(easing.velocity(u), velocity, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(easing.acceleration(u), acceleration, rtol=1e-6, atol=1e-6)


@every_easing
def test_gives_one_value_for_each_u(easing):
    for count in (0, 1, 7):
        u = np.linspace(0, 1, count)
        assert [curve(u).shape for curve in (easing.progress, easing.velocity, easing.acceleration)] == [(count,)] * 3


def test_minjerk_starts_and_ends_at_rest():
    ends = np.array([0.0, 1.0])
    assert EASINGS["minjerk"].velocity(ends).tolist() == [0, 0]
    assert EASINGS["minjerk"].acceleration(ends).tolist() == [0, 0]


@pytest.mark.parametrize(("name", "at_0", "at_1"), [("ease", 0.4, 0), ("ease-in", 0, 1 / 0.58), ("ease-out", 1 / 0.58, 0)])
def test_css_velocity_at_the_ends_is_the_slope_of_the_handles(name, at_0, at_1):
    np.testing.assert_allclose(EASINGS[name].velocity(np.array([0.0, 1.0])), [at_0, at_1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", SPACES)
def test_spaces_go_there_and_back(name):
    space = SPACES[name]
    values = np.array([1e-300, 1e-8, 0.1, 1, 7, 1e8, 1e300])
    values = values if space.positive else np.concatenate([values, -values, [0]])
    np.testing.assert_allclose(space.out(space.into(values)), values, rtol=1e-12)


def test_log_space_is_even_in_ratios():
    y = SPACES["log"].into(np.array([1e-4, 1e-3, 1e-2]))
    assert SPACES["log"].positive
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], rel=1e-14)
    assert not SPACES["linear"].positive


motion = st.floats(-100, 100)


@settings(deadline=None, max_examples=60)
@given(motion, motion, motion, motion, st.integers(1, 1000))
def test_the_quintic_takes_over_a_motion_and_ends_at_rest(y0, v0, a0, y1, duration):
    path = minimum_jerk_quintic(y0, v0, a0, y1, duration)
    scale = abs(y0) + abs(y1) + abs(v0) * duration + abs(a0) * duration**2 + 1e-9
    start = [path(0), path.deriv()(0) / duration, path.deriv(2)(0) / duration**2]
    assert start == pytest.approx([y0, v0, a0], rel=1e-12)
    assert [path(1), path.deriv()(1), path.deriv(2)(1)] == pytest.approx([y1, 0, 0], abs=1e-12 * scale)
