"""The schedule: values between keys, at keys and around them, phases, and paths that are taken over."""

import csv
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curriculum.errors import InputError
from curriculum.sheet.bounds import ABOVE_ZERO, NONNEGATIVE, UNBOUNDED, allowed, check_path
from curriculum.sheet.document import Phase
from curriculum.sheet.easings import EASINGS
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.sheet.smooth_prop import SmoothProp

HERE = Path(__file__).parent
SHEETS = HERE.parent / "dopesheets"
SOME = settings(deadline=None, max_examples=100)

PROGRESS = {
    "minjerk": lambda u: 10 * u**3 - 15 * u**4 + 6 * u**5,
    "linear": lambda u: u,
    "cosine": lambda u: (1 - math.cos(math.pi * u)) / 2,
    "step-end": lambda u: 1.0 if u == 1 else 0.0,
    "step-start": lambda u: 0.0 if u == 0 else 1.0,
}

# The shipped sheets as the language's description tabulates them: every step, and every key.
SMOOTH_STEPS = [0, 10, 200, 300, 499, 500, 950, 1400, 4999, 5000, 5010, 6500, 7500, 10000]
STEPPED_STEPS = [0, 10, 90, 100, 110, 290, 300, 310, 490, 500, 510, 990, 1000, 1010, 4990, 5000, 5010, 6490, 6500, 6510, 10000]
SMOOTH_KEYS = {
    "lr": {0: 1e-8, 10: 0.01, 5000: 0.02, 10000: 0.001},
    "loss-recon": {0: 1},
    "reg-separate": {0: 0, 200: 0.2, 500: 0},
    "reg-planar": {0: 0, 200: 0.4, 500: 0.2, 1400: 0},
    "reg-norm": {0: 0.01, 200: 0.25, 500: 0.25, 950: 0.5, 6500: 0.25},
    "reg-anchor": {0: 0, 499: 0, 500: 0.25},
    "data-hues": {0: 0, 500: 0, 950: 1},
    "data-vibrancies": {0: 0, 5000: 0, 6500: 1},
}
STEPPED_LR = {
    **{0: 1e-8, 10: 0.01, 90: 0.01, 100: 1e-8, 110: 0.01, 290: 0.01, 300: 1e-8, 310: 0.01, 490: 0.01, 500: 1e-8, 510: 0.01},
    **{990: 0.0125, 1000: 1e-8, 1010: 0.0125, 4990: 0.02, 5000: 1e-8, 5010: 0.02, 6490: 0.016, 6500: 1e-8, 6510: 0.016, 10000: 0.001},
}
STEPPED_KEYS = {
    "lr": STEPPED_LR,
    "loss-recon": {0: 1},
    "reg-separate": {0: 0, 100: 0.15, 300: 0},
    "reg-planar": {0: 0.2, 100: 0.3, 300: 0.2, 500: 0.1, 1000: 0},
    "reg-norm": {0: 0.01, 100: 0.25, 1000: 0.4, 5000: 0.25},
    "reg-anchor": {0: 0, 500: 0.25},
    "data-hues": {0: 0, 500: 0.5, 1000: 1},
    "data-vibrancies": {0: 0, 500: 0, 5000: 0.5, 6500: 1},
}


def shipped(name):
    return parse((SHEETS / name).read_text(), name)


@pytest.fixture(scope="module")
def smooth():
    return compile_sheet(shipped("smooth.csv"))


@pytest.fixture(scope="module")
def stepped():
    return compile_sheet(shipped("stepped.csv"))


def schedule(keys, header="x", last=None):
    """Compile one property from its keys {step: value}, to the step `last`."""
    rows = {0: "", **{step: repr(value) for step, value in keys.items()}}
    rows.setdefault(max(rows) if last is None else last, "")
    return compile_sheet(parse(f"STEP,{header}\n" + "".join(f"{step},{value}\n" for step, value in sorted(rows.items()))))


def bits(value):
    return np.float64(value).tobytes()


# --- from keys to values ---


