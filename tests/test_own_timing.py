"""A timing of a user's own: found, sampled, trained with, stored, and read again without its code."""

import base64
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curriculum import plan
from curriculum.errors import InputError, SheetError
from curriculum.measure.comparison import compare
from curriculum.sheet.document import write
from curriculum.sheet.easings import EASINGS
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.sheet.table import ACCURATE, TimingError, table_line, tables_in, tabulate
from curriculum.store.reader import Run

EASE = """import numpy as np

def spring(u):
    return 1 - (1 - u) * np.exp(-5 * u) * np.cos(15 * u)

def stairs(u):
    return np.floor(u * 4) / 4
"""
BROKEN = """import math

def late(u):
    return nosuch

def scalar(u):
    return math.sin(u)

def half(u):
    return u / 2

def spring(u):
    return u
"""
SHEET = "STEP,PHASE,ACTION,lr:log:./ease.py:spring,loss-recon,reg-norm::./ease.py:stairs\n0,Primary & secondary,,1e-3,1,0\n90,,,1e-2,,1\n"
U = np.linspace(0, 1, 100_001)


def spring(u):
    return 1 - (1 - u) * np.exp(-5 * u) * np.cos(15 * u)


@pytest.fixture
def ease(empty):
    (empty / "ease.py").write_text(EASE)
    (empty / "own.csv").write_text(SHEET)
    return empty


# tables


@pytest.mark.parametrize("name", EASINGS)
def test_a_table_is_as_its_function(name):
    made = tabulate(EASINGS[name].progress).easing
    assert np.abs(made.progress(U) - EASINGS[name].progress(U)).max() < 10 * ACCURATE
    assert made.monotone == EASINGS[name].monotone
    smooth = slice(50, -50)
    for own, exact in ((made.velocity, EASINGS[name].velocity), (made.acceleration, EASINGS[name].acceleration)):
        found, wanted = own(U)[smooth], exact(U)[smooth]
        assert np.abs(found - wanted).max() < 0.02 * (1 + np.abs(wanted).max())


@pytest.mark.parametrize("function", [lambda u: u**0.3, lambda u: np.sqrt(1 - (1 - u) ** 2), lambda u: 1 - np.cbrt(1 - u)])
def test_a_function_may_begin_or_end_infinitely_steep(function):
    at = np.concatenate([U, np.logspace(-16, -3, 1000), 1 - np.logspace(-16, -3, 1000)])
    made = tabulate(function)
    assert np.abs(made.easing.progress(at) - function(at)).max() < 10 * ACCURATE
    assert len(made.knots) < 6000
    (read,) = tables_in(table_line("x", made)).values()
    assert np.array_equal(read().easing.progress(at), made.easing.progress(at))


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6), st.floats(-2, 2))
@settings(deadline=None, max_examples=30)
def test_jumps_and_kinks_are_kept_where_they_are(jumps, height):
    def function(u):
        return u + height * np.abs(u - jumps[0]) * u * (1 - u) + sum(np.where(u < jump, 0, 0.5) for jump in jumps) * (u < 1)

    made = tabulate(function).easing
    at = np.sort(np.concatenate([U, jumps, np.nextafter(jumps, 0), np.nextafter(jumps, 1)]))
    assert np.abs(made.progress(at) - function(at)).max() < 10 * ACCURATE


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda u: u + 0.5, "it is 0.5 at u = 0, but must be 0 there"),
        (lambda u: u * 0.5, "it is 0.5 at u = 1, but must be 1 there"),
        (lambda u: np.where((u > 0.2) & (u < 0.6), np.nan, u), "it is nan at u = 0.2"),
        (lambda u: np.where((u > 0.2) & (u < 0.6), 1e300, u), "it is 1e+300 at u = 0.2"),
        (lambda u: 0.5, "must turn an array u [2] into numbers of that shape, but gave float64 []"),
        (lambda u: [str(x) for x in u], "into numbers of that shape"),
        (lambda u: u + np.sin(2 * np.pi * 20_000 * u) * (u > 0.1), "changes too fast near u = "),
    ],
)
def test_what_is_no_timing_is_refused(function, says):
    with pytest.raises(TimingError, match=re.escape(says)):
        tabulate(function)


