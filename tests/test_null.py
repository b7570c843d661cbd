"""What compare finds where there is nothing to find: one arm of real training against itself."""

import numpy as np
import pytest

from curriculum import plugins
from curriculum.measure import stats, verdicts
from curriculum.measure.judging import estimated
from curriculum.measure.measuring import measured
from curriculum.measure.pairing import Pairing
from curriculum.measure.trace import common_strides, trace
from curriculum.measure.verdicts import SmallestEffect
from curriculum.measure.windows import windows
from curriculum.runner.execute import execute
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-separate,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.02,1,0.1,0.1,0,0,0
60,All hues,anchor,,,0,,0.5,0.5,0.5
400,,,,,,,,1,1
"""
PRIMARY = ("draw_up", "spikes", "fluctuation", "drift_jerk", "jitter")
MEASURES = [plugins.find("measure", name) for name in PRIMARY]
SPLITS = 1000
CHANCE = 0.05
MARGIN = 3.5 * (CHANCE * (1 - CHANCE) / SPLITS) ** 0.5  # 3.5 standard errors of a share of all splits


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """Train 64 seeds of one arm and measure each: `[5, 64]`."""
    # With the sample weights of `color`, noise is large enough for half of the seeds to have spikes.
    run = execute(plan("color", parse(SHEET), seeds="0:64"), tmp_path_factory.mktemp("null") / "arm", figures=False).run
    window, strides = windows([run.schedule])["whole"], common_strides([run])
    traces = [trace(run, index, strides) for index in range(64)]
    return np.array([[metric.compute(own, window) for own in traces] for metric in MEASURES])


def family(arms, paired):
    """Judge the five measures of the first part of the seeds against each other part, `[5, N]` each."""
    places = tuple(range(arms[0].shape[1]))
    pairings = [Pairing(0, other, places, places, paired=paired, tested=True) for other in range(1, len(arms))]
    rows = [
        (measured(metric, "whole", (tuple(first), tuple(other)), pairing), pairing)
        for pairing in pairings
        for metric, first, other in zip(MEASURES, arms[0], arms[pairing.other], strict=True)
    ]
    return verdicts.correct([estimated(row, pairing, SmallestEffect(), len(rows)) for row, pairing in rows])


def is_different(found) -> bool:
    return any(verdict.verdict.startswith((verdicts.SUPPORTED, verdicts.CONTRADICTED)) for verdict in found)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_an_arm_against_itself_under_other_seeds_differs_as_seldom_as_it_should(values, paired, monkeypatch):
    """Each split of the seeds into halves, with partners by chance, is an arm against itself under other seeds.

    The p of each measure is below 0.05 in a twentieth of them; that of any of the five, corrected, in at most a twentieth, and
    so is a verdict that finds a difference.
    """
    monkeypatch.setattr(stats, "RESAMPLES", 99)
    rng = np.random.default_rng(0)
    raw, corrected, different = [], [], []
    for _ in range(SPLITS):
        seeds = rng.permutation(64)
        found = family([values[:, seeds[:32]], values[:, seeds[32:]]], paired)
        raw.append([verdict.p < CHANCE for verdict in found])
        corrected.append(any(verdict.p_corrected <= CHANCE for verdict in found))
        different.append(is_different(found))
    assert np.mean(raw, axis=0) == pytest.approx(CHANCE, abs=MARGIN)
    assert np.mean(corrected) <= CHANCE + MARGIN
    assert np.mean(different) <= CHANCE


@pytest.mark.slow
def test_of_four_arms_that_are_one_any_differs_as_seldom_as_it_should(values, monkeypatch):
    """Three pairs of arms, five measures each: any false difference, in any hypothesis, is in at most a twentieth of the splits."""
    monkeypatch.setattr(stats, "RESAMPLES", 99)
    rng = np.random.default_rng(1)
    different = []
    for _ in range(SPLITS):
        seeds = rng.permutation(64).reshape(4, 16)
        different.append(is_different(family([values[:, own] for own in seeds], paired=True)))
    assert np.mean(different) <= CHANCE


@pytest.mark.slow
def test_the_seeds_of_the_arm_differ_in_every_measure(values):
    """Else the check above would look at nothing."""
    assert np.isfinite(values).all()
    assert [len(np.unique(own)) for own, metric in zip(values, MEASURES, strict=True) if metric.effect == "ratio"] == [64] * 4
    spikes = values[PRIMARY.index("spikes")]
    assert 10 <= np.sum(spikes > 0) <= 54
