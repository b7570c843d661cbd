"""Exchange parts of two sheets, and take the difference between their runs apart."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curriculum.draw import style
from curriculum.errors import InputError
from curriculum.sheet.ablate import ACTIONS, Part, exchanged, parts
from curriculum.sheet.document import write
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.reader import Run
from readable import lines, unreadable
from test_convert import sheets

A = """STEP,PHASE,ACTION,lr:log,a,b::step-end
0,One,,0.001,0,1
10,,,0.1,,
20,Two,anchor,,2,3
40,,,0.01,1,2
"""
B = """STEP,PHASE,ACTION,lr,a,c
0,One,,0.1,0,7
15,Two,,,2,
30,,anchor,0.02,,
40,,,0.01,1,8
"""


def read(text, name):
    return parse(text.encode(), name)


def test_parts_are_the_columns_that_differ_and_the_actions():
    assert [part.name for part in parts(read(A, "a.csv"), read(B, "b.csv"), "column")] == ["lr", "a", "b", "c", ACTIONS]


def test_exchanging_a_column_keeps_its_keys_timing_and_all_else():
    first, second = read(A, "a.csv"), read(B, "b.csv")
    made = exchanged(second, first, Part("lr"))
    assert made.keys("lr") == first.keys("lr")
    assert np.array_equal(compile_sheet(made).column("lr"), compile_sheet(first).column("lr"))
    for name in ("a", "c"):
        assert np.array_equal(compile_sheet(made).column(name), compile_sheet(second).column(name))
    assert made.actions == second.actions
    assert made.phases == second.phases
    assert compile_sheet(parse(write(made).encode(), "again")).values.tolist() == compile_sheet(made).values.tolist()


def test_a_column_that_only_one_sheet_has_comes_and_goes():
    first, second = read(A, "a.csv"), read(B, "b.csv")
    assert exchanged(second, first, Part("b")).properties == ("lr", "a", "c", "b")
    assert exchanged(first, second, Part("b")).properties == ("lr", "a")
    assert exchanged(first, second, Part("b")).last_step == 40


def test_actions_are_a_part_of_their_own():
    first, second = read(A, "a.csv"), read(B, "b.csv")
    made = exchanged(first, second, Part(ACTIONS))
    assert made.actions == ((30, "anchor"),)
    assert np.array_equal(compile_sheet(made).values, compile_sheet(first).values)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40).flatmap(lambda last: st.tuples(sheets(last), sheets(last))))
def test_exchanging_every_part_makes_the_other_sheet(both):
    first, second = both
    try:
        found = parts(first, second, "column")
    except InputError:
        return
    made = second
    for part in found:
        made = exchanged(made, first, part)
    schedules = compile_sheet(made), compile_sheet(first)
    assert set(made.properties) == set(first.properties)
    for name in first.properties:
        assert np.array_equal(schedules[0].column(name), schedules[1].column(name))


def test_exchanging_a_phase_changes_its_steps_alone():
    first = read("STEP,PHASE,ACTION,lr,a\n0,One,,0.001,0\n20,Two,anchor,,2\n40,,,0.01,1\n", "a.csv")
    second = read("STEP,PHASE,ACTION,lr,a\n0,One,,0.002,1\n25,Two,,,\n30,,anchor,,\n40,,,0.01,1\n", "b.csv")
    found = parts(first, second, "phase")
    assert [(part.name, part.steps) for part in found] == [("phase 1: One", range(20)), ("phase 2: Two", range(20, 41))]
    made = compile_sheet(exchanged(first, second, found[1]))
    assert np.array_equal(made.values[:20], compile_sheet(first).values[:20])
    assert np.array_equal(made.values[20:], compile_sheet(second).values[20:])
    assert made.actions == ((30, "anchor"),)
    assert made.phases == compile_sheet(first).phases


@pytest.mark.parametrize(
    ("second", "by", "message"),
    [
        (A, "column", "say the same at every step"),
        (A.replace("40", "50"), "column", "same length"),
        (B, "phase", "only one of a.csv and b.csv has the column 'b'"),
    ],
)
def test_sheets_that_cannot_be_taken_apart(second, by, message):
    with pytest.raises(InputError, match=message):
        parts(read(A, "a.csv"), read(second, "b.csv"), by)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make two sheets that differ in two columns, of which one does nothing: without the action, there is no anchor."""
    made = tmp_path_factory.mktemp("ablate")
    (made / "low.csv").write_text("STEP,PHASE,lr,loss-recon,reg-anchor\n0,Primary & secondary,0.001,1,0\n60,,0.001,1,0\n")
    (made / "high.csv").write_text("STEP,PHASE,lr,loss-recon,reg-anchor\n0,Primary & secondary,0.01,1,0.1\n60,,0.01,1,0.1\n")
    return made


@pytest.fixture(scope="module")
def ablated(folder, here):
    """Take the difference between them apart."""
    return here("ablate", folder / "low.csv", folder / "high.csv", "--seeds", "0:8", "--runs", folder / "runs", "--json")


def test_the_column_that_matters_carries_the_difference(ablated, folder):
    assert ablated.code == 0, ablated.err
    (found,) = json.loads(ablated.out)
    assert found == json.loads((folder / "runs/low-vs-high-by-column/ablation.json").read_text())[0]
    assert found["names"] == ["low", "high"]
    assert found["seeds"] == list(range(8))
    rate, idle = found["parts"]
    assert (rate["part"], idle["part"]) == ("lr", "reg-anchor")
    assert rate["value"] == pytest.approx(found["total"]["value"], rel=1e-6)
    assert found["total"]["value"] > 1
    assert idle["value"] == pytest.approx(1)
    assert found["interaction"]["value"] == pytest.approx(1)
    assert rate["p_corrected"] == pytest.approx(3 * 2 / 2**8)
    assert "lr" in found["sentence"]
    assert "(100%)" in found["sentence"]