@pytest.mark.parametrize("timing", PROGRESS)
@pytest.mark.parametrize(("space", "into", "out"), [("linear", float, float), ("log", math.log, math.exp)])
@pytest.mark.parametrize(("first", "last"), [(0.001, 0.7), (30.0, 2.0)])
def test_between_keys_the_value_follows_the_formula(timing, space, into, out, first, last):
    values = schedule({7: first, 47: last}, f"x:{space}:{timing}").column("x")[7:48]
    expected = [out(into(first) + PROGRESS[timing](k / 40) * (into(last) - into(first))) for k in range(41)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_half_way_in_log_space_is_the_geometric_mean():
    assert schedule({0: 1e-6, 100: 1e-2}, "x:log").column("x")[50] == pytest.approx(1e-4, rel=1e-12)


def test_before_the_first_key_and_after_the_last_the_value_rests():
    values = schedule({30: 2.5, 40: -1.0}, "x::linear", last=60).column("x")
    assert values[:31].tolist() == [2.5] * 31
    assert values[40:].tolist() == [-1.0] * 21
    assert len(values) == 61


@pytest.mark.parametrize("keys", [{0: 3.0}, {5: 3.0}, {9: 3.0}])
def test_a_single_key_holds_everywhere(keys):
    assert schedule(keys, last=9).column("x").tolist() == [3.0] * 10


def test_a_sheet_of_one_step():
    only = schedule({0: 3.0})
    assert only.values.tolist() == [[3.0]]
    assert only.phases == (Phase("", 0, 0),)


def test_a_tiny_move_counts():
    values = schedule({0: 0.0, 10: 1e-8}).column("x")
    assert values[5] == pytest.approx(5e-9, rel=1e-12)
    assert (np.diff(values) > 0).all()


def test_step_end_jumps_at_the_key_and_step_start_after_the_one_before():
    assert schedule({0: 1, 3: 2, 5: 3}, "x::step-end").column("x").tolist() == [1, 1, 1, 2, 2, 3]
    assert schedule({0: 1, 3: 2, 5: 3}, "x::step-start").column("x").tolist() == [1, 2, 2, 2, 3, 3]


headers = st.tuples(st.sampled_from(["linear", "log"]), st.sampled_from(list(EASINGS)))
extremes = st.sampled_from([1.7976931348623157e308, 1e308, 1e300, 1.0, 0.1, 1e-8, 1e-300, 2.2250738585072014e-308, 5e-324])
magnitudes = extremes | st.floats(min_value=5e-324, allow_infinity=False)
signed = st.builds(lambda size, sign: size * sign, magnitudes | st.just(0.0), st.sampled_from([1, -1]))


@st.composite
def keyed(draw):
    space, timing = draw(headers)
    at = draw(st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True))
    return f"x:{space}:{timing}", {step: draw(magnitudes if space == "log" else signed) for step in at}


@SOME
@given(keyed())
@example(("x::minjerk", {0: 1.7976931348623157e308, 10: -1.7976931348623157e308}))
@example(("x:log:minjerk", {0: 1.7976931348623157e308, 10: 1.7976931348623157e308}))
@example(("x:log:cosine", {0: 1.7976931348623157e308, 10: 5e-324}))
@example(("x::ease", {0: -0.0, 10: 0.0, 20: -5e-324}))
def test_every_key_is_hit_bit_for_bit_and_values_stay_between_keys(case):
    header, keys = case
    values = schedule(keys, header).column("x")
    steps = sorted(keys)
    assert {step: bits(values[step]) for step in steps} == {step: bits(keys[step]) for step in steps}
    for first, last in pairwise(steps):
        low, high = sorted([keys[first], keys[last]])
        assert values[first : last + 1].min() >= low
        assert values[first : last + 1].max() <= high