# sheets


def test_a_sheet_with_a_timing_from_python_is_written_and_read_as_it_is():
    sheet = parse("STEP,lr::spring\n0,1\n50,2\n", timing_of={"spring": spring}.get)
    values = compile_sheet(sheet).column("lr")
    np.testing.assert_allclose(values, 1 + spring(np.arange(51) / 50), atol=1e-8)
    again = parse(write(sheet))
    assert again == sheet
    assert write(again) == write(sheet)
    assert np.array_equal(compile_sheet(again).values, compile_sheet(sheet).values)
    moved = compile_sheet(sheet).retarget("lr", 20, 3.0, 10)
    assert np.array_equal(compile_sheet(again).retarget("lr", 20, 3.0, 10).values, moved.values)
    assert abs(np.diff(moved.column("lr")[18:23], 2)).max() < 0.1, "without a jump"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("lr::./nosuch.py:spring", "there is no file './nosuch.py'"),
        ("lr::./ease.py:sprnig", "there is no 'sprnig' in ease.py, did you mean 'spring'?"),
        ("lr::./ease.py:late", "ease.py:4: NameError: name 'nosuch' is not defined (in late)"),
        ("lr::./ease.py:scalar", "ease.py:7: TypeError: "),
        ("lr::./ease.py:half", "cannot use the timing './ease.py:half': it is 0.5 at u = 1, but must be 1 there"),
        ("lr::sprnig", "unknown timing 'sprnig'"),
        ("lr:./ease.py:spring", "'./ease.py' is not a space; to use the timing './ease.py:spring', write lr::./ease.py:spring"),
    ],
)
def test_what_is_wrong_with_a_timing_is_told_at_its_column(here, ease, header, says):
    (ease / "ease.py").write_text(BROKEN)
    (ease / "bad.csv").write_text(f"STEP,PHASE,loss-recon,{header}\n0,Primary & secondary,1,0.1\n9,,,0.2\n")
    for command in (("dopesheet", "check", "bad.csv"), ("train", "-d", "bad.csv")):
        outcome = here(*command)
        assert (outcome.code, outcome.err.startswith("error: bad.csv:1:4: ")) == (2, True), outcome.err
        assert says in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert not (ease / "runs").exists()


def test_a_timing_that_overshoots_the_bounds_is_refused(here, ease):
    (ease / "bad.csv").write_text("STEP,PHASE,lr,loss-recon,data-hues::./ease.py:spring\n0,Primary & secondary,0.01,1,0\n90,,,,1\n")
    outcome = here("train", "-d", "bad.csv")
    assert outcome.code == 2
    assert re.search(r"bad.csv:1:5: the timing '\./ease\.py:spring' leads data-hues to 1\.\d+ at step \d+, outside its bounds", outcome.err)


def test_a_sheet_finds_a_timing_next_to_it_and_by_entry_point(here, ease):
    (ease / "sheets").mkdir()
    for name in ("ease.py", "own.csv"):
        (ease / name).rename(ease / "sheets" / name)
    assert here("dopesheet", "check", "sheets/own.csv").code == 0
    info = ease / "site" / "ease_dist-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ease_dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[curriculum.timings]\nspringy = ease_dist:spring\n")
    (ease / "site" / "ease_dist.py").write_text(EASE)
    (ease / "named.csv").write_text("STEP,lr::springy\n0,1\n9,2\n")
    code = "import sys; sys.path.insert(0, 'site'); from curriculum.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "dopesheet", "check", "named.csv"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# runs


