"""Each measure on synthetic curves and latents of known truth."""

import math
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.spatial import procrustes

from curriculum import plugins
from curriculum.errors import InputError
from curriculum.measure import metrics
from curriculum.measure.drift import positions
from curriculum.measure.metric import Metric
from curriculum.measure.metrics.detrended import detrended_deviation
from curriculum.measure.metrics.draw_up import draw_up, largest_rise
from curriculum.measure.metrics.drift_jerk import drift_jerk
from curriculum.measure.metrics.fluctuation import fluctuation
from curriculum.measure.metrics.jitter import jitter
from curriculum.measure.metrics.mean_draw_up import mean_draw_up
from curriculum.measure.metrics.path_length import path_length
from curriculum.measure.metrics.peak_speed import peak_speed
from curriculum.measure.metrics.procrustes import disparities, procrustes_step
from curriculum.measure.metrics.rise_time import rise_time
from curriculum.measure.metrics.sparc import HIGHEST, arc_length, sparc
from curriculum.measure.metrics.spike_score import moving_moments, spike_score
from curriculum.measure.metrics.spikes import count_spikes
from curriculum.measure.metrics.unrecovered import count_unrecovered
from curriculum.measure.metrics.von_neumann import von_neumann
from curriculum.measure.trace import Trace, common_strides, trace
from curriculum.runner.execute import execute
from curriculum.runner.plan import Plan, plan

STEPS = 4001
ALL = np.ones(STEPS, dtype=bool)


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


def test_an_early_rise_makes_no_spike_of_a_later_slow_climb():
    """The rise of a spike is measured at its peak: here it took 400 steps to get from a sudden 0.4 to 1."""
    y = np.full(STEPS, -3.0)
    y[1000:1401] += np.linspace(0.4, 1.0, 401)
    y[1401:] += np.maximum(0, 1 - np.arange(STEPS - 1401) / 200)
    assert count_spikes(trace_of(y), ALL) == 0
    y[1401:] = -3
    assert count_spikes(trace_of(y + shifted(2500, until=2520) + 3), ALL) == 1


def test_spikes_are_counted_where_their_peak_is():
    window = np.zeros(STEPS, dtype=bool)
    window[1000:1300] = True
    assert count_spikes(trace_of(spiky([0.6] * 4)), window) == 1


def test_noise_is_no_spike():
    """A probe's noise is about 0.01 dex with `ex-1.6`; neighbouring values of up to 0.04 dex never differ by 0.3."""
    noise = np.random.default_rng(1).normal(scale=0.04, size=STEPS)
    assert count_spikes(trace_of(-3 + noise), ALL) == 0
    assert count_spikes(trace_of(spiky([0.6] * 4) + noise), ALL) == 4


def test_the_noise_of_a_batch_is_many_spikes_and_its_mean_over_ten_steps_is_none():
    """The logged loss of a batch has a noise of about 0.12 dex: why spikes are counted on a probe."""
    noise = np.random.default_rng(1).normal(scale=0.12, size=STEPS + 9)
    assert count_spikes(trace_of(-3 + noise[:STEPS]), ALL) > 200
    averaged = np.convolve(noise, np.full(10, 0.1), "valid")
    assert count_spikes(trace_of(-3 + averaged), ALL) == 0
    assert count_spikes(trace_of(spiky([0.6] * 4) + averaged), ALL) == 4


def shifted(at: int, until: int = STEPS, height: float = 0.6) -> np.ndarray:
    """A level that jumps up for some steps."""
    y = np.full(STEPS, -3.0)
    y[at:until] += height
    return y