def test_the_golden_schedule(smooth):
    with (HERE / "data" / "smooth-schedule.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["STEP"]) for row in rows]
    assert set(smooth.properties) == set(rows[0]) - {"STEP", "PHASE"}
    for name in smooth.properties:
        expected = np.array([float(row[name]) for row in rows])
        np.testing.assert_allclose(smooth.column(name)[steps], expected, rtol=0, atol=1e-12 * np.abs(expected).max(), err_msg=name)
    assert [smooth.phase_at(step).name for step in steps] == [row["PHASE"] for row in rows]


@pytest.mark.parametrize(("name", "steps"), [("smooth.csv", SMOOTH_STEPS), ("stepped.csv", STEPPED_STEPS)])
def test_the_shipped_sheets_resolve_to_the_tabulated_steps(name, steps):
    assert [row.step for row in shipped(name).rows] == steps


@pytest.mark.parametrize(("name", "keys"), [("smooth.csv", SMOOTH_KEYS), ("stepped.csv", STEPPED_KEYS)])
def test_the_shipped_sheets_have_the_tabulated_keys(name, keys):
    sheet = shipped(name)
    assert {prop: dict(sheet.keys(prop)) for prop in sheet.properties} == keys
    assert sheet.actions == ((500, "anchor"),)


def test_the_shipped_sheets_have_their_timings():
    assert {column.timing for column in shipped("smooth.csv").columns} == {"minjerk"}
    timings = {column.name: column.timing for column in shipped("stepped.csv").columns}
    assert timings.pop("lr") == "minjerk"
    assert set(timings.values()) == {"step-end"}


def test_the_stepped_schedule_holds_from_key_to_key(stepped):
    for name in set(STEPPED_KEYS) - {"lr"}:
        keys = STEPPED_KEYS[name]
        held = [value for at, value in keys.items() for _ in range(min([step for step in keys if step > at], default=10001) - at)]
        assert stepped.column(name).tolist() == held


def test_the_phases_of_the_shipped_sheets(smooth, stepped):
    first, second, third = "Primary & secondary", "All hues", "Full color space"
    assert smooth.phases == (Phase(first, 0, 499), Phase(second, 500, 4999), Phase(third, 5000, 10000))
    assert stepped.phases == (
        *(Phase(first, 0, 99), Phase(first, 100, 299), Phase(first, 300, 499)),
        *(Phase(second, 500, 999), Phase(second, 1000, 4999)),
        *(Phase(third, 5000, 6499), Phase(third, 6500, 10000)),
    )


@SOME
@given(st.lists(st.integers(0, 60), max_size=8, unique=True), st.integers(60, 80), st.integers(1, 90))
def test_phases_partition_the_steps_of_whole_and_cut_schedules(starts, last, cut):
    rows = {0: "", last: "", **{start: f"P{start}" for start in starts}}
    whole = compile_sheet(parse("STEP,PHASE,x\n" + "".join(f"{step},{rows[step]},{step}\n" for step in sorted(rows))))
    for some in (whole, whole.truncate(cut)):
        assert [step for phase in some.phases for step in range(phase.start, phase.end + 1)] == list(range(len(some)))
        assert [some.phase_at(step) for step in range(len(some))] == [phase for phase in some.phases for _ in range(len(phase))]


def test_reading_a_step(smooth):
    assert smooth.at(500)["reg-anchor"] == 0.25
    assert list(smooth.at(0)) == list(smooth.properties)
    assert smooth.actions_at(500) == ("anchor",)
    assert smooth.actions_at(499) == ()
    assert (len(smooth), smooth.last_step, smooth.values.shape) == (10001, 10000, (10001, 8))


@pytest.mark.parametrize("step", [-1, 10001])
def test_a_step_outside_the_run_is_refused(smooth, step):
    for read in (smooth.at, smooth.phase_at, lambda at: smooth.retarget("lr", at, 0.1, 10)):
        with pytest.raises(InputError, match=rf"{step}.* 0 to 10000"):
            read(step)


def test_an_unknown_property_is_refused_with_the_nearest_name(smooth):
    for read in (smooth.column, smooth.velocity, smooth.acceleration, lambda name: smooth.retarget(name, 0, 1, 1)):
        with pytest.raises(InputError, match=r"'reg-nrom', did you mean 'reg-norm'\?.*data-hues"):
            read("reg-nrom")


def test_values_cannot_be_written(smooth):
    for some in (smooth, smooth.truncate(50), smooth.retarget("lr", 20, 0.1, 10)):
        for target in (some.values, some.column("lr")):
            with pytest.raises(ValueError, match="read-only"):
                target[0] = 7


def test_truncate_cuts_values_phases_and_actions(smooth):
    cut = smooth.truncate(500)
    assert np.array_equal(cut.values, smooth.values[:500])
    assert cut.phases == (Phase("Primary & secondary", 0, 499),)
    assert cut.actions == ()
    longer = smooth.truncate(501)
    assert longer.phases == (Phase("Primary & secondary", 0, 499), Phase("All hues", 500, 500))
    assert longer.actions == ((500, "anchor"),)


def test_truncate_beyond_the_end_changes_nothing(smooth):
    for steps in (10001, 20000):
        assert np.array_equal(smooth.truncate(steps).values, smooth.values)
        assert smooth.truncate(steps).phases == smooth.phases


@pytest.mark.parametrize("steps", [0, -5])
def test_truncate_leaves_at_least_one_step(smooth, steps):
    with pytest.raises(InputError, match=str(steps)):
        smooth.truncate(steps)


@pytest.mark.parametrize(("space", "y0", "y1"), [("linear", -2.0, 3.0), ("log", math.log(0.1), math.log(20))])
def test_velocity_and_acceleration_are_those_of_the_path_in_its_space(space, y0, y1):
    keys = {0: y0, 100: y1} if space == "linear" else {0: math.exp(y0), 100: math.exp(y1)}
    moving = schedule(keys, f"x:{space}", last=120)
    u = np.arange(101) / 100
    velocity = (30 * u**2 - 60 * u**3 + 30 * u**4) * (y1 - y0) / 100
    acceleration = (60 * u - 180 * u**2 + 120 * u**3) * (y1 - y0) / 100**2
    np.testing.assert_allclose(moving.velocity("x"), [*velocity, *[0] * 20], atol=1e-12)
    np.testing.assert_allclose(moving.acceleration("x"), [*acceleration, *[0] * 20], atol=1e-12)


# --- retargeting ---


def quintic(start, target, duration):
    """Solve for the path with value, velocity and acceleration `start`, at rest at `target` after `duration` steps."""
    d = float(duration)
    system = [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 2, 0, 0, 0],
        [1, d, d**2, d**3, d**4, d**5],
        [0, 1, 2 * d, 3 * d**2, 4 * d**3, 5 * d**4],
        [0, 0, 2, 6 * d, 12 * d**2, 20 * d**3],
    ]
    coefficients = np.linalg.solve(np.array(system), [*start, target, 0, 0])
    return np.polynomial.Polynomial(coefficients)


