"""Control arms made of a sheet: the same keys where they can say it, and always the values that they promise."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curriculum.errors import InputError
from curriculum.sheet.convert import constant, retimed, reversed_in_time, scaled, shuffled
from curriculum.sheet.document import Column, Dopesheet, Row, write
from curriculum.sheet.easings import EASINGS
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet

SHEET = """STEP,PHASE,ACTION,lr:log,a,b::step-end
0,One,,0.001,0,1
10,,,0.1,,
+5,Two,anchor,,2,3
20,,,,,
40,,,0.01,1,2
"""


@st.composite
def sheets(draw, last=None):
    """Draw a sheet of two or three columns with any timings, perhaps of a given length."""
    last = last or draw(st.integers(1, 60))
    columns, keys = [], {}
    for name in draw(st.sampled_from([("x", "y"), ("x", "y", "z")])):
        space = draw(st.sampled_from(["linear", "log"]))
        columns.append(Column(name, space, draw(st.sampled_from(list(EASINGS)))))
        steps = draw(st.lists(st.integers(0, last), min_size=0, max_size=5, unique=True).map(lambda found: sorted({0, *found})))
        keys[name] = {step: draw(st.floats(0.1, 10)) for step in steps}
    steps = sorted({0, last, *(step for own in keys.values() for step in own)})
    rows = tuple(Row(str(step), step, values={name: own[step] for name, own in keys.items() if step in own}) for step in steps)
    return Dopesheet(tuple(columns), rows)


def columns_of(sheet):
    schedule = compile_sheet(sheet)
    return {name: schedule.column(name) for name in sheet.properties}


@given(sheets())
@settings(deadline=None)
def test_reversed_columns_have_the_same_values_from_the_end(sheet):
    before, after = columns_of(sheet), columns_of(reversed_in_time(sheet))
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values[::-1], rtol=1e-7)
    assert parse(write(reversed_in_time(sheet))) == reversed_in_time(sheet)


@given(sheets(), st.integers(0, 99))
@settings(deadline=None)
def test_a_shuffled_column_has_the_same_values_and_the_others_stay(sheet, seed):
    before, after = columns_of(sheet), columns_of(shuffled(sheet, "x", seed))
    np.testing.assert_array_equal(np.sort(after["x"]), np.sort(before["x"]))
    for name in sheet.properties[1:]:
        np.testing.assert_array_equal(after[name], before[name])
    assert shuffled(sheet, "x", seed) == shuffled(sheet, "x", seed)


@given(sheets())
@settings(deadline=None)
def test_a_constant_column_is_the_mean_of_what_it_was(sheet):
    before, after = columns_of(sheet), columns_of(constant(sheet, "y"))
    np.testing.assert_allclose(after["y"], before["y"].mean(), rtol=1e-12)
    assert len(after["y"]) == len(before["y"])
    np.testing.assert_array_equal(after["x"], before["x"])


@given(sheets(), st.integers(2, 300))
@settings(deadline=None)
def test_a_scaled_sheet_has_its_keys_at_the_same_shares_of_its_length(sheet, steps):
    if steps < len(sheet.rows):
        with pytest.raises(InputError, match="it cannot be scaled to"):
            scaled(sheet, steps)
        return
    found = scaled(sheet, steps)
    assert found.last_step == steps - 1
    assert found.rows[0].step == 0
    apart = [after.step - before.step for before, after in zip(found.rows, found.rows[1:], strict=False)]
    assert min(apart, default=1) >= 1
    for before, after in zip(sheet.rows, found.rows, strict=True):
        assert after.values == before.values
        off = abs(after.step - before.step * (steps - 1) / sheet.last_step)
        assert off <= 0.5 or off < len(sheet.rows)
        assert off <= 0.5 or steps < 2 * sheet.last_step  # nothing is in the way where there is room for all


def test_another_timing_keeps_the_keys():
    sheet = parse(SHEET)
    found = retimed(sheet, "step", ["lr", "a"])
    assert [column.header for column in found.columns] == ["lr:log:step-end", "a::step-end", "b::step-end"]
    assert [found.keys(name) for name in found.properties] == [sheet.keys(name) for name in sheet.properties]
    assert {column.timing for column in retimed(sheet, "linear").columns} == {"linear"}
    assert found.phases == sheet.phases
    assert found.actions == sheet.actions


def test_reversing_keeps_the_keys_where_they_say_the_same_and_phases_where_they_are():
    sheet = parse(SHEET)
    found = reversed_in_time(sheet)
    assert found.keys("lr") == ((0, 0.01), (30, 0.1), (40, 0.001))
    assert [column.timing for column in found.columns] == ["minjerk", "minjerk", "step-end"]
    assert found.keys("b") == ((0, 2.0), (1, 3.0), (26, 1.0))
    assert found.phases == sheet.phases
    assert found.actions == sheet.actions


def test_several_rows_of_one_step_are_one_row_afterwards():
    sheet = parse("STEP,PHASE,ACTION,a,b\n0,One,,1,\n5,,x,,3\n5,Two,y,2,\n9,,,,\n")
    found = constant(sheet, "b")
    assert [(row.step, row.phase, row.actions, row.values) for row in found.rows] == [
        (0, "One", (), {"a": 1.0, "b": 3.0}),
        (5, "Two", ("x", "y"), {"a": 2.0}),
        (9, None, (), {}),
    ]


def test_what_cannot_be_converted_is_a_sentence():
    sheet = parse(SHEET)
    conversions = (constant, lambda sheet, name: shuffled(sheet, name, 0), lambda sheet, name: retimed(sheet, "linear", [name]))
    for convert in conversions:
        with pytest.raises(InputError, match="unknown column 'lrr', did you mean 'lr'"):
            convert(sheet, "lrr")
    with pytest.raises(InputError, match="unknown timing 'minjrek', did you mean 'minjerk'"):
        retimed(sheet, "minjrek")
    with pytest.raises(InputError, match="<sheet> has rows at 5 steps: it cannot be scaled to 4"):
        scaled(sheet, 4)


def test_the_command_writes_a_sheet_that_trains(here, empty):
    shown = here("dopesheet", "convert", "smooth.csv", "--timing", "step-end", "--constant", "lr", "--scale-to", 2001)
    assert shown.code == 0, shown.err
    found = parse(shown.out)
    assert found.last_step == 2000
    assert len(found.keys("lr")) == 1
    made = here("dopesheet", "convert", "smooth.csv", "--shuffle", "data-hues", "--seed", 3, "-o", "shuffled.csv")
    assert made.code == 0
    before = Path("shuffled.csv").read_bytes()
    assert here("train", "--dopesheet", "shuffled.csv", "--steps", 20, "--name", "a").code == 0
    again = here("dopesheet", "convert", "smooth.csv", "--reverse", "-o", "shuffled.csv")
    assert again.code == 1
    assert Path("shuffled.csv").read_bytes() == before
    nothing = here("dopesheet", "convert", "smooth.csv")
    assert nothing.code == 2
    assert "nothing to convert: pass --timing" in nothing.err
