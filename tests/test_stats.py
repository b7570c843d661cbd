import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, wilcoxon

from curriculum.measure import effects, exact, stats, verdicts
from curriculum.measure.judging import estimated, judge
from curriculum.measure.measuring import Measured, Measurements, measured
from curriculum.measure.metric import Metric
from curriculum.measure.pairing import ComparedRun, Lineup, Pairing
from curriculum.measure.verdicts import CONTRADICTED, INCONCLUSIVE, NOTHING, SUPPORTED, SmallestEffect, Verdict

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0])  # often equal


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=70))
def test_the_interquartile_mean_is_that_of_the_middle_half_in_whole_values(values):
    middle = sorted(values)[len(values) // 4 : len(values) - len(values) // 4]
    assert stats.interquartile_mean(np.array(values)) == pytest.approx(math.fsum(middle) / len(middle), abs=1e-6)
    assert stats.center(np.array(values)) == pytest.approx(math.fsum(middle) / len(middle), abs=1e-6)


def test_the_interquartile_mean_is_taken_of_each_row():
    assert stats.interquartile_mean(np.array([[1.0, 2, 3, 1000], [-1000, 0, 1, 7]])).tolist() == [2.5, 0.5]


POSITIVE = st.lists(st.floats(1e-6, 1e6) | st.just(1.0), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(POSITIVE, POSITIVE, st.sampled_from(["ratio", "time", "difference"]), st.booleans())
def test_an_effect_is_the_value_of_its_estimate_and_turns_round_with_the_runs(first, other, kind, paired):
    first, other = np.array(first), np.array(other)
    if paired:
        first, other = first[: len(other)], other[: len(first)]
    found, turned = effects.effect(first, other, kind, paired), effects.effect(other, first, kind, paired)
    assert found == pytest.approx(1 / turned if kind in effects.SCALED else -turned, rel=1e-9, abs=1e-9)
    if min(len(first), len(other)) > 1:
        assert effects.unscaled(effects.estimate(first, other, kind, paired).value, kind) == found
    if len(first) == len(other) == 1:
        assert found == pytest.approx(first[0] / other[0] if kind in effects.SCALED else first[0] - other[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "other", "kind", "paired", "expected"),
    [
        ([2.0, 8.0], [1.0, 1.0], "ratio", True, 4.0),
        ([2.0, 8.0, 4.0], [1.0, 4.0], "ratio", False, 2.0),
        ([3.0, 1.0, 1.0, 0.0, 9.0], [1.0, 1.0, 1.0, 1.0, 0.0], "difference", True, 2 / 3),
        ([1.0, 1.0, 0.0], [0.0, 1.0, 0.0], "share", True, 1 / 3),
        ([0.0], [2.0], "ratio", True, 0.0),
        ([0.0], [0.0], "ratio", True, 1.0),
        ([math.inf], [2.0], "ratio", True, math.inf),
        ([math.inf, math.inf, 1.0], [math.inf, 1.0, 1.0], "ratio", True, math.inf),
        ([math.inf, 1.0, 2.0], [1.0, math.inf, 1.0], "ratio", True, 2 ** (1 / 3)),
        ([math.inf, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, math.inf], "ratio", False, 3.0),
        ([math.nan, 1.0], [1.0, 1.0], "ratio", True, math.nan),
        ([math.nan, 1.0], [1.0, 1.0], "difference", False, math.nan),
        ([-1.0], [2.0], "ratio", True, math.nan),
    ],
)
def test_effects_of_few_seeds_of_lost_seeds_and_of_missing_values(first, other, kind, paired, expected):
    """Runs that diverged both ways cancel; a missing value leaves no effect."""
    assert effects.effect(np.array(first), np.array(other), kind, paired) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("value", "kind", "unit", "expected"),
    [
        (0.427, "ratio", "dex", "x0.43"),
        (0.0123, "time", "steps", "x0.012"),
        (11.23, "ratio", "", "x11.2"),
        (0.0, "ratio", "dex", "x0"),
        (math.inf, "ratio", "dex", "xinf"),
        (-0.0625, "difference", "spikes", "-0.062 spikes"),
        (1.0, "difference", "%", "+1.0 points"),
        (9.97, "difference", "%", "+10 points"),
        (0.0, "difference", "", "+0.0"),
        (0.875, "share", "", "+88 points"),
        (math.nan, "ratio", "dex", "-"),
    ],
)
def test_effects_are_written_alike_everywhere_with_their_unit(value, kind, unit, expected):
    assert effects.text(value, kind, unit) == expected


def test_an_infinite_estimate_is_an_end_of_its_interval():
    """Of 32 seeds, 8 are shared, and 5 of these diverged in the first run."""
    first = np.where(np.arange(8) < 5, np.inf, 1.0)
    found = effects.estimate(first, np.ones(8), "ratio", paired=True)
    assert found.low <= found.value == found.high == math.inf


def test_the_paired_test_is_scipys_wilcoxon():
    d = np.random.default_rng(1).normal(0.2, 1, 30)
    found = stats.paired_estimate(d)
    assert found.p == pytest.approx(wilcoxon(d, zero_method="pratt").pvalue)
    assert found.low < found.value < found.high
    assert (found.lower, found.tied, found.higher) == (np.sum(d < 0), 0, np.sum(d > 0))


def brute(values) -> float:
    """The p of all sign flips of a sum, one after another."""
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))]
    return float(np.mean([own >= abs(sum(values)) for own in sums]))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=10))