@pytest.mark.parametrize("scale", [0.0, 0.04])
def test_a_level_that_stays_up_is_a_rise_not_recovered_from(scale):
    noise = np.random.default_rng(8).normal(scale=scale, size=STEPS)
    assert count_unrecovered(trace_of(shifted(1500) + noise), ALL) == 1
    assert count_unrecovered(trace_of(shifted(1500) + shifted(2700) + noise), ALL) == 2
    assert count_unrecovered(trace_of(shifted(1500, until=2000) + noise), ALL) == 0
    assert count_unrecovered(trace_of(shifted(1500, until=2700) + noise), ALL) == 1
    assert count_unrecovered(trace_of(shifted(1500, height=0.15) + noise), ALL) == 0
    assert count_unrecovered(trace_of(spiky([0.6] * 4) + noise), ALL) == 0
    assert count_unrecovered(trace_of(shifted(1500) + noise), np.arange(STEPS) >= 1600) == 0
    # It is no spike, since it has no peak.
    assert count_spikes(trace_of(shifted(1500) + noise), ALL) == 0


def test_a_slow_climb_and_a_rise_at_the_very_end_are_not_unrecovered():
    assert count_unrecovered(trace_of(np.linspace(-3, -1, STEPS)), ALL) == 0
    assert count_unrecovered(trace_of(shifted(STEPS - 30)), ALL) == 0
    assert count_unrecovered(trace_of(shifted(STEPS - 300)), ALL) == 1
    assert count_unrecovered(trace_of(shifted(1500), stride=5), ALL) == 1


def test_the_rise_time_is_from_a_tenth_to_nine_tenths_of_the_largest_rise():
    t = np.arange(STEPS)
    assert rise_time(trace_of(shifted(1500)), ALL) == 1
    assert rise_time(trace_of(np.clip((t - 1500) / 300, 0, 1)), ALL) == 240
    u = np.clip((t - 1500) / 400, 0, 1)
    smooth = 10 * u**3 - 15 * u**4 + 6 * u**5
    low, high = (brentq(lambda u, share=share: 10 * u**3 - 15 * u**4 + 6 * u**5 - share, 0, 1) for share in (0.1, 0.9))
    for height in (0.2, 2):
        assert rise_time(trace_of(height * smooth), ALL) == pytest.approx(400 * (high - low), abs=2)
    assert rise_time(trace_of(2 * smooth + shifted(500, until=900)), ALL) == pytest.approx(400 * (high - low), abs=2)
    assert rise_time(trace_of(smooth + shifted(500, until=900, height=2)), ALL) == 1
    assert rise_time(trace_of(smooth, stride=5), ALL) == pytest.approx(400 * (high - low), abs=10)


def test_an_error_that_only_falls_has_no_rise_time():
    assert math.isnan(rise_time(trace_of(-np.arange(STEPS) / 1000), ALL))


def test_the_detrended_deviation_is_that_of_the_noise_beside_a_straight_trend():
    noise = np.random.default_rng(9).normal(scale=0.05, size=STEPS)
    found = detrended_deviation(trace_of(noise), ALL)
    assert found == pytest.approx(0.05, rel=0.03)
    assert detrended_deviation(trace_of(noise - np.arange(STEPS) / 100), ALL) == pytest.approx(found, rel=1e-6)
    # Of a slow wave too it sees the rise and fall that a line over 200 steps leaves.
    assert detrended_deviation(trace_of(0.1 * np.sin(np.arange(STEPS) * 2 * np.pi / 200)), ALL) > 0.02


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


def min_jerk(duration: int, start: int = 1000) -> np.ndarray:
    u = np.clip((np.arange(STEPS) - start) / duration, 0, 1)
    return path_from(10 * u**3 - 15 * u**4 + 6 * u**5)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01, 0.1, 1.0, 3.0])
def test_a_minimum_jerk_path_is_less_jerky_than_a_jump_at_every_jitter(noise):
    """Both go sqrt(5) far; the largest jitter is more than that, and 98% of the jerk from a fifth of it on."""
    extra = np.random.default_rng(3).normal(scale=noise, size=(STEPS, 125, 2))
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