def minjerk_state(y0, y1, duration, elapsed):
    """Give value, velocity and acceleration on the way from rest at y0 to rest at y1."""
    path = quintic((y0, 0, 0), y1, duration)
    return path(elapsed), path.deriv()(elapsed), path.deriv(2)(elapsed)


@pytest.mark.parametrize("space", ["linear", "log"])
@pytest.mark.parametrize(("at", "duration"), [(30, 40), (1, 60), (99, 25), (50, 1), (50, 200), (100, 50), (150, 30)])
def test_a_retarget_takes_over_value_velocity_and_acceleration(space, at, duration):
    into, out = (np.log, np.exp) if space == "log" else (float, np.asarray)
    keys = {0: 0.5, 100: 2.0}
    before = schedule(keys, f"x:{space}", last=500)
    after = before.retarget("x", at, 1.25, duration)
    state = minjerk_state(into(0.5), into(2.0), 100, at) if at < 100 else (into(2.0), 0, 0)
    path = quintic(state, into(1.25), duration)
    np.testing.assert_allclose(after.column("x")[at : at + duration + 1], out(path(np.arange(duration + 1.0))), rtol=1e-9)
    for read, known in ((after.velocity, state[1]), (after.acceleration, state[2])):
        assert read("x")[at] == pytest.approx(known, rel=1e-9, abs=1e-12)
        assert read("x")[at + duration] == pytest.approx(0, abs=1e-9)
    assert after.column("x")[at + duration] == 1.25
    assert np.array_equal(after.column("x")[: at + 1], before.column("x")[: at + 1])


def test_after_a_retarget_the_target_is_held_where_no_key_follows():
    moved = schedule({0: 0.5, 100: 2.0}, last=500).retarget("x", 50, 1.25, 60)
    assert moved.column("x")[110:].tolist() == [1.25] * 391


