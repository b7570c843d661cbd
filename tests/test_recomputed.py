"""What `compare` finds, recomputed from the stored curves as docs/runs.md and docs/verdicts.md define it, with numpy and scipy alone."""

import numpy as np
import pytest
from scipy.signal import find_peaks
from scipy.stats import norm, t, wilcoxon

from curriculum.measure.comparison import compare
from curriculum.runner.execute import execute_all
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,data-hues,data-vibrancies
0,Primary & secondary,,0.02,1,0.1,0,0
{start},All hues,,,,,0.5,0.5
120,,,,,,1,1
500,,,,,,,
"""
START = 60  # the end of the first phase that lasts longest
SEEDS = 16


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recomputed")
    plans = [plan("color", parse(SHEET.format(start=start)), seeds=f"0:{SEEDS}") for start in (20, START)]
    execute_all(plans, [folder / "early", folder / "late"], figures=False)
    return Run(folder / "early"), Run(folder / "late")


@pytest.fixture(scope="module")
def found(runs):
    return compare(runs)


def error(run: Run) -> np.ndarray:
    assert run.traces["loss.hues.steps"].tolist() == list(range(501))
    return np.log10(np.maximum(run.traces["loss.hues"].astype(float), 1e-12))


def rise(y: np.ndarray) -> np.ndarray:
    return np.array([y[i] - y[max(0, i - 100) : i + 1].min() for i in range(len(y))])


def largest_rise(run: Run, seed: int) -> float:
    return rise(error(run)[:, seed])[START:].max()


def spikes(run: Run, seed: int) -> int:
    y = error(run)[START:, seed]
    peaks, _ = find_peaks(y, prominence=0.3)
    return sum(rise(y)[peak] >= 0.3 for peak in peaks)


def fluctuation(run: Run, seed: int) -> float:
    change = np.diff(error(run)[START:, seed])
    blocks = [change[i : i + 200] for i in range(0, len(change), 200)]
    return np.mean([np.subtract(*np.percentile(block, [75, 25])) for block in blocks if len(block) >= 20])


def drift(run: Run, seed: int) -> tuple[np.ndarray, np.ndarray]:
    steps = run.traces["latents.g5.steps"]
    z = run.traces["latents.g5"][steps >= START, seed].astype(float)
    # A Hann window over 200 steps, here 21 values 10 steps apart, of which none is 0.
    weights = np.sin(np.pi * np.arange(1, 22) / 22) ** 2
    weights /= weights.sum()
    slow = np.array([np.tensordot(weights, z[i : i + 21], 1) for i in range(len(z) - 20)])
    return slow, z[10:-10]


def drift_jerk(run: Run, seed: int) -> float:
    slow, _ = drift(run, seed)
    return np.sqrt((np.diff(slow, n=3, axis=0) ** 2).sum((1, 2)).mean() / slow.shape[1]) / 10**3


def jitter(run: Run, seed: int) -> float:
    slow, z = drift(run, seed)
    return np.median(np.sqrt(((z - slow) ** 2).sum(2).mean(1)))


def final(run: Run, seed: int) -> float:
    return 10 ** error(run)[475:, seed].mean()


def final_grid(run: Run, seed: int) -> float:
    steps = run.traces["loss.grid.steps"]
    return 10 ** np.log10(run.traces["loss.grid"][steps >= 475, seed].astype(float)).mean()


DEFINED = {
    "largest sudden rise (100 steps)": largest_rise,
    "spikes (over 0.3 dex)": spikes,
    "loss fluctuation (blocks of 200 steps)": fluctuation,
    "drift jerk of the latents": drift_jerk,
    "jitter of the latents": jitter,
    "final error on 36 vivid hues": final,
    "final error on 8 x 8 x 8 RGB grid": final_grid,
}


@pytest.mark.parametrize("title", DEFINED)
def test_a_measure_is_what_the_documentation_says(runs, found, title):
    (row,) = [row for row in (*found.measures, *found.final) if row.title == title and row.judged]
    expected = [[DEFINED[title](run, seed) for seed in range(SEEDS)] for run in runs]
    np.testing.assert_allclose(row.values, expected, rtol=1e-5)


def middle(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half, along the last axis."""
    cut = values.shape[-1] // 4
    return np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(-1)


def test_estimates_tests_and_intervals_are_those_of_the_documentation(found):
    """The bootstrap has another generator: its ends agree but for the noise of resampling."""
    family = [*found.verdicts, *found.guards]
    assert len(family) == found.tests == 7
    rows = {row.title: row for row in (*found.measures, *found.final) if row.judged}
    p = []
    for verdict in family:
        first, other = np.array(rows[verdict.title].values)
        counts = verdict.id == "H1b"
        d = first - other if counts else np.log10(first / other)
        center = np.mean if counts else middle
        assert verdict.estimate.value == pytest.approx(center(d))
        assert verdict.value == pytest.approx(center(d) if counts else 10 ** center(d))
        if not counts:
            p.append(wilcoxon(d, method="exact").pvalue)
        else:
            flips = np.array(np.meshgrid(*[[-1, 1]] * SEEDS)).reshape(SEEDS, -1)
            p.append((np.abs(d @ flips) >= abs(d.sum())).mean())
        assert verdict.p == pytest.approx(p[-1])
        drawn = d[np.random.default_rng(99).integers(0, SEEDS, (100_000, SEEDS))]
        drawn = drawn.mean(1) if counts else middle(drawn)
        for level, ends in ((0.95, (verdict.estimate.low, verdict.estimate.high)), (1 - 0.05 / 7, verdict.estimate.wide)):
            share = norm.cdf(t.ppf((1 - level) / 2, SEEDS - 1) * np.sqrt(SEEDS / (SEEDS - 1)))
            expected = np.quantile(drawn, [share, 1 - share])
            if counts:
                assert ends[0] <= expected[0] + 0.1
                assert ends[1] >= expected[1] - 0.1
            else:
                assert ends == pytest.approx(expected, abs=0.08 * np.ptp(expected))
    order = np.argsort(p)
    holm = np.empty(7)
    holm[order] = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * np.arange(7, 0, -1)))
    assert [verdict.p_corrected for verdict in family] == pytest.approx(list(holm))


def test_a_verdict_follows_from_the_numbers_that_are_stored(found):
    """As docs/verdicts.md has it in its table."""
    for verdict in (*found.verdicts, *found.guards):
        low, high = verdict.estimate.low, verdict.estimate.high
        margin = 0.1 * np.mean(next(row for row in found.measures if row.id == "H1b").values[1]) if verdict.id == "H1b" else np.log10(1.1)
        inside = -margin <= verdict.estimate.wide[0] and verdict.estimate.wide[1] <= margin
        apart = verdict.estimate.wide[1] < -margin or verdict.estimate.wide[0] > margin
        if verdict.p_corrected <= 0.05 and (high < 0 or low > 0):
            expected = ("supported" if high < 0 else "contradicted") + ("" if apart else ", but small" if inside else ", perhaps small")
        else:
            tame = -margin <= verdict.estimate.mean[0] and verdict.estimate.mean[1] <= margin
            expected = "no meaningful difference" if inside and tame and margin else "inconclusive"
        assert verdict.verdict == expected, verdict.title