@settings(deadline=None)
@given(st.floats(-12, 3), st.sampled_from([1, 7, 20]))
def test_a_flat_error_has_no_spikes_and_a_single_spike_is_exactly_its_share(level, stride):
    y = np.full(STEPS, level)
    assert spike_score(trace_of(y, stride=stride), ALL) == 0
    y[150 * stride] += 2
    assert spike_score(trace_of(y, stride=stride), ALL) == (0 if 150 * stride < 1000 else 100 / (len(y[::stride]) - 1000 // stride))


def test_an_error_that_flickers_by_the_rounding_of_its_storage_has_no_spikes():
    y = np.full(STEPS, np.float32(0.003))
    y[1500::700] = np.nextafter(y[0], np.float32(1))
    assert spike_score(trace_of(np.log10(y.astype(float))), ALL) == 0


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 100), st.sampled_from([1e-3, 1, 1e6]))
def test_moving_means_and_deviations_are_those_of_each_window(seed, size, more, jump):
    """Also behind values that are far larger, where differences of running sums would have no digits left."""
    values = np.random.default_rng(seed).normal(loc=3, scale=0.01, size=size + more)
    values[: more // 2] *= jump
    mean, spread = moving_moments(values, size)
    direct = np.lib.stride_tricks.sliding_window_view(values, size)
    np.testing.assert_allclose(mean, direct.mean(1), rtol=1e-12)
    assert (np.abs(spread - direct.std(1)) <= 1e-12 * np.abs(direct).max(1)).all()


@settings(deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 80), max_size=4), st.floats(0.01, 3))
def test_the_spike_score_is_that_of_its_definition(seed, places, height):
    y = np.random.default_rng(seed).normal(loc=-3, scale=0.02, size=STEPS)
    y[50 * np.array(places, dtype=int)] += height
    error = 10 ** y[::50]
    far = [abs(error[i] - error[i - 20 : i].mean()) > 7 * error[i - 20 : i].std() for i in range(20, len(error))]
    assert spike_score(trace_of(y, stride=50), ALL) == pytest.approx(100 * np.mean(far))


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


def turned(shape: np.ndarray, angle: float) -> np.ndarray:
    return shape @ [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]