def test_the_test_of_counts_is_that_of_all_sign_flips(values):
    assert exact.sign_flip_p(np.array(values, dtype=float)) == pytest.approx(brute(values))
    found = stats.paired_estimate(np.array(values, dtype=float), counts=True)
    assert found.value == pytest.approx(np.mean(values))
    assert found.p == pytest.approx(brute(values))


def test_tests_of_many_pairs_and_of_large_counts_end_and_agree_with_the_exact_ones():
    d = np.random.default_rng(3).normal(0.1, 1, 900)
    assert exact.signed_rank_p(d) == pytest.approx(wilcoxon(d).pvalue, rel=0.01)
    small = np.random.default_rng(4).integers(-50, 60, 64).astype(float)
    assert exact.sign_flip_p(small * 1e9) == pytest.approx(exact.sign_flip_p(small), abs=0.005)


def test_four_differences_of_one_sign_have_an_exact_p():
    """The normal approximation, which is usual with zeros, gives 0.0455."""
    assert stats.paired_estimate(np.array([1.0, 2, 3, 4] + [0] * 12)).p == pytest.approx(2 / 2**4)
    assert stats.paired_estimate(np.array([1.0, 1, 1, 1] + [0] * 12), counts=True).p == pytest.approx(2 / 2**4)


def test_no_event_in_few_pairs_does_not_prove_that_there_are_none():
    """Clopper & Pearson: with none of 8, the share may be 0.369."""
    found = stats.paired_estimate(np.zeros(8), counts=True)
    assert (found.value, found.p) == (0, 1)
    assert (found.low, found.high) == pytest.approx((-0.36942, 0.36942), abs=1e-4)
    assert stats.paired_estimate(np.zeros(64), counts=True).high == pytest.approx(0.056, abs=1e-3)


def test_an_interval_of_a_family_is_wider_and_holds_for_all_its_tests():
    d = np.random.default_rng(1).normal(size=32)
    alone, many = stats.paired_estimate(d), stats.paired_estimate(d, tests=7)
    assert (alone.low, alone.high) == (many.low, many.high) == alone.wide
    assert many.wide[0] < alone.low < alone.high < many.wide[1]


def test_few_seeds_that_go_wrong_are_no_meaningless_difference():
    """The interquartile mean of these is 0, and that of all is not: 4 of 32 seeds are ten times worse."""
    d = np.r_[np.full(4, 1.0), np.linspace(-0.001, 0.001, 28)]
    found = stats.paired_estimate(d)
    assert max(map(abs, found.wide)) < math.log10(1.1)
    assert verdicts.judge(found, found.p, math.log10(1.1)) == INCONCLUSIVE
    fine = stats.paired_estimate(d[4:])
    assert verdicts.judge(fine, fine.p, math.log10(1.1)) == NOTHING


def test_a_ratio_to_zeros_is_zero_and_not_invented():
    found = effects.estimate(np.zeros(8), np.ones(8), "ratio", paired=True)
    assert (effects.unscaled(found.low, "ratio"), effects.unscaled(found.high, "ratio")) == (0, 0)
    apart = effects.estimate(np.zeros(8), np.ones(9), "ratio", paired=False)
    assert effects.unscaled(apart.high, "ratio") == 0


def test_how_small_p_can_get_and_how_many_pairs_it_takes():
    assert exact.smallest_p(8, 10) == pytest.approx(0.078125)
    assert stats.holm([exact.smallest_p(8, 1)] * 10)[0] == exact.smallest_p(8, 10)
    assert exact.pairs_needed(10) == 9
    assert exact.pairs_needed(1) == 6
    assert stats.paired_estimate(np.arange(1.0, 9)).p == exact.smallest_p(8, 1)


