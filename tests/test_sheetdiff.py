"""What differs between two dopesheets."""

from pathlib import Path

import pytest

from curriculum.sheet.diff import KeyChange, diff_sheets
from curriculum.sheet.parse import parse

SHEETS = Path(__file__).parents[1] / "dopesheets"


def sheet(*lines):
    return parse("\n".join(lines))


def shipped(name):
    return parse((SHEETS / name).read_text())


def prop(keys, header="x"):
    return sheet(f"STEP,{header}", *(f"{step},{value}" for step, value in sorted(keys.items())))


def key_changes(a, b):
    return list(diff_sheets(prop(a), prop(b)).keys)


def curve(a, b, header="x"):
    (found,) = diff_sheets(prop(a, header), prop(b, header)).curves
    return found


BASE = {0: 1, 50: 2, 100: 3}


@pytest.mark.parametrize(
    ("other", "changes"),
    [
        (BASE, []),
        ({**BASE, 50: 2.5}, [KeyChange("changed", "x", 50, 2.0, 50, 2.5)]),
        ({**BASE, 70: 9}, [KeyChange("added", "x", None, None, 70, 9.0)]),
        ({0: 1, 100: 3}, [KeyChange("removed", "x", 50, 2.0, None, None)]),
        ({0: 1, 60: 2, 100: 3}, [KeyChange("moved", "x", 50, 2.0, 60, 2.0)]),
        ({0: 1, 60: 7, 100: 3}, [KeyChange("removed", "x", 50, 2.0, None, None), KeyChange("added", "x", None, None, 60, 7.0)]),
        (
            {0: 4, 40: 2, 80: 2, 100: 3},
            [
                KeyChange("changed", "x", 0, 1.0, 0, 4.0),
                KeyChange("moved", "x", 50, 2.0, 40, 2.0),
                KeyChange("added", "x", None, None, 80, 2.0),
            ],
        ),
    ],
    ids=["same", "changed", "added", "removed", "moved", "replaced", "moved to the nearest"],
)
def test_keys(other, changes):
    assert key_changes(BASE, other) == changes


def test_keys_come_in_order_of_step_and_turn_around_when_the_sheets_do():
    a, b = {0: 1, 10: 5, 50: 2, 100: 3}, {0: 2, 30: 8, 60: 2, 100: 3}
    there = key_changes(a, b)
    assert [(key.kind, key.step_a, key.step_b) for key in there] == [
        ("changed", 0, 0),
        ("removed", 10, None),
        ("added", None, 30),
        ("moved", 50, 60),
    ]
    back = {"added": "removed", "removed": "added"}
    turned = {KeyChange(back.get(key.kind, key.kind), "x", key.step_b, key.value_b, key.step_a, key.value_a) for key in there}
    assert set(key_changes(b, a)) == turned


def test_the_area_between_a_ramp_and_a_constant():
    found = curve({0: 0, 10: 10}, {0: 0, 10: 0}, "x::linear")
    assert found.area == pytest.approx(55)
    assert found.share == pytest.approx(55 / 11 / 10)
    assert (found.largest, found.step) == (10, 10)


def test_the_area_between_two_constants():
    found = curve({0: 3, 99: 3}, {0: 1, 99: 1})
    assert (found.area, found.share, found.largest, found.step) == (200, 1, 2, 0)


def test_the_area_of_a_step_that_comes_later():
    found = curve({0: 0, 40: 4, 100: 4}, {0: 0, 65: 4, 100: 4}, "x::step-end")
    assert found.area == pytest.approx(25 * 4)
    assert found.share == pytest.approx(25 / 101)
    assert (found.largest, found.step) == (4, 40)


def test_curves_that_agree_have_no_area():
    found = curve({0: 7, 10: 7}, {0: 7, 10: 7})
    assert (found.area, found.share, found.largest) == (0, 0, 0)


def test_curves_are_compared_over_the_steps_that_both_have():
    found = curve({0: 1, 10: 1}, {0: 2, 10: 2, 20: 500}, "x::step-end")
    assert (found.area, found.largest) == (11, 1)
    assert diff_sheets(prop({0: 1, 10: 1}), prop({0: 1, 20: 1})).steps == (11, 21)


def test_another_spelling_of_the_same_sheet_is_identical():
    a = sheet("STEP,PHASE,ACTION,x,y::step", "0,A,,1,0", "+10,,go,2,", "40%,B,,,1", "100,,,3,")
    b = sheet("STEP;y::step-end;x;ACTION;PHASE", "0;0;1e0;;A", "next-90;;2.0;go;", "prev+40;1;;;B", "100;;3;;")
    assert diff_sheets(a, b).identical


