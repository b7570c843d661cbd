"""The steps over which runs are compared."""

from pathlib import Path

import numpy as np
import pytest

from curriculum.measure.windows import first_step, intervals, per_thousand, windows
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet

SHEETS = Path(__file__).parents[1] / "dopesheets"


def sheet(*lines):
    return compile_sheet(parse("\n".join(lines)))


def half_open(mask):
    return [(first, last + 1) for first, last in intervals(mask)]


@pytest.fixture(scope="module")
def smooth():
    return compile_sheet(parse((SHEETS / "smooth.csv").read_text()))


@pytest.fixture(scope="module")
def stepped():
    return compile_sheet(parse((SHEETS / "stepped.csv").read_text()))


@pytest.fixture(scope="module", params=["smooth first", "stepped first"])
def pair(request, smooth, stepped):
    return [smooth, stepped] if request.param == "smooth first" else [stepped, smooth]


def test_measuring_starts_where_the_first_phase_of_both_sheets_has_ended(pair):
    assert first_step(pair) == 500
    assert half_open(windows(pair)["whole"]) == [(500, 10001)]


def test_the_transitions_of_the_shipped_sheets(pair):
    assert half_open(windows(pair)["transitions"]) == [(500, 1378), (5000, 5200), (5288, 6413), (6500, 6700)]


def test_elsewhere_is_the_rest(pair):
    assert half_open(windows(pair)["elsewhere"]) == [(1378, 5000), (5200, 5288), (6413, 6500), (6700, 10001)]


def test_post_boundary_is_200_steps_after_each_phase_start_of_either_sheet(pair):
    assert half_open(windows(pair)["post-boundary"]) == [(500, 700), (1000, 1200), (5000, 5200), (6500, 6700)]


def test_a_count_per_thousand_steps_is_of_the_steps_that_the_window_marks():
    mask = np.zeros(4000, dtype=bool)
    mask[1000:3000:2] = mask[3500:] = True
    assert per_thousand(6, mask) == 4
    # The same spikes at the same rate for twice as long are twice as many, and as frequent.
    assert per_thousand(12, np.concatenate([mask, mask])) == 4
    assert np.isnan(per_thousand(0, np.zeros(10, dtype=bool)))


def test_the_learning_rate_moves_nothing():
    moving = sheet("STEP,PHASE,lr,x", "0,A,0,1", "100,B,,", "1000,,1,")
    assert not windows([moving])["transitions"].any()


def test_a_slow_move_is_no_transition_and_a_fast_one_is():
    slow, fast = (sheet("STEP,PHASE,x::linear", "0,A,0", "100,B,", f"{length},,1", "5000,,") for length in (4100, 3950))
    assert not windows([slow])["transitions"].any()
    # 5% of the range takes 197.5 steps, and the move's last 197.5 steps are seen from 200 steps after they begin.
    assert half_open(windows([fast])["transitions"]) == [(198, 3953)]


def test_a_move_is_measured_by_the_range_over_both_sheets():
    small = sheet("STEP,PHASE,x::step", "0,A,0", "10,B,", "500,,1", "2000,,")
    large = sheet("STEP,PHASE,x::step", "0,A,0", "10,B,", "1000,,100", "2000,,")
    assert half_open(windows([small])["transitions"]) == [(500, 700)]
    assert half_open(windows([small, large])["transitions"]) == [(1000, 1200)]


def test_windows_cover_the_steps_that_both_have():
    short = sheet("STEP,PHASE,x::step", "0,A,0", "10,B,", "500,,1", "800,,")
    long = sheet("STEP,PHASE,x::step", "0,A,0", "10,B,", "700,,1", "2000,,")
    found = windows([short, long])
    assert {name: len(mask) for name, mask in found.items()} == dict.fromkeys(found, 801)
    assert half_open(found["transitions"]) == [(500, 801)]


def test_a_property_of_one_sheet_alone_counts():
    with_x = sheet("STEP,PHASE,x::step,y", "0,A,0,1", "10,B,,", "500,,1,", "1000,,,")
    without = sheet("STEP,PHASE,y", "0,A,1", "10,B,", "1000,,")
    assert half_open(windows([without, with_x])["transitions"]) == [(500, 700)]


def test_transitions_and_elsewhere_partition_the_whole(smooth, stepped):
    for schedules in ([smooth], [stepped], [smooth, stepped, smooth]):
        found = windows(schedules)
        assert np.array_equal(found["transitions"] ^ found["elsewhere"], found["whole"])
        assert not (found["transitions"] & found["elsewhere"]).any()
        assert not (found["post-boundary"] & ~found["whole"]).any()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [([], []), ([0, 0], []), ([1], [(0, 0)]), ([1, 1, 0, 1], [(0, 1), (3, 3)]), ([0, 1, 1, 0], [(1, 2)])],
)
def test_intervals_name_the_first_and_last_step(mask, expected):
    assert intervals(np.array(mask, dtype=bool)) == expected