def test_where_test_and_interval_disagree_it_is_said():
    found = stats.Estimate(-0.1, -0.2, 0.0, 0.001, (-0.3, 0.1), (-0.3, 0.1), 20, 0, 12, -0.5, 32, paired=True)
    base = verdict_on("X", "x", "ratio", "lower", np.ones(8), np.ones(8))
    (judged,) = verdicts.correct([replace(base, estimate=found, p=0.001)])
    assert judged.verdict == INCONCLUSIVE
    assert judged.doubts() == ["the test finds a difference, but the interval includes none"]
    clear = replace(found, low=-0.2, high=-0.1, wide=(-0.2, -0.1), p=0.2)
    (unsure,) = verdicts.correct([replace(base, estimate=clear, p=0.2)])
    assert unsure.verdict == INCONCLUSIVE
    assert unsure.doubts() == ["the interval lies on one side of no difference, but the test finds none"]


def test_no_difference_at_all_is_no_effect():
    found = stats.paired_estimate(np.full(20, 1e-14))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    again = stats.unpaired_estimate(np.ones(10), np.ones(12))
    assert (again.value, again.p, again.lower, again.tied) == (0, 1, 0, 120)


def test_a_first_that_is_always_lower_is_better_in_all_pairs():
    found = stats.paired_estimate(-np.arange(1.0, 11))
    assert (found.lower, found.higher, found.rank_biserial) == (10, 0, -1)
    apart = stats.unpaired_estimate(np.arange(10.0), np.arange(20.0, 30))
    assert (apart.lower, apart.rank_biserial) == (100, -1)


SKEWED = math.exp(0.5) / 0.5 * (norm.cdf(norm.ppf(0.75) - 1) - norm.cdf(norm.ppf(0.25) - 1))  # of a lognormal


@pytest.mark.parametrize("n", [16, 32])
@pytest.mark.parametrize(("kind", "truth"), [("normal", 0.0), ("lognormal", SKEWED)])
def test_the_interval_covers_the_truth_as_often_as_it_says(n, kind, truth, monkeypatch):
    """The truth is the mean of the middle half of all values. Plain percentiles cover it in 92% at n = 16."""
    monkeypatch.setattr(stats, "RESAMPLES", 999)
    rng = np.random.default_rng(n)
    covered = []
    for _ in range(1500):
        found = stats.paired_estimate(getattr(rng, kind)(size=n))
        covered.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_an_arm_against_itself_is_found_different_as_seldom_as_it_should():
    rng = np.random.default_rng(7)
    p = [stats.paired_estimate(rng.normal(size=16)).p for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) < 0.08


def of_shares(both, first_only, other_only, neither):
    counts = {(1.0, 1.0): both, (1.0, 0.0): first_only, (0.0, 1.0): other_only, (0.0, 0.0): neither}
    first, other = zip(*[pair for pair, count in counts.items() for _ in range(count)], strict=True)
    return np.array(first), np.array(other)


def test_differences_of_shares_have_their_published_intervals():
    """The examples of Newcombe 1998: paired 36, 12, 2, 0 by method 10; unpaired 56 of 70 against 48 of 80."""
    paired = stats.share_estimate(*of_shares(36, 12, 2, 0), paired=True)
    assert (round(paired.low, 4), round(paired.high, 4)) == (0.0569, 0.3404)
    assert paired.p == pytest.approx(2 * sum([1, 14, 91]) / 2**14)
    unpaired = stats.share_estimate(np.repeat([1.0, 0.0], [56, 14]), np.repeat([1.0, 0.0], [48, 32]), paired=False)
    assert (round(unpaired.low, 4), round(unpaired.high, 4)) == (0.0524, 0.3339)


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6).filter(bool))
def test_intervals_of_shares_hold_the_estimate_and_turn_round_with_the_runs(both, first_only, other_only, neither):
    first, other = of_shares(both, first_only, other_only, neither)
    for paired in (True, False):
        found, turned = stats.share_estimate(first, other, paired), stats.share_estimate(other, first, paired)
        assert -1 <= found.low - 1e-9 <= found.value <= found.high + 1e-9 <= 1 + 2e-9
        np.testing.assert_allclose((found.low, found.high, found.p), (-turned.high, -turned.low, turned.p), atol=1e-9)


