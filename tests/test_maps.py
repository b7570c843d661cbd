"""The measures of latent maps and dynamics, on maps of known truth."""

import math

import numpy as np
import pytest

from curriculum import plugins
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import trustworthiness
from curriculum.tasks.e2c.task import E2cTask
from curriculum.tasks.e2c.worlds.plane import Plane, PlaneSettings

STEPS = 4001
ALL = np.ones(STEPS, dtype=bool)
ATLAS = Plane(PlaneSettings(size=10)).atlas


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
    return plugins.find("measure", name).compute(trace, window)


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


@pytest.mark.parametrize("name", E2cTask.measures)
def test_every_measure_has_a_number_for_a_run_and_none_for_an_empty_window(name):
    assert math.isfinite(measure(name, mapped()))
    assert math.isnan(measure(name, mapped(), np.zeros(STEPS, dtype=bool)))