def test_a_retarget_leaves_the_original_and_the_other_properties_alone(smooth):
    values, velocity = smooth.values.copy(), smooth.velocity("lr").copy()
    moved = smooth.retarget("lr", 2000, 0.5, 100)
    assert np.array_equal(smooth.values, values)
    assert np.array_equal(smooth.velocity("lr"), velocity)
    for name in set(smooth.properties) - {"lr"}:
        assert np.array_equal(moved.column(name), smooth.column(name))
    assert (moved.phases, moved.actions, len(moved)) == (smooth.phases, smooth.actions, len(smooth))


def test_keys_within_a_retarget_are_dropped_and_later_ones_still_reached():
    moved = schedule({0: 0.0, 50: 10.0, 100: 20.0, 200: 0.1}, "x::linear", last=300).retarget("x", 40, 5.0, 60)
    values = moved.column("x")
    assert values[100] == 5.0
    assert values[200] == 0.1
    np.testing.assert_allclose(values[100:201], np.linspace(5.0, 0.1, 101), rtol=1e-12)
    assert values[300] == 0.1


def test_a_retarget_of_a_stepped_property_starts_from_rest():
    values = schedule({0: 1.0, 50: 3.0, 90: 7.0}, "x::step-end", last=100).retarget("x", 60, 2.0, 20).column("x")
    np.testing.assert_allclose(values[60:81], quintic((3.0, 0, 0), 2.0, 20)(np.arange(21.0)), rtol=1e-12)
    assert values[80:91].tolist() == [2.0] * 10 + [7.0]


def test_a_linear_property_keeps_its_slope_when_it_is_taken_over():
    values = schedule({0: 0.0, 100: 100.0}, "x::linear", last=300).retarget("x", 60, 0.0, 80).column("x")
    np.testing.assert_allclose(values[60:141], quintic((60, 1, 0), 0, 80)(np.arange(81.0)), rtol=0, atol=1e-9)


def test_a_retarget_within_a_retarget():
    moved = schedule({0: 1.0}, last=300).retarget("x", 10, 5.0, 100).retarget("x", 60, -1.0, 80)
    state = minjerk_state(1.0, 5.0, 100, 50)
    np.testing.assert_allclose(moved.column("x")[60:141], quintic(state, -1.0, 80)(np.arange(81.0)), rtol=0, atol=1e-9)
    assert (moved.column("x")[140:] == -1.0).all()


def test_the_second_of_two_retargets_at_one_step_counts():
    once = schedule({0: 0.0, 100: 1.0}, last=300)
    assert np.array_equal(once.retarget("x", 30, 9.0, 50).retarget("x", 30, 4.0, 70).values, once.retarget("x", 30, 4.0, 70).values)


def test_a_retarget_may_end_after_the_run():
    moved = schedule({0: 0.0}, last=50).retarget("x", 0, 1.0, 100)
    np.testing.assert_allclose(moved.column("x"), [PROGRESS["minjerk"](k / 100) for k in range(51)], rtol=0, atol=1e-12)


def test_a_retarget_of_a_cut_schedule_stays_within_it(smooth):
    moved = smooth.truncate(700).retarget("reg-norm", 600, 0.1, 50)
    assert len(moved) == 700
    assert moved.column("reg-norm")[650] == 0.1
    assert np.isfinite(moved.values).all()


@pytest.mark.parametrize("timing", EASINGS)
@pytest.mark.parametrize("at", [0, 100, 200])
def test_a_retarget_at_a_key_stays_near_its_ends(timing, at):
    values = schedule({0: 1.0, 100: 2.0, 200: 1.0}, f"x::{timing}", last=400).retarget("x", at, 1.5, 50).column("x")
    assert values.min() > 0
    assert values.max() < 3
    assert values[at + 50] == 1.5