def test_eight_of_eight_against_none_is_supported_and_no_difference_is_not():
    ones, zeros = np.ones(8), np.zeros(8)
    clear, equal = stats.share_estimate(ones, zeros, paired=True), stats.share_estimate(ones, ones, paired=True)
    assert clear.p == 2 / 2**8
    assert verdicts.judge(clear, clear.p, 0.1, better="higher") == SUPPORTED
    assert verdicts.judge(clear, clear.p, 0.1, better="lower") == CONTRADICTED
    assert (equal.p, equal.value) == (1.0, 0.0)
    assert verdicts.judge(equal, equal.p, 0.1, better="higher") == INCONCLUSIVE


def test_holm_and_benjamini_hochberg_give_their_textbook_values():
    p = [0.01, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(stats.holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])
    assert stats.holm([]) == stats.benjamini_hochberg([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.05, 1.0]), max_size=30))
def test_q_values_are_those_of_their_definition(p):
    """Benjamini & Hochberg 1995: q(i) is the least of m p(j) / j over j >= i, in the order of p."""
    order = sorted(range(len(p)), key=lambda index: p[index])
    q = {order[i]: min(len(p) * p[order[j]] / (j + 1) for j in range(i, len(p))) for i in range(len(p))}
    assert stats.benjamini_hochberg(p) == pytest.approx([q[i] for i in range(len(p))])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrections_never_lower_a_p_and_keep_its_order(p):
    for corrected in (stats.holm(p), stats.benjamini_hochberg(p)):
        assert all(own >= raw - 1e-12 for own, raw in zip(corrected, p, strict=True))
        assert all(corrected[i] <= corrected[j] + 1e-12 for i in range(len(p)) for j in range(len(p)) if p[i] <= p[j])


def test_a_seed_that_diverged_ranks_worst_and_leaves_the_estimate_finite():
    first, other = np.full(16, 1.0), np.full(16, 2.0)
    first[3] = np.inf
    found = effects.estimate(first, other, "ratio", paired=True)
    assert np.isfinite([found.value, found.low, found.high, found.p]).all()
    assert (found.lower, found.higher) == (15, 1)
    both = effects.pair_effects(np.array([np.inf, np.inf]), np.array([np.inf, 1.0]), "ratio")
    assert both.tolist() == [0, np.inf]


@pytest.mark.parametrize(
    ("low", "high", "p", "margin", "expected"),
    [
        (-0.4, -0.3, 0.001, 0.1, SUPPORTED),
        (-0.4, -0.05, 0.001, 0.1, "supported, perhaps small"),
        (-0.09, -0.05, 0.001, 0.1, "supported, but small"),
        (-0.09, -0.05, 0.001, None, SUPPORTED),
        (0.3, 0.4, 0.001, 0.1, CONTRADICTED),
        (0.05, 0.4, 0.001, 0.1, "contradicted, perhaps small"),
        (0.05, 0.09, 0.001, 0.1, "contradicted, but small"),
        (-0.4, -0.3, 0.06, 0.1, INCONCLUSIVE),
        (-0.02, 0.03, 0.001, 0.1, NOTHING),
        (-0.02, 0.03, 0.5, 0.1, NOTHING),
        (-0.02, 0.03, 0.5, None, INCONCLUSIVE),
        (-0.02, 0.11, 0.5, 0.1, INCONCLUSIVE),
        (-0.09, -0.05, 0.06, 0.1, NOTHING),
    ],
)
def test_a_verdict_follows_from_p_the_interval_and_the_margin(low, high, p, margin, expected):
    found = stats.Estimate((low + high) / 2, low, high, p, (low, high), (low, high), 16, 0, 16, 0.0, 32, paired=True)
    assert verdicts.judge(found, p, margin) == expected
    turned = stats.Estimate(-(low + high) / 2, -high, -low, p, (-high, -low), (-high, -low), 16, 0, 16, 0.0, 32, paired=True)
    assert verdicts.judge(turned, p, margin, better="higher") == expected


def row_of(kind: str, **more) -> Measured:
    return Measured(0, 1, "X", "x", "", kind, "lower", "whole", ((1.0,), (1.0,)), 1.0, judged=True, needs="", **more)