def test_a_run_is_read_without_the_code_of_its_timings(here, ease):
    assert here("train", "-d", "own.csv", "--name", "a", "--seeds", "0:2").code == 0
    stored = Run(ease / "runs" / "a")
    np.testing.assert_allclose(stored.schedule.column("lr"), 10 ** (-3 + spring(np.arange(91) / 90)), rtol=1e-7)
    assert stored.schedule.column("reg-norm").tolist() == [math.floor(step / 90 * 4) / 4 for step in range(90)] + [1.0]
    before = stored.schedule.values
    (ease / "ease.py").write_text("from pathlib import Path\nPath('executed').touch()\nraise RuntimeError\n")
    assert np.array_equal(Run(ease / "runs" / "a").schedule.values, before)
    assert here("train", "-d", "runs/a/dopesheet.csv", "--name", "b", "--seeds", "0:2").code == 0
    found = compare([Run(ease / "runs" / name) for name in "ab"])
    assert found.pairs[0].sheets.identical
    assert json.dumps(found.to_json())
    for command in (("compare", "a", "b"), ("verify", "a", "--replay", "20"), ("show", "a"), ("runs",)):
        outcome = here(*command)
        assert outcome.code == 0, outcome.err
    assert not (ease / "executed").exists()


@pytest.mark.slow
def test_a_run_resumes_with_its_table_and_not_with_a_changed_timing(process, ease):
    body = "import os\n\ndef watch(event):\n    if os.path.exists('stop') and event.step == 60:\n        raise KeyboardInterrupt\n"
    (ease / "hooks.py").write_text(body)
    (ease / "c.yaml").write_text("task: {name: color}\nhooks:\n  - {on: pre-step, call: './hooks.py:watch'}\n")
    command = ("train", "-d", "own.csv", "-c", "c.yaml", "--name")
    assert process(*command, "whole", cwd=ease).code == 0
    (ease / "stop").touch()
    assert process(*command, "cut", cwd=ease).code == 130
    (ease / "stop").unlink()
    (ease / "ease.py").write_text(EASE.replace("15", "16"))
    refused = process(*command, "cut", cwd=ease)
    assert (refused.code, "the timing './ease.py:spring' of the sheet own.csv has changed" in refused.err) == (1, True), refused.err
    (ease / "ease.py").unlink()
    resumed = process("train", "--resume", "cut", cwd=ease)
    assert resumed.code == 0, resumed.err
    whole, cut = (Run(ease / "runs" / name) for name in ("whole", "cut"))
    assert all(np.array_equal(whole.model[name], cut.model[name]) for name in whole.model)


def test_two_sheets_with_timings_of_one_name_that_differ_are_not_equivalent(here, ease):
    for name, factor in (("a", "15"), ("b", "16")):
        (ease / name).mkdir()
        (ease / name / "ease.py").write_text(EASE.replace("15", factor))
        (ease / name / "own.csv").write_text(SHEET)
    (ease / "ease.py").unlink()
    outcome = here("dopesheet", "diff", "a/own.csv", "b/own.csv")
    assert outcome.code == 0, outcome.err
    assert "equivalent" not in outcome.out
    assert re.search(r"(?m)^lr .*\d", outcome.out)


def test_a_damaged_table_is_refused(ease):
    text = write(plan("ex-1.6", "own.csv").sheet)
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("#timing ./ease.py:spring"))
    for damage in (lines[place][:-8], lines[place][:-40] + "!" * 40, lines[place][:60]):
        with pytest.raises(SheetError, match=r"cannot use the timing '\./ease\.py:spring': its table is damaged"):
            parse("\n".join([*lines[:place], damage, *lines[place + 1 :]]))
    huge = base64.b64encode(np.array([[0, 1], [0, 1e308], [1, 1e308]]).tobytes()).decode()
    with pytest.raises(SheetError, match="its table is damaged"):
        parse("\n".join([*lines[:place], f"#timing ./ease.py:spring {huge}", *lines[place + 1 :]]))
    with pytest.raises(InputError, match=r"unknown timing '\./ease\.py:spring'"):
        parse("\n".join(lines[:place]))