@SOME
@given(
    st.sampled_from(["linear", "log"]),
    st.sampled_from(["minjerk", "linear", "cosine", "step-end", "step-start"]),
    st.dictionaries(st.integers(0, 200), st.floats(0.1, 10), min_size=1, max_size=5),
    st.integers(0, 200),
    st.integers(1, 60),
    st.floats(0.1, 10),
)
def test_any_retarget_arrives_exactly_and_reaches_every_later_key(space, timing, keys, at, duration, target):
    before = schedule(keys, f"x:{space}:{timing}", last=200 if 200 not in keys else None)
    after = before.retarget("x", at, target, duration)
    wanted = {step: value for step, value in keys.items() if step > at + duration}
    if at + duration <= 200:
        wanted[at + duration] = target
    assert {step: bits(after.column("x")[step]) for step in wanted} == {step: bits(value) for step, value in wanted.items()}
    assert np.array_equal(after.values[: at + 1], before.values[: at + 1])
    assert np.isfinite(after.values).all()


@pytest.mark.parametrize(
    ("value", "duration", "says"),
    [
        (1.0, 0, "duration"),
        (1.0, -3, "duration"),
        (1.0, 2.5, "duration"),
        (1.0, float("nan"), "duration"),
        (1.0, float("inf"), "duration"),
        (0.0, 10, "log"),
        (-1.0, 10, "log"),
        (float("nan"), 10, "nan"),
        (float("inf"), 10, "inf"),
    ],
)
def test_a_retarget_that_cannot_be_is_refused(value, duration, says):
    with pytest.raises(InputError, match=says):
        schedule({0: 1.0}, "x:log", last=100).retarget("x", 5, value, duration)


# --- bounds of a retargeted path ---


def falling(header="x"):
    """A property on its way from 0.02 to 0.001, fastest at step 200."""
    return schedule({0: 0.02, 400: 0.001}, header, last=2000)


def extreme(moved, step, pick):
    values = moved.column("x")[step:]
    return f"{values[pick(values)]:.4g} at step {step + pick(values)}"


def test_a_path_that_overshoots_its_bounds_is_an_error_with_the_extreme_and_its_step():
    moved = falling().retarget("x", 200, 0.001, 1500)  # stored runs have such paths, so this alone is no error
    reached = extreme(moved, 200, np.argmin)
    assert reached.startswith("-0.0")
    with pytest.raises(InputError) as caught:
        check_path(moved, "x", 200, NONNEGATIVE)
    for part in ("'x'", reached, "at least 0", "shorter duration", "more slowly"):
        assert part in str(caught.value)
    check_path(falling().retarget("x", 200, 0.001, 100), "x", 200, NONNEGATIVE)
    check_path(falling("x:log").retarget("x", 200, 0.001, 1500), "x", 200, NONNEGATIVE)


def test_the_whole_path_counts_up_to_both_bounds():
    rising = schedule({0: 0.0, 100: 1.0}, last=300)
    check_path(rising, "x", 0, (0.0, 1.0))
    check_path(rising.retarget("x", 20, 1.0, 60), "x", 20, (0.0, 1.0))
    moved = rising.retarget("x", 50, 1.0, 200)
    with pytest.raises(InputError, match=extreme(moved, 50, np.argmax) + r".*0 to 1"):
        check_path(moved, "x", 50, (0.0, 1.0))


def test_without_a_bound_a_path_may_overshoot_by_the_range_of_its_keys():
    rising = schedule({0: 0.0, 100: 1.0}, last=9000)
    near, far = (rising.retarget("x", 50, 0.5, duration) for duration in (120, 5000))
    assert 0.7 < near.column("x").max() < 1.0 < far.column("x").max()
    check_path(near, "x", 50, UNBOUNDED)
    with pytest.raises(InputError, match=extreme(far, 50, np.argmax) + r".*above 1: .*0 to 0\.5"):
        check_path(far, "x", 50, UNBOUNDED)


def test_the_range_of_the_keys_is_taken_in_the_propertys_own_space():
    # In linear space 0.01 to 1 leaves room up to 1.99; in log space it spans a factor of 100, and leaves room up to 100.
    moved = schedule({0: 0.01, 100: 1.0}, "x:log", last=3000).retarget("x", 50, 1.0, 200)
    assert 1.99 < moved.column("x").max() < 100
    check_path(moved, "x", 50, UNBOUNDED)
    further = schedule({0: 0.01, 100: 1.0}, "x:log", last=3000).retarget("x", 50, 1.0, 600)
    assert further.column("x").max() > 100
    with pytest.raises(InputError, match=r"above 100"):
        check_path(further, "x", 50, UNBOUNDED)