def test_the_values_are_those_of_the_stored_runs(ablated, folder):
    (found,) = json.loads(ablated.out)
    place = folder / "runs/low-vs-high-by-column"
    error = {}
    for path in place.iterdir():
        if path.is_dir():
            trace = Run(path).traces
            error[path.name] = np.log10(trace["loss.hues"][trace["loss.hues.steps"] >= 57]).mean(axis=0)
    alone = error["high-with-lr"] - error["high"]
    without = error["low"] - error["low-with-lr"]
    assert np.allclose(found["parts"][0]["values"], (alone + without) / 2)
    assert found["parts"][0]["alone"] == pytest.approx(10 ** np.sort(alone)[2:-2].mean())


@pytest.mark.slow
def test_few_seeds_are_said_before_training_and_in_the_answer(folder, here, tmp_path):
    found = here("ablate", folder / "low.csv", folder / "high.csv", "--seeds", "0:4", "--runs", tmp_path / "runs")
    assert found.code == 0, found.err
    assert "warning: with 4 seeds and 3 tests, p cannot be below 0.38, so that no part can be found: 7 seeds are needed" in found.err
    assert "4 seeds are too few to say which part carries it" in found.out
    assert "no single part" not in found.out


def test_parts_of_which_there_are_two_leave_no_interaction(ablated):
    (found,) = json.loads(ablated.out)
    assert found["interaction"]["values"] == [0.0] * 8
    assert found["interaction"]["value"] == 1


def test_a_measure_of_which_a_seed_is_zero_is_named_with_its_seeds_and_the_others_are_shown(folder, here, ablated):
    command = ["ablate", folder / "low.csv", folder / "high.csv", "--seeds", "0:8", "--runs", folder / "runs", "--json"]
    found = here(*command, "--measure", "H1a", "--measure", "final")
    assert found.code == 0, found.err
    assert [own["id"] for own in json.loads(found.out)] == ["final"]
    assert "note: H1a largest sudden rise (100 steps) is not taken apart: it is 0 for " in found.err
    assert "of low" in found.err
    alone = here(*command, "--measure", "H1a")
    assert alone.code == 2
    assert "error: H1a largest sudden rise (100 steps) is not taken apart: it is 0 for " in alone.err
    missing = here(*command, "--measure", "H3b")
    assert "H3b jitter of the latents is not taken apart: it has no value for any seed of low" in missing.err
    assert "needs latents over more than 200 steps" in missing.err


def test_what_is_trained_is_not_trained_again(ablated, folder, here):
    again = here("ablate", folder / "low.csv", folder / "high.csv", "--seeds", "0:8", "--runs", folder / "runs")
    assert again.code == 0
    assert again.err.count("is already finished") == 6
    assert "by part" in again.out
    assert "all parts together" in again.out


def test_the_figure_of_an_ablation_fits_a_column_of_a_paper(ablated, folder, here, monkeypatch):
    command = ["ablate", folder / "low.csv", folder / "high.csv", "--seeds", "0:8", "--runs", folder / "runs"]
    made = here(*command, "--figures", "pdf", "--width", "3.3in")
    assert made.code == 0, made.err
    assert (folder / "runs/low-vs-high-by-column/ablation-final.pdf").read_bytes().startswith(b"%PDF")
    figures = []
    monkeypatch.setattr(style, "save", lambda figure, path: figures.append(figure))
    for width in ("3.3in", "6.75in"):
        here(*command, "--width", width)
        assert figures[-1].get_figwidth() == float(width[:-2])
        assert unreadable(figures[-1]) == []
        assert "low against high: what each part carries" in lines(figures[-1])


def test_phases_that_differ_are_said_to_be_left_to_the_interaction(folder, here, tmp_path):
    text = "STEP,PHASE,lr,loss-recon,data-hues,data-vibrancies\n0,Primary & secondary,0.001,1,0,0\n{}60,,{},1,0,0\n"
    for name, phase, rate in (("one", "", 0.001), ("two", "30,All hues,,,,\n", 0.001), ("three", "30,All hues,,,,\n", 0.02)):
        (tmp_path / f"{name}.csv").write_text(text.format(phase, rate))
    command = ["--config", "color", "--seeds", "0:2", "--runs", tmp_path / "runs"]
    found = here("ablate", tmp_path / "three.csv", tmp_path / "one.csv", *command)
    assert found.code == 0, found.err
    assert "one.csv have different phases, which are not exchanged: what they do counts as interaction" in found.err
    alone = here("ablate", tmp_path / "two.csv", tmp_path / "one.csv", *command)
    assert alone.code == 2
    assert "one.csv differ in their phases alone, which cannot be exchanged" in alone.err


def test_one_seed_is_refused_before_training(folder, here, tmp_path):
    found = here("ablate", folder / "low.csv", folder / "high.csv", "--seeds", "5", "--runs", tmp_path / "runs")
    assert found.code == 2
    assert "an ablation needs at least 2 seeds: pass --seeds 0:8" in found.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--measure", "H9"], "unknown measure 'H9'"),
        (["--measure", "G5"], "cannot be taken apart"),
        (["--by", "row"], "'row' is not one of"),
        (["--config", "e2c"], "high.csv"),
    ],
)
def test_mistakes(ablated, folder, here, more, message):
    found = here("ablate", folder / "high.csv", folder / "low.csv", "--seeds", "0:8", "--runs", folder / "other", "--steps", "2", *more)
    assert found.code == 2
    assert message in found.err
    assert not (folder / "other").exists()