def test_a_margin_belongs_to_its_measure():
    baseline = np.array([1.0, 2.0, 3.0])
    smallest = SmallestEffect(0.1)
    assert smallest.margin(row_of("ratio"), baseline) == pytest.approx(math.log10(1.1))
    assert smallest.margin(row_of("ratio", smallest=0.5), baseline) == pytest.approx(math.log10(1.5))
    assert smallest.margin(row_of("share"), baseline) == 0.1
    assert smallest.margin(row_of("difference", counts=True), baseline) == pytest.approx(0.2)
    assert smallest.margin(row_of("difference", counts=True), 0 * baseline) is None
    assert smallest.margin(row_of("difference", smallest=0.5), baseline) == 0.5
    assert smallest.margin(row_of("difference"), baseline) is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([SUPPORTED, SUPPORTED], SUPPORTED),
        ([SUPPORTED, CONTRADICTED], "mixed"),
        ([SUPPORTED, NOTHING], "partly supported"),
        ([CONTRADICTED, INCONCLUSIVE], "partly contradicted"),
        ([NOTHING, INCONCLUSIVE], INCONCLUSIVE),
        ([NOTHING, NOTHING], NOTHING),
        ([SUPPORTED, "supported, but small"], "supported, perhaps small"),
        (["supported, but small", CONTRADICTED], "mixed"),
        (["supported, but small", INCONCLUSIVE], "partly supported"),
        ([], "not judged"),
    ],
)
def test_a_hypothesis_sums_up_its_measures(own, expected):
    assert verdicts.hypothesis(own) == expected


def verdict_on(id_: str, title: str, kind: str, better: str, first, other) -> Verdict:
    metric = Metric(id_, title, "", lambda trace, window: 0.0, windowed=False, effect=kind, better=better)
    places = tuple(range(len(first)))
    pairing = Pairing(0, 1, places, places, paired=True, tested=True)
    row = measured(metric, "whole", (first, other), pairing)
    (judged,) = verdicts.correct([estimated(row, pairing, SmallestEffect(), 1)])
    return judged


def test_where_higher_is_better_a_rise_is_supported_and_said_to_be_better():
    judged = verdict_on("P1", "foresight", "difference", "higher", np.full(16, 0.9), np.linspace(0.3, 0.6, 16))
    assert "a +0.45 against b" in judged.sentence(["a", "b"])
    assert "better in 16 of 16 pairs" in judged.sentence(["a", "b"])
    assert judged.verdict == SUPPORTED


def test_a_verdict_reads_as_a_sentence():
    first = 10 ** np.random.default_rng(0).normal(-0.37, 0.05, 64)
    text = verdict_on("H1a", "largest sudden rise", "ratio", "lower", first, np.ones(64)).sentence(["smooth", "stepped"])
    assert text.startswith("H1a largest sudden rise: smooth x0.4")
    assert "better in 64 of 64 pairs, p = " in text
    assert text.endswith(": supported")


def test_ties_are_said_as_ties():
    first, other = np.array([1.0, 1, 1, 1, 1, 0, 0, 2]), np.ones(8)
    assert "better in 2 and tied in 5 of 8 pairs" in verdict_on("C", "count", "difference", "lower", first, other).sentence("ab")
    assert "tied in all 8 pairs" in verdict_on("C", "count", "difference", "lower", other, other).sentence("ab")


def measurements_of(own, varied) -> Measurements:
    """Give the ratios of 32 pairs in one measure, and with other settings of it."""
    ones, places = np.ones(32), tuple(range(32))
    metric = Metric("H1a", "largest rise", "", lambda trace, window: 0.0, effect="ratio", better="lower")
    pairing = Pairing(0, 1, places, places, paired=True, tested=True)
    row, *others = (measured(metric, "whole", (values, ones), pairing) for values in (own, *varied))
    whole = {"whole": np.ones(100, dtype=bool)}
    return Measurements(pairing, whole, 0, True, (), 1, (), (row,), (), (), (), {"H1a": tuple(others)})


def test_a_finding_that_other_settings_of_the_window_do_not_show_says_so():
    """The ratio is below 1 in all pairs; with other settings it is as clear, no longer significant, or turned round."""
    rng = np.random.default_rng(0)
    clear, turned = (10 ** rng.normal(mean, 0.1, 32) for mean in (-0.3, 0.3))
    weak = 10 ** np.linspace(-0.22, 0.18, 32)
    runs = tuple(ComparedRun(name, name, "finished", "s.csv", "", 100, 99, tuple(range(32)), {}, None) for name in "ab")
    assert effects.effect(weak, np.ones(32), "ratio", True) < 1  # the same sign, but
    assert effects.estimate(weak, np.ones(32), "ratio", True).p > 0.05
    for varied in ([], [clear], [clear, weak], [weak, turned]):
        found = measurements_of(clear, varied)
        (verdict,) = judge([found], Lineup(runs, (found.pairing,), ()), {}, SmallestEffect()).verdicts
        assert verdict.verdict == SUPPORTED
        last = varied[-1] if varied else clear
        said = "depends on the window" if last is turned else "not significant in every window" if last is weak else None
        assert verdict.caveats == (() if said is None else (said,))
        assert said is None or f"supported ({said})" in verdict.sentence("ab")