@pytest.mark.parametrize(
    "other",
    [
        ("STEP,PHASE,ACTION,x", "0,A,go,1", "9,,,3"),
        ("STEP,PHASE,ACTION,x", "0,B,go,1", "9,,,2"),
        ("STEP,PHASE,ACTION,x", "0,A,stop,1", "9,,,2"),
        ("STEP,PHASE,ACTION,x", "0,A,go,1", "9,,,2", "10,,,"),
        ("STEP,PHASE,ACTION,x::linear", "0,A,go,1", "9,,,2"),
        ("STEP,PHASE,ACTION,x:log", "0,A,go,1", "9,,,2"),
        ("STEP,PHASE,ACTION,x,y", "0,A,go,1,1", "9,,,2,"),
    ],
    ids=["key", "phase", "action", "length", "timing", "space", "property"],
)
def test_any_difference_is_seen(other):
    a = sheet("STEP,PHASE,ACTION,x", "0,A,go,1", "9,,,2")
    assert diff_sheets(a, a).identical
    assert not diff_sheets(a, sheet(*other)).identical
    assert not diff_sheets(sheet(*other), a).identical


def test_properties_and_timings_of_one_sheet_alone():
    found = diff_sheets(sheet("STEP,a,b,c", "0,1,1,1", "9,,,"), sheet("STEP,b:log:step,d,c", "0,1,1,1", "9,,,"))
    assert (found.only_a, found.only_b) == (("a",), ("d",))
    assert found.timings == (("b", "linear minjerk", "log step-end"),)
    assert [curve.property for curve in found.curves] == ["b", "c"]


def test_the_ends_of_phases_say_which_values_agree():
    a = sheet("STEP,PHASE,x::step,y::step", "0,A,1,5", "10,B,2,", "20,C,3,", "30,,,6")
    b = sheet("STEP,PHASE,x::step,y::step", "0,A,1,5", "10,,2,", "20,D,,", "30,,,7")
    ends = [(end.step, end.phase_a, end.phase_b, end.agree, end.differ) for end in diff_sheets(a, b).phase_ends]
    assert ends == [(9, "A", "A", ("x", "y"), ()), (19, "B", "A", ("x", "y"), ()), (30, "C", "D", (), ("x", "y"))]


def test_phases_that_end_after_the_shorter_sheet_are_left_out():
    a = sheet("STEP,PHASE,x", "0,A,1", "10,B,", "20,,")
    b = sheet("STEP,PHASE,x", "0,A,1", "10,B,", "40,,")
    assert [end.step for end in diff_sheets(a, b).phase_ends] == [9, 20]


def test_the_shipped_sheets():
    found = diff_sheets(shipped("smooth.csv"), shipped("stepped.csv"))
    assert not found.identical
    assert (found.only_a, found.only_b, found.steps) == ((), (), (10001, 10001))
    assert [name for name, _, _ in found.timings] == [
        *("loss-recon", "reg-separate", "reg-planar", "reg-norm", "reg-anchor", "data-hues", "data-vibrancies")
    ]
    assert [end.step for end in found.phase_ends] == [99, 299, 499, 999, 4999, 6499, 10000]
    last = found.phase_ends[-1]
    assert (last.phase_a, last.phase_b, last.differ) == ("Full color space", "Full color space", ())
    assert {curve.property: curve.area for curve in found.curves}["loss-recon"] == 0
    assert KeyChange("changed", "reg-planar", 500, 0.2, 500, 0.1) in found.keys
    assert KeyChange("moved", "reg-planar", 1400, 0.0, 1000, 0.0) in found.keys


def test_a_key_that_is_reached_on_another_timing_is_named(tmp_path, here):
    text = "STEP,lr,mix\n0,0,1\n10,1 linear,\n30,0 cosine,2\n"
    found = diff_sheets(parse(text), parse(text.replace("0 cosine", "0 linear").replace("1 linear", "1")))
    assert found.timings == (("lr at step 10", "linear", "minjerk"), ("lr at step 30", "cosine", "linear"))
    for name, timing in (("a", "cosine"), ("b", "linear")):
        (tmp_path / f"{name}.csv").write_text(text.replace("cosine", timing))
    shown = here("dopesheet", "diff", tmp_path / "a.csv", tmp_path / "b.csv").out
    assert f"lr at step 30: cosine in {tmp_path / 'a.csv'}, linear in {tmp_path / 'b.csv'}" in shown
