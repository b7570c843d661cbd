"""Each measure on synthetic curves and latents of known truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from curriculum import plugins
from curriculum.maps import trustworthiness
from curriculum.metrics import Metric
from curriculum.metrics.draw_up import draw_up, largest_rise
from curriculum.metrics.drift_jerk import drift_jerk
from curriculum.metrics.fluctuation import fluctuation
from curriculum.metrics.jitter import jitter
from curriculum.metrics.mean_draw_up import mean_draw_up
from curriculum.metrics.path_length import path_length
from curriculum.metrics.peak_speed import peak_speed
from curriculum.metrics.spike_score import spike_score
from curriculum.metrics.spikes import count_spikes
from curriculum.metrics.von_neumann import von_neumann
from curriculum.traces import Trace
from curriculum.worlds.plane import Plane, PlaneSettings

STEPS = 4001
ALL = np.ones(STEPS, dtype=bool)
ATLAS = Plane(PlaneSettings(size=10)).atlas


def trace_of(y=None, latents=None, stride=1, motion_stride=10) -> Trace:
    steps = np.arange(0, STEPS, stride)
    motion = np.arange(0, STEPS, motion_stride)
    return Trace(
        stride,
        steps,
        np.zeros(len(steps)) if y is None else y[steps],
        motion,
        np.zeros((len(motion), 1, 2)) if latents is None else latents[motion],
        {},
    )


def spiky(heights: list[float], width: int = 15) -> np.ndarray:
    """A slow descent with a spike of each height, rising at once and decaying over `width` steps."""
    y = -3 - np.arange(STEPS) / STEPS
    for index, height in enumerate(heights):
        at = 500 + index * 600
        y[at : at + 200] += height * np.exp(-np.arange(200) / width)
    return y


def test_draw_up_looks_back_over_its_window_only():
    y = np.random.default_rng(0).normal(size=300)
    for lag in (1, 2, 7, 100):
        expected = [y[t] - y[max(0, t - lag) : t + 1].min() for t in range(300)]
        np.testing.assert_allclose(draw_up(y, lag), expected)


def test_the_largest_rise_is_the_highest_spike():
    assert largest_rise(trace_of(spiky([0.6, 0.9, 0.2])), ALL) == pytest.approx(0.9, abs=0.03)
    before = np.arange(STEPS) < 900
    assert largest_rise(trace_of(spiky([0.6, 0.9, 0.2])), before) == pytest.approx(0.6, abs=0.03)


def test_a_slow_climb_is_no_sudden_rise():
    climb = np.linspace(-3, -1, STEPS)
    assert largest_rise(trace_of(climb), ALL) == pytest.approx(2 * 100 / (STEPS - 1))
    assert count_spikes(trace_of(climb), ALL) == 0


def test_four_spikes_are_counted_as_four():
    assert count_spikes(trace_of(spiky([0.6] * 4)), ALL) == 4
    assert count_spikes(trace_of(spiky([0.6, 0.1, 0.6, 0.1])), ALL) == 2


def test_spikes_are_counted_where_their_peak_is():
    window = np.zeros(STEPS, dtype=bool)
    window[1000:1300] = True
    assert count_spikes(trace_of(spiky([0.6] * 4)), window) == 1


def test_noise_is_no_spike():
    noise = np.random.default_rng(1).normal(scale=0.04, size=STEPS)
    assert count_spikes(trace_of(-3 + noise), ALL) == 0


def test_fluctuation_is_the_spread_of_the_changes_and_ignores_the_trend():
    rng = np.random.default_rng(2)
    noise = rng.normal(scale=0.1, size=STEPS)
    # The difference of two independent normals has sqrt(2) times their spread; its quartiles are 1.349 sigma apart.
    expected = 0.1 * math.sqrt(2) * 1.349
    assert fluctuation(trace_of(noise), ALL) == pytest.approx(expected, rel=0.05)
    assert fluctuation(trace_of(noise - np.arange(STEPS) / 100), ALL) == pytest.approx(expected, rel=0.05)
    assert fluctuation(trace_of(-np.arange(STEPS) / 100), ALL) == pytest.approx(0, abs=1e-12)


def path_from(progress: np.ndarray) -> np.ndarray:
    return np.stack([progress, -2 * progress], axis=-1)[:, None]


def min_jerk(duration: int) -> np.ndarray:
    u = np.clip((np.arange(STEPS) - 1000) / duration, 0, 1)
    return path_from(10 * u**3 - 15 * u**4 + 6 * u**5)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01])
def test_a_minimum_jerk_path_is_less_jerky_than_a_jump_at_every_jitter(noise):
    extra = np.random.default_rng(3).normal(scale=noise, size=(STEPS, 1, 2)) if noise else 0
    smooth = drift_jerk(trace_of(latents=min_jerk(2000) + extra), ALL)
    jump = drift_jerk(trace_of(latents=min_jerk(1) + extra), ALL)
    assert smooth < jump


def test_the_jerk_of_a_cubic_is_its_third_derivative():
    t = np.arange(STEPS, dtype=float)
    cubic = np.stack([1e-9 * t**3, np.zeros(STEPS)], axis=-1)[:, None]
    assert drift_jerk(trace_of(latents=cubic), ALL) == pytest.approx(6e-9, rel=1e-3)


def test_jitter_is_the_distance_from_the_drift():
    rng = np.random.default_rng(4)
    noise = rng.normal(scale=0.01, size=(STEPS, 50, 2))
    # In two dimensions the root mean square distance is sqrt(2) sigma; the filter takes a little of it.
    assert jitter(trace_of(latents=min_jerk(2000) + noise), ALL) == pytest.approx(0.01 * math.sqrt(2), rel=0.08)
    assert jitter(trace_of(latents=min_jerk(2000)), ALL) < 1e-3


def test_one_wild_value_in_a_quiet_run_is_its_spike_score():
    y = np.full(STEPS, -3.0) + np.random.default_rng(5).normal(scale=0.01, size=STEPS)
    assert spike_score(trace_of(y), ALL) == 0
    y[3000] = -1.0
    assert spike_score(trace_of(y), ALL) == pytest.approx(100 / (STEPS - 1000))


def test_the_von_neumann_deviation_is_that_of_the_noise_without_the_trend():
    noise = np.random.default_rng(6).normal(scale=0.05, size=STEPS)
    assert von_neumann(trace_of(noise + np.linspace(0, 3, STEPS)), ALL) == pytest.approx(0.05, rel=0.05)


def test_mean_rise_of_a_steady_climb_is_its_rise_within_the_window():
    climb = np.linspace(0, 4, STEPS)
    late = np.arange(STEPS) >= 100
    assert mean_draw_up(trace_of(climb), late) == pytest.approx(0.1)


def test_a_path_has_its_length_and_peak_speed():
    path = min_jerk(1000)
    # The path goes sqrt(5) far; a minimum-jerk path is 1.875 times as fast at its middle as on average.
    assert path_length(trace_of(latents=path), ALL) == pytest.approx(math.sqrt(5), rel=1e-3)
    assert peak_speed(trace_of(latents=path), ALL) == pytest.approx(1.875 * math.sqrt(5) / 1000, rel=0.03)


def mapped(latents=None, step=3000, **more) -> Trace:
    """A trace of maps: a point until `step`, then `latents` `[N, 2]`, by default the world itself in units of 2."""
    motion = np.arange(0, STEPS, 20)
    maps = np.zeros((len(motion), len(ATLAS.states), 2))
    maps[motion >= step] = 2 * ATLAS.linear if latents is None else latents
    names = {"map.linear": ATLAS.linear, "map.near": ATLAS.near, "map.edges": ATLAS.edges, "map.cells": ATLAS.cells}
    seldom = motion[::5]
    curves = {
        "prediction.r2": (seldom, np.linspace(-1, 0.9, len(seldom))),
        "posterior.sigma": (seldom, np.full(len(seldom), 0.5)),
        "step.variance": (seldom, np.tile([0.004, 0.4], (len(seldom), 1))),
    }
    exhibits = {"gradient.noise": np.array([[2.0, 3.0, 4.0], [1.0, 3.0, 2.0]])}
    own = {"curves": curves, "exhibits": exhibits, "fixed": names, "properties": {"rho": np.ones(STEPS)}, **more}
    return Trace(20, motion, np.zeros(len(motion)), motion, maps, {}, STEPS - 1, **own)


def measure(name: str, trace: Trace, window=ALL) -> float:
    return plugins.find("metrics", name).METRIC.compute(trace, window)


def test_an_affine_copy_of_the_world_is_a_perfect_map():
    turned = ATLAS.linear @ [[0.3, -2.0], [1.0, 0.4]] + [5, -7]
    for name, value in {"affine_r2": 1, "worst_r2": 1, "folding": 0, "unfolded": 1, "time_to_unfold": 3000}.items():
        assert measure(name, mapped(turned)) == pytest.approx(value), name
    for name, value in {"anisotropy": 1, "edge_variation": 0, "trust": 1, "continuity": 1}.items():
        assert measure(name, mapped()) == pytest.approx(value, abs=1e-9), name
    stretched = ATLAS.linear * [3, 1]
    assert measure("anisotropy", mapped(stretched)) == pytest.approx(3)
    assert measure("edge_variation", mapped(stretched)) == pytest.approx(0.5)


def test_a_map_that_is_folded_in_the_middle_is_half_turned_over():
    folded = np.abs(ATLAS.linear - ATLAS.linear.mean(0)) * [1, 0] + ATLAS.linear * [0, 1]
    assert measure("folding", mapped(folded)) == pytest.approx(0.5)
    assert measure("worst_r2", mapped(folded)) == pytest.approx(0, abs=1e-9)
    assert measure("affine_r2", mapped(folded)) == pytest.approx(0.5)
    assert measure("unfolded", mapped(folded)) == 0
    # Neighbours stay rather near each other, and those of the other half have come near too.
    assert measure("trust", mapped(folded)) < 0.9 < 0.95 < measure("continuity", mapped(folded))


def test_a_map_that_never_unfolds_has_the_step_after_the_last():
    assert measure("time_to_unfold", mapped(np.zeros_like(ATLAS.linear))) == STEPS
    early = np.arange(STEPS) < 2990
    assert measure("unfolded", mapped(), early) == 0
    assert measure("unfolded", mapped(np.full_like(ATLAS.linear, np.nan))) == 0


def test_lengths_in_the_latent_space_are_turned_into_pixels():
    assert measure("posterior_spread", mapped()) == pytest.approx(0.25)  # an edge is 2 long
    assert measure("step_ratio", mapped()) == pytest.approx(100)
    for rho, value in ((1, 0.001), (0, 0.1), (0.5, 0.0505)):
        assert measure("step_variance", mapped(properties={"rho": np.full(STEPS, rho)})) == pytest.approx(value)
    assert measure("step_variance", mapped(properties={})) == pytest.approx(0.001)


def test_prediction_is_read_at_the_end_of_the_window():
    assert measure("prediction_r2", mapped()) == pytest.approx(0.9)
    assert measure("unpredicted", mapped()) == pytest.approx(0.1)
    halfway = np.arange(STEPS) <= 2000
    assert measure("prediction_r2", mapped(step=0), halfway) == pytest.approx(-0.05)


def test_gradient_noise_is_compared_by_module_and_in_all():
    assert measure("gradient_noise", mapped()) == pytest.approx(6 / 9)
    ratios = [measure(f"gradient_noise_{module}", mapped()) for module in ("encoder", "transition", "decoder")]
    assert ratios == pytest.approx([0.5, 1, 0.5])


def test_trustworthiness_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    near, latents = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    k, penalty = 5, 0
    apart, apart_in_map = (np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (near, latents))
    for i in range(60):
        ranks = {j: rank for rank, j in enumerate(np.argsort(apart[i]))}
        neighbours, in_map = set(np.argsort(apart[i])[1 : k + 1]), set(np.argsort(apart_in_map[i])[1 : k + 1])
        penalty += sum(ranks[j] - k for j in in_map - neighbours)
    assert trustworthiness(near, latents, k) == pytest.approx(1 - 2 / (60 * k * (2 * 60 - 3 * k - 1)) * penalty)
    assert trustworthiness(near, near, k) == 1


def circle() -> dict[str, np.ndarray]:
    """What a run of the color task exhibits whose hues lie on the unit circle, in order."""
    hues = 2 * np.pi * np.arange(36) / 36
    z = np.stack([np.cos(hues), np.sin(hues), 0 * hues], 1)
    return {"latents.hues": z, "latents.prim": z[::6], "reference.anchor": z[::6]}


def metrics() -> list[Metric]:
    return [plugins.find("metrics", name).METRIC for name in plugins.names("metrics")]


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: metric.id)
def test_every_metric_has_a_number_for_a_run_and_none_for_an_empty_window(metric):
    still = mapped(step=0)
    growing = still.latents * (1 + min_jerk(500)[still.motion_steps, :, :1])
    exhibits = {**still.exhibits, **circle()}
    trace = replace(still, stride=1, steps=np.arange(STEPS), y=spiky([0.5]), latents=growing, exhibits=exhibits)
    assert math.isfinite(metric.compute(trace, ALL))
    assert math.isnan(metric.compute(trace, np.zeros(STEPS, dtype=bool)))


def test_metrics_have_distinct_ids_and_places():
    assert len({metric.id for metric in metrics()}) == len({metric.order for metric in metrics()}) == len(metrics())