@pytest.mark.parametrize(("span", "window"), [(100, slice(300, None)), (200, slice(None)), (400, slice(123, 3800))])
def test_the_drift_is_what_scipy_filters_to_the_last_bit(span, window):
    latents = np.random.default_rng(3).normal(size=(STEPS, 23, 3)).cumsum(axis=0)
    marked = np.zeros(STEPS, dtype=bool)
    marked[window] = True
    slow, z = positions(trace_of(latents=latents), marked, span)
    taps = np.hanning(2 * (span // 20) + 3)[1:-1, None]
    inside = latents[::10][marked[::10]].reshape(-1, 69)
    expected = fftconvolve(inside, taps / taps.sum(), mode="valid", axes=0)
    assert np.array_equal(slow.reshape(-1, 69), expected)
    assert np.array_equal(z.reshape(-1, 69), inside[len(taps) // 2 :][: len(slow)])


def test_the_disparity_of_shapes_is_scipys():
    shapes = np.random.default_rng(10).normal(size=(6, 20, 4))
    expected = [procrustes(a, b)[2] for a, b in pairwise(shapes)]
    np.testing.assert_allclose(disparities(shapes[:-1], shapes[1:]), expected)


def test_a_shape_that_moves_grows_and_turns_does_not_change():
    t = np.arange(STEPS)[:, None, None] / STEPS
    shape = np.random.default_rng(11).normal(size=(20, 2))
    moving = np.stack([turned(shape, 3 * own) * (1 + own) + 5 * own for own in t.ravel()])
    assert procrustes_step(trace_of(latents=moving), ALL) == pytest.approx(0, abs=1e-12)
    changing = shape * [1, 1] + t * shape[::-1]
    faster = shape * [1, 1] + np.minimum(1, 2 * t) * shape[::-1]
    assert 0 < procrustes_step(trace_of(latents=changing), ALL) < procrustes_step(trace_of(latents=faster), ALL)
    collapsed = np.zeros_like(shape)[None]
    assert disparities(collapsed, collapsed) == [0]
    assert disparities(collapsed, shape[None]) == [1]


def bell(duration: int) -> np.ndarray:
    """The speed of a minimum-jerk movement."""
    u = np.arange(duration + 1) / duration
    return 30 * (u * (1 - u)) ** 2


def test_the_spectral_arc_length_knows_neither_size_nor_duration():
    found = arc_length(bell(100), 10, 1 / 20)
    assert found == pytest.approx(1.41, abs=0.02)  # of a minimum-jerk movement: Balasubramanian et al. 2015
    assert arc_length(7 * bell(100), 10, 1 / 20) == pytest.approx(found)
    assert arc_length(bell(400), 10, 1 / 20) == pytest.approx(found, rel=0.02)
    assert math.isnan(arc_length(np.zeros(50), 10, HIGHEST))


def test_the_spectral_arc_length_grows_with_the_number_of_movements():
    lengths = [arc_length(np.concatenate([bell(100)] * count), 10, 1 / 20) for count in (1, 2, 3, 4)]
    assert lengths == sorted(lengths)
    assert lengths[1] > 1.3 * lengths[0]


def test_of_two_transitions_the_spectral_arc_length_is_the_mean():
    once, twice = min_jerk(600), min_jerk(300, start=2600) + min_jerk(300, start=3000)
    first, second = np.zeros((2, STEPS), dtype=bool)
    first[800:1900], second[2400:3500] = True, True
    one, two, both = (sparc(trace_of(latents=once + twice), window) for window in (first, second, first | second))
    assert one < two
    assert both == pytest.approx((one + two) / 2)
    assert sparc(trace_of(latents=once), first) == pytest.approx(one, rel=0.01)


GENERAL = sorted(path.stem for path in Path(metrics.__path__[0]).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", GENERAL)
def test_every_general_measure_has_a_number_for_a_run_and_none_for_an_empty_window(name):
    trace = trace_of(spiky([0.5]), min_jerk(500))
    compute = plugins.find("measure", name).compute
    assert math.isfinite(compute(trace, ALL))
    assert math.isnan(compute(trace, np.zeros(STEPS, dtype=bool)))


def declared(task: str) -> list[Metric]:
    """The measures by which runs of a task are compared, as the task says."""
    return [plugins.find("measure", name) for name in plugins.find("task", task).measures]


def fitting_plan(task: str) -> Plan:
    """A short training of a task: of its shipped config, with the first shipped sheet that fits it."""
    for sheet in sorted(path.name for path in (Path(__file__).parents[1] / "dopesheets").glob("*.csv")):
        with suppress(InputError):
            return plan(task, sheet, seeds="0:2", steps=250)
    raise AssertionError(f"no shipped sheet fits the task {task}")


@pytest.fixture(scope="module", params=plugins.names("task"))
def trained_task(request, tmp_path_factory):
    """A task, and a short run of it."""
    checked = fitting_plan(request.param)
    return request.param, execute(checked, tmp_path_factory.mktemp(request.param) / "run", figures=False).run


def test_every_measure_that_a_task_declares_takes_its_runs(trained_task):
    """How its numbers come out on runs of known truth is for the tests of its task."""
    task, stored = trained_task
    window, own = np.ones(len(stored.schedule), dtype=bool), trace(stored, 1, common_strides([stored]))
    found = {metric.id: metric.compute(own, window) for metric in declared(task)}
    assert all(type(value) is float for value in found.values()), found
    assert np.isfinite(list(found.values())).mean() > 0.5, found
    assert all(math.isnan(metric.compute(own, ~window)) for metric in declared(task))


@pytest.mark.parametrize("task", plugins.names("task"))
def test_the_measures_of_a_task_have_distinct_ids_and_places_and_belong_to_its_hypotheses(task):
    metrics = declared(task)
    assert len({metric.id for metric in metrics}) == len({metric.order for metric in metrics}) == len(metrics)
    tested = [metric.id for metric in metrics if not metric.exploratory and metric.limit is None]
    questions = plugins.find("task", task).hypotheses
    assert all(sum(own.startswith(question) for question in questions) == 1 for own in tested)
    assert all(any(own.startswith(question) for own in tested) for question in questions)