@pytest.mark.parametrize(("value", "bounds", "says"), [(-0.01, NONNEGATIVE, "at least 0"), (1.5, (0.0, 1.0), "0 to 1")])
def test_a_target_outside_the_bounds_is_an_error_also_beyond_the_end_of_the_run(value, bounds, says):
    for duration in (20, 5000):
        moved = schedule({0: 0.5}, last=50).retarget("x", 0, value, duration)
        with pytest.raises(InputError, match=rf"target {value} of 'x'.*{says}"):
            check_path(moved, "x", 0, bounds)


def test_rounding_leaves_no_bound():
    for value in (1.0 + 1e-13, -1e-13):
        check_path(schedule({0: 0.5}, last=90).retarget("x", 10, value, 30), "x", 10, (0.0, 1.0))
    with pytest.raises(InputError, match=r"1\.00000001"):
        check_path(schedule({0: 0.5}, last=90).retarget("x", 10, 1.00000001, 30), "x", 10, (0.0, 1.0))
    check_path(schedule({0: 0.3}, last=90).retarget("x", 10, 0.3, 30), "x", 10, UNBOUNDED)  # at rest: the range is empty


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((0, 1), "0 to 1"),
        (NONNEGATIVE, "at least 0"),
        ((-math.inf, 2.5), "at most 2.5"),
        ((ABOVE_ZERO, 2), "above 0, at most 2"),
        ((ABOVE_ZERO, math.inf), "above 0"),
    ],
)
def test_bounds_are_described_in_words(bounds, says):
    assert allowed(bounds) == says


# --- SmoothProp ---


@pytest.mark.parametrize(("value", "velocity"), [(0, 0), (2, 0), (0, 3), (2, -2), (1, 5)])
def test_a_smooth_prop_arrives_exactly_and_at_rest(value, velocity):
    prop = SmoothProp(value, 100, velocity=velocity / 100)
    prop.value = 1.0
    path = quintic((value, velocity / 100, 0), 1.0, 100)
    for step in range(1, 101):
        prop.step()
        assert prop.value == pytest.approx(path(step), abs=1e-9)
    assert (prop.value, prop.velocity, prop.acceleration) == (1.0, 0.0, 0.0)
    prop.step(50)
    assert (prop.value, prop.velocity, prop.acceleration) == (1.0, 0.0, 0.0)


def test_a_smooth_prop_follows_its_targets_without_a_jump():
    prop = SmoothProp(0.1, 50)
    targets = {0: 0.5, 40: 0.75, 60: 0.0, 120: 1.0}
    path, began = np.polynomial.Polynomial([0.1]), 0
    for step in range(200):
        now = step - began
        if step in targets:
            state = (0.1, 0, 0) if step == 0 else (path(now), path.deriv()(now), path.deriv(2)(now)) if now < 50 else (path(50), 0, 0)
            path, began, now = quintic(state, targets[step], 50), step, 0
            prop.value = targets[step]
            assert prop.target == targets[step]
        expected = (path(now), path.deriv()(now), path.deriv(2)(now)) if now < 50 else (path(50), 0, 0)
        assert (prop.value, prop.velocity, prop.acceleration) == pytest.approx(expected, abs=1e-9)
        assert prop.step(1) == prop.value
    assert prop.value == 1.0


def test_a_smooth_prop_steps_by_parts():
    whole, parts = SmoothProp(0.0, 10), SmoothProp(0.0, 10)
    whole.value = parts.value = 4.0
    whole.step(3)
    for _ in range(12):
        parts.step(0.25)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)


def test_a_smooth_prop_without_a_target_rests_or_drifts():
    assert SmoothProp(2.0, 10).step(100) == 2.0
    assert SmoothProp(2.0, 10, velocity=0.5).step(4) == 4.0


@pytest.mark.parametrize("duration", [0, -1, float("nan")])
def test_a_smooth_prop_needs_a_duration(duration):
    with pytest.raises(InputError, match="duration"):
        SmoothProp(1.0, duration)
