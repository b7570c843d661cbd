"""What goes wrong for users: bad input, full disks, damaged runs, interruptions. Never a traceback, nothing half-written."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import curriculum
from conftest import Outcome
from curriculum.errors import OutputExistsError
from curriculum.find_file import SHEETS as SHEETS_FOLDER
from curriculum.find_file import find_file
from curriculum.store.reader import Run

COMMAND = str(Path(sys.executable).with_name("curriculum"))
SMALL = ("--size", "320x180")
PHASE = "Primary & secondary"
HEAD = "STEP,PHASE,ACTION,lr,loss-recon\n"
FIRST = f"0,{PHASE},,0.01,1\n"


def refused(outcome, code, *texts):
    """Check an outcome that a user must be able to understand."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    said = without_progress(outcome.err)
    assert said.startswith("error: ")
    assert "Traceback" not in outcome.err
    assert "bug in curriculum" not in outcome.err
    for text in texts:
        assert text in outcome.err


def one_sentence(outcome):
    assert len(without_progress(outcome.err).splitlines()) == 1, outcome.err


def without_progress(said):
    """Leave out how far a command is, which it says on a slow machine."""
    return re.sub(r"^[\w. ]+: .* \d+ of \d+ \(\d+%\)\n", "", said, flags=re.MULTILINE)


# sheets

SHEETS = {
    "unknown property": (f"STEP,PHASE,lr,loss-recon,reg-nrom\n0,{PHASE},0.01,1,0\n9,,,,\n", ":1:5: ", "'reg-nrom'", "'reg-norm'?"),
    "unknown phase": ("STEP,PHASE,lr,loss-recon\n0,Primary & secondry,0.01,1\n9,,,\n", ":2:2: ", "'Primary & secondry'", f"'{PHASE}'?"),
    "unknown action": (HEAD + FIRST + "5,,anchr,,\n9,,,,\n", ":3:3: ", "'anchr'", "'anchor'?"),
    "unknown timing": (f"STEP,PHASE,lr::minjrek,loss-recon\n0,{PHASE},0.01,1\n9,,,\n", ":1:3: ", "'minjrek'", "'minjerk'?"),
    "unknown space": (f"STEP,PHASE,lr:lgo,loss-recon\n0,{PHASE},0.01,1\n9,,,\n", ":1:3: ", "'lgo'", "'log'?"),
    "timing for a space": (f"STEP,PHASE,lr:linaer:ease,loss-recon\n0,{PHASE},0.01,1\n9,,,\n", ":1:3: ", "'linaer'", "'linear'?"),
    "misspelt STEP": (f"Step,PHASE,lr,loss-recon\n0,{PHASE},0.01,1\n", ":1:1: ", "'STEP'?"),
    "empty": ("", ": ", "empty"),
    "only blank lines": ("\n \n# a note\n", ": ", "empty"),
    "only a header": (HEAD, ":1: ", "no rows"),
    "binary": (bytes(range(256)) * 4, ":2: ", "0x80"),
    "zero bytes": (HEAD + FIRST + "\0\n", ":3: ", "zero byte"),
    "a spreadsheet's own file": (b"PK\x03\x04" + bytes(100), ": ", "spreadsheet"),
    "UTF-16": ((HEAD + FIRST).encode("utf-16"), ": ", "UTF-16"),
    "Latin-1": (b"STEP,lr\n0,0.01\n# \xe9t\xe9\n", ":3: ", "0xe9", "UTF-8"),
    "duplicate column": (f"STEP,PHASE,lr,lr:log,loss-recon\n0,{PHASE},0.01,0.01,1\n9,,,,\n", ":1:4: ", "'lr'", "column 3"),
    "duplicate STEP": (f"STEP,PHASE,lr,loss-recon,STEP\n0,{PHASE},0.01,1,\n9,,,,\n", ":1:5: ", "'STEP'"),
    "text in a cell": (HEAD + f"0,{PHASE},,fast,1\n9,,,,\n", ":2:4: ", "'fast'"),
    "decimal comma": (f'STEP,PHASE,lr,loss-recon\n0,{PHASE},"0,01",1\n9,,,\n', ":2:3: ", "'0,01'", "'0.01'"),
    "nan": (HEAD + FIRST + "9,,,nan,\n", ":3:4: ", "'nan'"),
    "inf": (HEAD + FIRST + "9,,,-inf,\n", ":3:4: ", "'-inf'"),
    "too large a number": (HEAD + FIRST + "9,,,1e999,\n", ":3:4: ", "'1e999'"),
    "log column with 0": (f"STEP,PHASE,lr:log,loss-recon\n0,{PHASE},0.01,1\n9,,0,\n", ":3:3: ", "'0'", "log", "greater than 0"),
    "negative lr": (HEAD + FIRST + "9,,,-0.01,\n", ":3:4: ", "lr", "-0.01", "at least 0"),
    "negative weight": (HEAD + FIRST + "9,,,,-0.5\n", ":3:5: ", "loss-recon", "-0.5", "at least 0"),
    "hues beyond all": (
        f"STEP,PHASE,lr,loss-recon,data-hues\n0,{PHASE},0.01,1,0\n9,,,,1.0000001\n",
        *(":3:5: ", "data-hues", "1.0000001", "0 to 1"),
    ),
    "crossing rows": (HEAD + FIRST + "+8,,,0.02,\n-5,,,0.03,\n10,,,,\n", ":4:1: ", "step 5", "step 8", "line 3"),
    "steps that a spreadsheet changed": (HEAD + FIRST + "500,,,,\n10,,,0.02,\n900,,,,\n", ":4:1: ", "'prev+10'"),
    "bare fraction": (HEAD + FIRST + "0.4,,,,\n9,,,,\n", ":3:1: ", "'40%'"),
    "conflicting rows": (HEAD + FIRST + "+5,,,0.02,\n-5,,,0.03,\n10,,,,\n", ":4:4: ", "lr", "step 5", "line 3"),
    "conflicting phases": (HEAD + FIRST + f"0,{PHASE},,,\n9,,,,\n", ":3:2: ", "PHASE", "line 2"),
    "no lr": (f"STEP,PHASE,loss-recon\n0,{PHASE},1\n9,,\n", ":1:1: ", "'lr'"),
    "no step 0": (HEAD + f"5,{PHASE},,0.01,1\n9,,,,\n", ":2:1: ", "step 0", "'5'"),
    "no loss term": (f"STEP,PHASE,lr\n0,{PHASE},0.01\n9,,\n", ":1:1: ", "loss-recon"),
    "no key": (HEAD.strip() + ",reg-norm\n" + FIRST.strip() + ",\n9,,,,,\n", ":1:6: ", "'reg-norm'"),
    "too many cells": (HEAD + FIRST.strip() + ",7\n9,,,,\n", ":2:6: ", "'7'"),
    "too long": (HEAD + FIRST + "99999999999,,,,\n", ":3:1: ", "99,999,999,999"),
}


@pytest.mark.parametrize("text", SHEETS.values(), ids=SHEETS)
def test_a_bad_sheet_is_refused_with_its_place(here, empty, tree, text):
    content, place, *words = text
    (empty / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = tree(empty)
    for command in (("train", "-d", "bad.csv"), ("dopesheet", "check", "bad.csv", "--config", "color")):
        outcome = here(*command)
        refused(outcome, 2, f"bad.csv{place}", *words)
        one_sentence(outcome)
    assert tree(empty) == before


def test_a_sheet_without_phases_is_told_which_phases_there_are(here, empty):
    (empty / "bad.csv").write_text("STEP,lr,loss-recon\n0,0.01,1\n9,,\n")
    outcome = here("train", "-d", "bad.csv")
    refused(outcome, 2, "bad.csv:1:1: ", f"'{PHASE}'", "PHASE")


@pytest.mark.parametrize("command", ["show", "plot", "diff", "check"])
def test_every_command_about_sheets_refuses_a_bad_one(here, empty, tree, command):
    (empty / "bad.csv").write_text(SHEETS["unknown timing"][0])
    before = tree(empty)
    outcome = here("dopesheet", command, "bad.csv", *(["smooth"] if command == "diff" else []))
    refused(outcome, 2, "bad.csv:1:3: ", "did you mean 'minjerk'?")
    assert tree(empty) == before


def test_all_mistakes_are_reported_in_one_go(here, empty):
    (empty / "one.csv").write_text("STEP,PHASE,lr::minjrek,reg-norm:lgo,lr,reg-planar\n0,,1,1,1,x\n0.4,,,,,nan\n9,,,,,\n")
    (empty / "two.csv").write_text(SHEETS["no step 0"][0])
    outcome = here("dopesheet", "check", "one.csv", "two.csv", "nosuch.csv", "smooth.csv")
    assert outcome.code == 2
    assert "smooth.csv: 10,001 steps" in outcome.out
    for place in ("one.csv:1:3: ", "one.csv:1:4: ", "one.csv:1:5: ", "one.csv:2:6: ", "one.csv:3:1: ", "one.csv:3:6: ", "two.csv:2:1: "):
        assert place in outcome.err
    assert "'nosuch.csv'" in outcome.err


def test_the_cells_below_a_bad_header_are_checked_too(here, empty):
    (empty / "bad.csv").write_text(f"STEP,PHASE,lr::minjrek,loss-recon\n0,{PHASE},fast,1\n9,,,\n")
    refused(here("train", "-d", "bad.csv"), 2, "bad.csv:1:3: ", "bad.csv:2:3: ")


MANY = 30_000
HOPELESS = {
    "unreadable": HEAD + FIRST + "".join(f"{step},,,x,y\n" for step in range(1, MANY)),
    "out of bounds": HEAD + FIRST + "".join(f"{step},,,-1,-1\n" for step in range(1, MANY)),
    "unknown actions": HEAD + FIRST + "".join(f"{step},,a{step},,\n" for step in range(1, MANY)),
    "unknown phases": HEAD + FIRST + "".join(f"{step},p{step},,,\n" for step in range(1, MANY)),
    "unknown columns": "STEP,PHASE,lr," + ",".join(f"p{index}" for index in range(MANY)) + f"\n0,{PHASE},1{',1' * MANY}\n",
}


@pytest.mark.parametrize("text", HOPELESS.values(), ids=HOPELESS)
def test_of_a_great_many_mistakes_the_first_are_shown(here, empty, text):
    (empty / "bad.csv").write_text(text)
    for command in (("train", "-d", "bad.csv"), ("dopesheet", "check", "bad.csv", "--config", "color")):
        outcome = here(*command)
        refused(outcome, 2, "bad.csv:")
        *shown, last = outcome.err.splitlines()
        assert len(shown) == 50
        assert re.fullmatch(r" +\.\.\. and at least [0-9]{2,4} more", last)
        assert all(len(line) < 2000 for line in shown)


def test_a_few_more_mistakes_than_are_shown_are_counted(here, empty):
    for name in ("one.csv", "two.csv"):
        (empty / name).write_text(HEAD + FIRST + "".join(f"{step},,,x,\n" for step in range(1, 41)))
    outcome = here("dopesheet", "check", "one.csv", "nosuch.csv", "two.csv")
    *shown, last = outcome.err.splitlines()
    assert "'nosuch.csv'" in shown[0]
    assert (len(shown), last.strip()) == (50, "... and 31 more")


def test_what_does_not_fit_the_task_is_reported_in_one_go(here, empty):
    (empty / "bad.csv").write_text("STEP,PHASE,ACTION,lr,loss-recon,reg-nrom\n0,Primary,anchr,-1,1,0\n9,,,,,\n")
    outcome = here("train", "-d", "bad.csv")
    refused(outcome, 2, "bad.csv:1:6: ", "bad.csv:2:2: ", "bad.csv:2:3: ", "bad.csv:2:4: ")


def test_broken_tasks_stop_no_other(process, empty):
    """The file of another task that cannot be imported changes nothing, not even for a sheet that does not fit."""
    shutil.copytree(Path(curriculum.__file__).parent, empty / "src" / "curriculum", ignore=shutil.ignore_patterns("__pycache__"))
    for name, broken in (("aaa", "raise OSError('no such library')"), ("bbb", "import sys; sys.exit(3)"), ("ccc", "TASK = ("), ("ddd", "")):
        task = empty / "src" / "curriculum" / "tasks" / name / "task.py"
        task.parent.mkdir()
        task.write_text(broken + "\n")
    (empty / "c.yaml").write_text("task: {name: color}\n")
    (empty / "good.csv").write_text(HEAD + FIRST + "9,,,,\n")
    (empty / "e2c.csv").write_text("STEP,lr,loss-recon,kl-prior,max-step\n0,0.01,1,1,2\n9,,,,\n")
    env = {"PYTHONPATH": str(empty / "src")}
    good = process("train", "-d", "good.csv", "-c", "c.yaml", "--dry-run", cwd=empty, env=env)
    assert good.code == 0, good.err
    strange = process("dopesheet", "check", "good.csv", "e2c.csv", "--config", "c.yaml", cwd=empty, env=env)
    assert "good.csv: 10 steps" in strange.out
    assert strange.code == 2
    for part in ("'kl-prior'", "'max-step'", "looks like a sheet for the task 'e2c'"):
        assert part in strange.err
    assert "Traceback" not in strange.err
    assert "no such library" not in strange.err


# names


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        ("train -d smoth.csv", ["'smoth.csv'", "did you mean 'smooth.csv'?"]),
        ("train -d smooth -c colr", ["'colr'", "did you mean 'color'?"]),
        ("train -d runs", ["'runs' is a folder"]),
        ("train -d smooth --set task.hiden=3", ["--set task.hiden=3", "did you mean 'hidden'?"]),
        ("train -d smooth --set tsk.hidden=3", ["--set tsk.hidden=3", "did you mean 'task'?"]),
        ("train -d smooth --set task.hidden=abc", ["--set task.hidden=abc", "'abc'"]),
        ("train -d smooth --set task.hidden=0", ["--set task.hidden=0", "1"]),
        ("train -d smooth --set task.hidden", ["--set task.hidden", "a.b=value"]),
        ("train -d smooth --set seeds.x=1", ["--set seeds.x=1"]),
        ("train -d smooth --set task.name=colour", ["--set task.name=colour", "did you mean 'color'?"]),
        ("train -d smooth --set task.sample_weighting=men", ["'men'", "did you mean 'mean'?"]),
        ("train -d smooth --seed 3:1", ["'3:1'"]),
        ("train -d smooth --seed x", ["'x'"]),
        ("train -d smooth --name ../x", ["'../x'"]),
        ("train -d smooth --name .x", ["'.x'"]),
        ("train -d smooth --name comparisons --runs new --dry-run", ["'comparisons'"]),
        ("train -d smooth --name videos --runs new --dry-run", ["'videos'"]),
        ("compare a bb", ["'bb'", "did you mean 'b'?", "runs"]),
        ("compare a b --runs nosuch", ["'a'", "nosuch"]),
        ("compare a", ["two runs"]),
        ("compare a a", ["'a'", "twice"]),
        ("compare --runs nosuch", ["nosuch"]),
        ("animate --runs nosuch", ["nosuch"]),
        ("animate a b a b a -o v.mp4", ["4", "5"]),
        ("animate aa -o v.mp4", ["'aa'", "did you mean 'a'?"]),
        ("animate a -o v.avi", ["v.avi", ".mp4"]),
        ("animate a -o v", ["v", ".mp4"]),
        ("animate a -o v.mp4 --dims 0,9", ["9"]),
        ("train -d smooth --steps 5 --device gpu", ["--set device=gpu", "'cpu' or 'cuda'"]),
        ("animate a -o v.mp4 --seeds 3", ["--seeds '3'", "--seeds all", "--seed"]),
        ("animate a -o v.mp4 --dims 0", ["--dims '0'"]),
        ("animate a -o v.mp4 --size 321x180", ["321x180", "even"]),
        ("animate a -o v.mp4 --size 99999x99998", ["99999x99998"]),
        ("animate a -o v.mp4 --seed 4", ["'a'", "4"]),
        ("animate a -o v.png --at 40", ["40", "39"]),
        ("animate a -o v.mp4 --at 4", ["--at"]),
        ("show aa", ["'aa'", "did you mean 'a'?"]),
        ("show runs", ["'runs'", "run.json"]),
        ("dopesheet plot smooth -o x.pdf", ["x.pdf", ".png"]),
        ("dopesheet diff smooth steped", ["'steped'", "did you mean 'stepped'?"]),
        ("dopesheet check smooth --config colr", ["'colr'", "did you mean 'color'?"]),
        ("config show colr", ["'colr'", "did you mean 'color'?"]),
        ("config schema colr", ["'colr'", "did you mean 'color'?"]),
    ],
)
def test_a_name_or_value_that_is_none_is_refused(here, bench, tree, args, texts):
    before = tree(bench)
    outcome = here(*args.split())
    refused(outcome, 2, *texts)
    one_sentence(outcome)
    assert tree(bench) == before


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        ("trian", ["'train'"]),
        ("dopesheet chek", ["'check'"]),
        ("train", ["--dopesheet"]),
        ("train -d smooth --nmae x", ["--nmae", "--name"]),
        ("train -d smooth --steps 0", ["--steps", "1"]),
        ("animate a --fps nan", ["--fps"]),
        ("animate a --theme drak", ["'drak'", "dark"]),
        ("dopesheet show smooth --format xml", ["'xml'", "csv"]),
    ],
)
def test_wrong_usage_is_refused(here, bench, tree, args, texts):
    before = tree(bench)
    outcome = here(*args.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    for text in texts:
        assert text in outcome.err
    assert tree(bench) == before


def test_seeds_are_refused_with_advice_that_works(here, empty):
    advice = here("train", "-d", "smooth", "--seed", "0-3", "--dry-run").err
    for example in re.findall(r"[0-9]+:[0-9]+|\[[0-9, ]+\]", advice):
        taken = here("train", "-d", "smooth", "--seed", example, "--dry-run")
        assert taken.code == 0, taken.err


CONFIGS = {
    "unknown keys": (
        "task: {name: color, hiden: 3}\nseds: [1]\n",
        ("bad.yaml:1:21: ", "'hiden'", "'hidden'?", "bad.yaml:2:1: ", "'seds'", "'seeds'?"),
    ),
    "wrong type": ("task:\n  name: color\n  hidden: many\n", ("bad.yaml:3:3: ", "'many'")),
    "out of range": ("task: {name: color}\nthreads: 0\n", ("bad.yaml:2:1: ", "0")),
    "unknown task": ("task: {name: colr}\n", ("bad.yaml:1:8: ", "'colr'", "'color'?")),
    "no task": ("seeds: [1]\n", ("bad.yaml:1:1: ", "task", "color")),
    "phase with unknown data": (
        "task:\n  name: color\n  phases:\n    A: {train: ful, validate: rgb}\n",
        ("bad.yaml:4:9: ", "'ful'", "'full'?"),
    ),
    "duplicate key": ("task: {name: color}\nseeds: 0\nseeds: 1\n", ("bad.yaml:3:1: ", "seeds")),
    "not YAML": ("task:\n  name: color\n task: 3\n", ("bad.yaml:3:",)),
    "empty": ("", ("bad.yaml:1:1: ", "empty")),
    "binary": (b"\xff\xfe\x00\x80", ("bad.yaml:1: ", "0xff")),
    "nan": ("task: {name: color}\noptimizer: {eps: .nan}\n", ("bad.yaml:2:13: ", "nan")),
    "unknown event": (
        "task: {name: color}\nhooks:\n  - {on: phase-strt, call: math:sqrt}\n",
        ("bad.yaml:3:", "'phase-strt'", "'phase-start'?"),
    ),
    "action without a name": ("task: {name: color}\nhooks:\n  - {on: action, call: math:sqrt}\n", ("bad.yaml:3:", "action:NAME")),
    "hook without a module": (
        "task: {name: color}\nhooks:\n  - {on: run-end, call: 'nosuch_module:f'}\n",
        ("bad.yaml:3:", "nosuch_module"),
    ),
    "hook without a function": ("task: {name: color}\nhooks:\n  - {on: run-end, call: 'math:nosuch'}\n", ("bad.yaml:3:", "nosuch")),
    "hook that is no function": ("task: {name: color}\nhooks:\n  - {on: run-end, call: 'math:pi'}\n", ("bad.yaml:3:", "math:pi", "float")),
    "hook in a file that is not there": (
        "task: {name: color}\nhooks:\n  - {on: run-end, call: './nosuch.py:f'}\n",
        ("bad.yaml:3:", "cannot load the hook './nosuch.py:f': there is no file './nosuch.py'"),
    ),
    "hook that is no reference": ("task: {name: color}\nhooks:\n  - {on: run-end, call: 'math.sqrt'}\n", ("bad.yaml:3:", "math.sqrt")),
    "hook that never fires": (
        "task: {name: color}\nhooks:\n  - {on: 'action:ancor', call: 'math:sqrt'}\n",
        ("bad.yaml:3:", "'ancor'", "'anchor'?"),
    ),
}


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_a_bad_config_is_refused_with_its_place(here, empty, tree, text):
    content, texts = text
    (empty / "bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = tree(empty)
    refused(here("train", "-d", "smooth", "-c", "bad.yaml"), 2, *texts)
    assert tree(empty) == before


@pytest.mark.parametrize(
    ("args", "code", "texts"),
    [
        (("train", "-d", "bad.csv"), 2, ["bad.csv:1:5: ", "did you mean 'reg-norm'?"]),
        (("train", "-d", "smooth", "--name", "a"), 1, ["runs/a already exists"]),
        (("compare", "a", "c"), 2, ["no run 'c'"]),
        (("dopesheet", "check", "binary.csv"), 2, ["binary.csv:2: "]),
    ],
    ids=["sheet", "exists", "run", "binary"],
)
def test_the_process_itself_ends_in_order(process, bench, tree, args, code, texts):
    (bench / "bad.csv").write_text(SHEETS["unknown property"][0])
    (bench / "binary.csv").write_bytes(SHEETS["binary"][0])
    before = tree(bench)
    outcome = process(*args, cwd=bench)
    refused(outcome, code, *texts)
    one_sentence(outcome)
    assert tree(bench) == before


# the environment


@pytest.mark.slow
def test_a_backend_that_matplotlib_does_not_know_changes_nothing(process, empty):
    """Figures are drawn without any of matplotlib's backends, so what MPLBACKEND names does not matter."""
    env = {"MPLBACKEND": "nosuch"}
    for name in ("a", "b"):
        trained = process("train", "-d", "smooth", "--steps", "12", "--name", name, cwd=empty, env=env)
        assert trained.code == 0, trained.err
    figures = sorted(path.name for path in (empty / "runs" / "a" / "figures").iterdir())
    assert figures == ["latents.png", "losses.png", "timeline.png"]
    for args in (("compare", "a", "b"), ("animate", "a", "-o", "p.png", *SMALL), ("dopesheet", "plot", "smooth", "-o", "s.png")):
        done = process(*args, cwd=empty, env=env)
        assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "kept"), [("nosuch", "None"), ("pdf", "pdf")])
def test_from_python_a_backend_is_left_as_it_was_chosen(empty, backend, kept):
    script = (
        "import os\nfrom curriculum import run\n"
        "print(run('color', 'smooth', steps=3, folder='runs', name='a').status)\n"
        "import matplotlib\nprint(matplotlib.get_backend(auto_select=False), os.environ['MPLBACKEND'])\n"
    )
    env = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"finished\n{kept} {backend}\n"), done.stderr
    assert (empty / "runs" / "a" / "figures" / "losses.png").is_file()


# outputs that exist


def dangle(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"mine"), dangle], ids=["folder", "file", "link"])
@pytest.mark.parametrize(
    ("args", "output"),
    [
        (("train", "-d", "smooth", "--name", "x", "--steps", "2"), "runs/x"),
        (("animate", "a", "-o", "x.png", *SMALL), "x.png"),
        (("animate", "a", "-o", "x.mp4", *SMALL), "x.mp4"),
        (("dopesheet", "plot", "smooth", "-o", "x.png"), "x.png"),
        (("dopesheet", "plot", "smooth"), "smooth.png"),
    ],
    ids=["train", "poster", "video", "plot", "plot by its default name"],
)
def test_an_output_that_exists_is_left_alone(here, bench, tree, args, output, make):
    make(bench / output)
    before = tree(bench)
    outcome = here(*args)
    refused(outcome, 1, output)
    one_sentence(outcome)
    assert tree(bench) == before
    assert not (bench / "nowhere").exists()


def test_a_run_that_exists_is_left_alone(here, bench, tree):
    before = tree(bench)
    refused(here("train", "-d", "smooth", "--name", "a", "--steps", 2), 1, "runs/a already exists", "--name")
    assert tree(bench) == before


@pytest.mark.parametrize(("encoder", "code"), [("false", 1), ("./nosuch", 2)])
def test_an_encoder_that_fails_leaves_the_old_video(here, bench, tree, monkeypatch, encoder, code):
    (bench / "v.mp4").write_bytes(b"old")
    before = tree(bench)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", encoder)
    outcome = here("animate", "a", "-o", "v.mp4", "--force", "--stride", 20, *SMALL)
    assert outcome.code == code, outcome
    assert "error: cannot " in outcome.err
    assert tree(bench) == before


# several at once


def at_once(cwd: Path, *commands: tuple[str, ...]) -> list[Outcome]:
    """Start commands at the same time; return how each ended."""
    started = [subprocess.Popen([COMMAND, *args], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for args in commands]
    said = [process.communicate(timeout=120) for process in started]
    return [Outcome(process.returncode, *texts) for process, texts in zip(started, said, strict=True)]


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]


@pytest.mark.slow
def test_trainings_without_a_name_started_at_once_each_get_their_own(bench):
    shutil.copy(find_file("smooth", SHEETS_FOLDER), bench / "short.csv")
    train = ("train", "-d", "short.csv", "--steps", "13", "--json")
    outcomes = at_once(bench, *[train] * 4, *[(*train, "--fork", "a", "--at", "9")] * 2)
    for outcome in outcomes:
        assert outcome.code == 0, outcome.err
    names = ["short", *(f"short-{number}" for number in range(2, 7))]
    assert sorted(json.loads(outcome.out)["run"] for outcome in outcomes) == names
    for name in names:
        run = Run(bench / "runs" / name)
        assert (run.status, run.manifest["name"], len(run.metrics)) == ("finished", name, 13)
    assert sum("fork" in Run(bench / "runs" / name).manifest for name in names) == 2
    assert not hidden(bench)


@pytest.mark.slow
def test_trainings_of_one_name_started_at_once_are_one_run(bench):
    (bench / "short.csv").write_text(SHORT)
    outcomes = at_once(bench, *[("train", "-d", "short.csv", "--name", "x")] * 3)
    # One trains it; another is refused meanwhile, or says that it is finished where it came later.
    assert sum("13 steps in" in outcome.out for outcome in outcomes) == 1, outcomes
    for outcome in outcomes:
        if outcome.code:
            refused(outcome, 1, "runs/x ")
        else:
            assert "13 steps in" in outcome.out or "is already finished" in outcome.out
    assert Run(bench / "runs" / "x").status == "finished"
    assert not hidden(bench)


def test_a_sheet_that_is_called_as_a_folder_of_results_is_trained_under_another_name(here, empty):
    (empty / "videos.csv").write_text(SHORT)
    outcome = here("train", "-d", "videos.csv")
    assert outcome.code == 0, outcome.err
    assert Run(empty / "runs" / "videos-2").status == "finished"


@pytest.mark.slow
def test_videos_made_at_once_each_get_their_own_name_and_comparisons_are_whole(bench):
    outcomes = at_once(bench, *[("compare", "a", "b")] * 3, *[("animate", "a", "b", "--stride", "10", *SMALL)] * 3)
    for outcome in outcomes:
        assert outcome.code == 0, outcome.err
    made = sorted((bench / "runs" / "comparisons").iterdir())
    assert {path.name for path in made} <= {"a-vs-b", "a-vs-b-2", "a-vs-b-3"}
    assert made[0].name == "a-vs-b"
    for folder in made:
        assert json.loads((folder / "compare.json").read_text())["schema"] == 3
        assert len(list(folder.glob("*.png"))) == len(list(made[0].glob("*.png")))
    videos = ["a-vs-b-2.mp4", "a-vs-b-3.mp4", "a-vs-b.mp4"]
    assert sorted(path.name for path in (bench / "runs" / "videos").iterdir()) == videos
    assert sorted(outcome.out.partition(":")[0] for outcome in outcomes[3:]) == [f"runs/videos/{name}" for name in videos]


@pytest.mark.slow
def test_a_video_that_appears_while_another_is_drawn_is_not_replaced(bench, tree):
    before = tree(bench)
    args = ("animate", "a", "b", "-o", "v.mp4", "--stride", "1", "--size", "1920x1080")
    drawing = subprocess.Popen([COMMAND, *args], cwd=bench, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "frame " in drawing.stderr.readline()
    (bench / "v.mp4").write_bytes(b"mine")
    out, err = drawing.communicate(timeout=60)
    assert (drawing.returncode, out) == (1, ""), err
    assert err.splitlines()[-1] == "error: v.mp4 already exists: choose another name, or replace it with --force"
    assert tree(bench) == {**before, "v.mp4": b"mine"}


@pytest.mark.parametrize(
    "args",
    [("animate", "a", "b", "-o", "v.mp4", *SMALL), ("animate", "a", "-o", "v.png"), ("dopesheet", "plot", "smooth", "-o", "v.png")],
    ids=["video", "poster", "plot"],
)
@pytest.mark.slow
def test_of_two_that_draw_to_one_file_at_once_one_is_refused(bench, tree, args):
    before = tree(bench)
    outcomes = sorted(at_once(bench, args, args), key=lambda outcome: outcome.code)
    assert [outcome.code for outcome in outcomes] == [0, 1], outcomes
    output = args[args.index("-o") + 1]
    assert f"error: {output} already exists" in outcomes[1].err
    assert set(tree(bench)) - set(before) == {output}
    assert at_once(bench, (*args, "--force"))[0].code == 0


def test_a_name_is_taken_once_where_the_disk_knows_no_second_names(tmp_path, monkeypatch):
    from curriculum.store.place import place_new

    def refuse(*args):
        raise PermissionError(1, "Operation not permitted")  # as on FAT

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    assert place_new(tmp_path / "one", tmp_path / "v.png") == tmp_path / "v.png"
    with pytest.raises(OutputExistsError, match="already exists"):
        place_new(tmp_path / "two", tmp_path / "v.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two", "v.png"]
    assert (tmp_path / "v.png").read_bytes() == b"1"


# a disk that is full


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: to a program that writes, the disk is full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A module that is first imported in here must not leave half its bytecode behind.
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = bytecode


def check_failed_training(here, folder, outcome, statuses=("failed", "finished")):
    """A run that the disk had no room for is absent, or says truly what it is."""
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: cannot ")
    assert "runs/full" in last
    assert "Traceback" not in outcome.err
    hidden = [path for path in (folder / "runs").rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert not hidden
    if (folder / "runs" / "full").exists():
        shown = here("show", "full", "--json")
        assert shown.code == 0, shown.err
        document = json.loads(shown.out)
        assert document["status"] in statuses
        if document["status"] == "finished":
            run = Run(folder / "runs" / "full")
            assert len(run.metrics) == len(run.snapshots.steps) == 40
            assert run.model


@pytest.mark.parametrize("size", [0, 1000, 1600, 2500, 44_000, 85_000])
def test_train_on_a_full_disk(here, bench, tree, size):
    before = tree(bench)
    with file_limit(size):
        outcome = here("train", "-d", "smooth", "--steps", 40, "--name", "full")
    # With no room for a longer run.json the run stays visibly unfinished.
    check_failed_training(here, bench, outcome, ("failed", "finished", "killed") if size < 3000 else ("failed", "finished"))
    after = tree(bench)
    assert {name: after[name] for name in before} == before


def test_a_disk_that_is_full_when_the_run_ends(here, bench):
    with file_limit(3000):
        outcome = here("train", "-d", "smooth", "--steps", 40, "--name", "full", "--set", "record.snapshot_every=40")
    check_failed_training(here, bench, outcome, ("failed",))


@pytest.mark.parametrize("size", [0, 4000, 30_000])
def test_compare_on_a_full_disk(here, bench, tree, size):
    (bench / "runs" / "comparisons").mkdir()
    before = tree(bench)
    with file_limit(size):
        outcome = here("compare", "a", "b")
    refused(outcome, 1, "cannot ", "runs/comparisons")
    one_sentence(outcome)
    assert "/." not in outcome.err
    assert tree(bench) == before


@pytest.mark.parametrize("output", ["v.png", "v.mp4", "v.webm", "v.gif"])
def test_animate_on_a_full_disk(here, bench, tree, output):
    (bench / output).write_bytes(b"old")
    before = tree(bench)
    with file_limit(2000):
        outcome = here("animate", "a", "-o", output, "--force", "--stride", 10, *SMALL)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: cannot write {output}: " in outcome.err
    assert tree(bench) == before


@pytest.mark.parametrize("size", [0, 20_000])
def test_plot_on_a_full_disk(here, empty, tree, size):
    with file_limit(size):
        outcome = here("dopesheet", "plot", "smooth")
    refused(outcome, 1, "cannot write smooth.png: ")
    assert tree(empty) == {}


def test_the_process_itself_on_a_full_disk(process, bench):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    outcome = process("train", "-d", "smooth", "--steps", 40, "--name", "full", cwd=bench, preexec_fn=limit, env=environment)
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1].startswith("error: cannot write runs/full/")
    assert "Traceback" not in outcome.err
    assert Run(bench / "runs" / "full").status == "failed"


@pytest.fixture
def small_disk(tmp_path, trained, monkeypatch):
    """Work on a disk of its own, of 1 MiB, with the runs `a` and `b`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    here = Path.cwd()
    try:
        shutil.copytree(trained / "runs", disk / "runs")
        monkeypatch.chdir(disk)
        yield disk
    finally:
        os.chdir(here)
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, free: int) -> None:
    """Fill a disk until that many bytes are left."""
    pages = os.statvfs(disk).f_bavail - free // os.statvfs(disk).f_bsize
    (disk / "filler").write_bytes(bytes(pages * os.statvfs(disk).f_bsize))


@pytest.mark.parametrize("free", [0, 8 << 10, 48 << 10, 200 << 10])
def test_a_disk_with_no_space_left(here, small_disk, tree, free):
    fill(small_disk, free)
    before = tree(small_disk)
    outcome = here("train", "-d", "smooth", "--steps", 40, "--name", "full")
    assert "No space left on device" in outcome.err
    check_failed_training(here, small_disk, outcome)
    shutil.rmtree(small_disk / "runs" / "full", ignore_errors=True)
    assert tree(small_disk) == before
    outputs = [("animate", "a", "-o", "p.png", "--size", "1600x900"), ("animate", "a", "b", "-o", "v.mp4", "--stride", 2)]
    for args in [*outputs, ("dopesheet", "plot", "smooth", "--derivatives")] if free < 48 << 10 else []:
        outcome = here(*args)
        assert (outcome.code, outcome.out) == (1, ""), outcome
        assert "error: cannot write " in outcome.err
        assert "No space left on device" in outcome.err
        assert tree(small_disk) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [("dopesheet", "show", "smooth", "--format", "csv"), ("config", "show"), ("--help",)], ids=" ".join)
def test_results_that_cannot_be_printed_are_a_failure(tmp_path, args):
    with open("/dev/full", "w") as full:
        done = subprocess.run([COMMAND, *args], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# a run folder that is damaged


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def clear(data: bytes) -> bytes:
    return b""


def head(data: bytes) -> bytes:
    return bytes([data[0] ^ 0xFF]) + data[1:]


def garbage(data: bytes) -> bytes:
    return bytes((i * 7 + 3) % 256 for i in range(500))


def results(here, folder):
    """What the commands that read the run `a` say, or show."""
    outcomes = {"compare": here("compare", "a", "b", "--json"), "animate": here("animate", "a", "-o", "p.png", *SMALL, "--force")}
    outcomes["show"] = here("show", "a")
    found = {}
    for name, outcome in outcomes.items():
        found[name] = outcome.code, outcome.out, outcome.err
    if outcomes["compare"].code == 0:
        document = json.loads(outcomes["compare"].out)
        shutil.rmtree(document.pop("folder"))
        for run in document["runs"]:
            run.pop("path")
        found["compare"] = 0, json.dumps(document), ""
    if outcomes["animate"].code == 0:
        found["animate"] = 0, (folder / "p.png").read_bytes().hex(), ""
    return found


@pytest.fixture(scope="module")
def undamaged(here, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undamaged")
    shutil.copytree(trained / "runs", folder / "runs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        return results(here, folder)
    finally:
        os.chdir(before)


def check_damage(here, folder, undamaged, name):
    """Each command names the damaged file, or gives the right result because it does not need the file."""
    found = results(here, folder)
    for command, (code, out, err) in found.items():
        if (code, out) == undamaged[command][:2]:
            continue
        assert code == 1, f"{command}: {code} {err or 'other results, and no word of the damage'}"
        assert out == "", f"{command} prints half a result"
        assert f"runs/a/{name}" in err
        assert "damaged" in err
        assert "bug in curriculum" not in err
        assert "Traceback" not in err
    return [command for command, (code, _, _) in found.items() if code == 1]


NEEDED = [
    "config.yaml",
    "dopesheet.csv",
    "events.jsonl",
    "metrics.parquet",
    "phase-ends.safetensors",
    "snapshots.safetensors",
    "traces.safetensors",
    "run.json",
]


@pytest.mark.parametrize("damage", [truncate, clear, head, garbage])
@pytest.mark.parametrize("name", NEEDED)
def test_a_damaged_file_is_named(here, bench, undamaged, name, damage):
    file = bench / "runs" / "a" / name
    file.write_bytes(damage(file.read_bytes()))
    noticed = check_damage(here, bench, undamaged, name)
    # Nothing needs the first byte of a Parquet file.
    assert noticed or (name, damage) == ("metrics.parquet", head)


@pytest.mark.parametrize("name", [*NEEDED, "model.safetensors", "figures"])
def test_a_missing_file_is_named_where_it_is_needed(here, bench, undamaged, name):
    path = bench / "runs" / "a" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert bool(check_damage(here, bench, undamaged, name)) == (name in NEEDED)


BYTES = [("events.jsonl", 0.4), *itertools.product(["metrics.parquet", "snapshots.safetensors"], [0.1, 0.66])]


@pytest.mark.parametrize(("name", "share"), BYTES)
def test_a_single_wrong_byte_never_changes_a_result(here, bench, undamaged, name, share):
    file = bench / "runs" / "a" / name
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 0x10
    file.write_bytes(bytes(data))
    check_damage(here, bench, undamaged, name)


MANIFESTS = ["[]", "null", "{}", '{"schema": 1}', '{"a": NaN', "\ufeff{}", "[" * 100_000]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda text: text[:12])
def test_a_manifest_that_is_none(here, bench, undamaged, manifest):
    (bench / "runs" / "a" / "run.json").write_text(manifest)
    assert check_damage(here, bench, undamaged, "run.json") == ["compare", "animate", "show"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": ["x"]},
        {"seeds": []},
        {"steps": 0},
        {"steps": -3},
        {"steps": 10**12},
        {"status": "done"},
        {"task": {}},
        {"task": {"name": 5}},
        {"created": 5},
        {"created": None},
        {"sheet": None},
        {"parameters": None},
        {"parameters": {"x": 5}},
        {"hashes": {}},
    ],
    ids=str,
)
def test_a_manifest_with_a_wrong_value(here, bench, wrong):
    file = bench / "runs" / "a" / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **wrong}))
    for args in (("compare", "a", "b"), ("animate", "a", "-o", "p.png", "--force", *SMALL), ("show", "a"), ("runs",)):
        outcome = here(*args)
        assert outcome.code in (0, 1), f"{args[0]}: {outcome}"
        assert "bug in curriculum" not in outcome.err, f"{args[0]}: {outcome.err}"
        if outcome.code == 1:
            assert "runs/a" in outcome.err
            assert outcome.out == ""
        if args[0] == "compare":
            assert outcome.code == 1 or set(wrong) & {"created", "sheet"}
        if args[0] == "runs":
            assert re.search(r"^b ", outcome.out, re.MULTILINE)


# what is no file


def test_a_pipe_is_no_sheet_and_no_config(apart, empty):
    (empty / "dopesheets").mkdir()
    for name in ("p.csv", "p.yaml", "smooth.csv", "dopesheets/q.csv"):
        os.mkfifo(empty / name)
    commands = {
        ("dopesheet", "check", "p.csv"): "p.csv",
        ("dopesheet", "show", "p"): "p.csv",
        ("dopesheet", "show", "q"): "dopesheets/q.csv",
        ("train", "-d", "smooth.csv"): "smooth.csv",
        ("train", "-d", "stepped", "-c", "p.yaml"): "p.yaml",
        ("experiment", "p.yaml"): "p.yaml",
        ("config", "show", "p"): "p.yaml",
        ("dopesheet", "plot", "/dev/null"): "/dev/null",
    }
    for outcome, name in zip(apart(empty, list(commands)), commands.values(), strict=True):
        refused(outcome, 2, f"{name} is not a regular file", "must be saved as a file first")
        one_sentence(outcome)
    assert not (empty / "runs").exists()


@pytest.mark.parametrize("args", ["dopesheet check <(cat s.csv)", "dopesheet check /dev/stdin", "train -c /dev/stdin -d s.csv"])
def test_what_a_shell_pipes_in_is_no_sheet(empty, args):
    (empty / "s.csv").write_text(SHORT)
    shell = ["bash", "-c", f"cat s.csv | {COMMAND} {args}"]
    done = subprocess.run(shell, cwd=empty, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: /dev/(fd/[0-9]+|stdin) is not a regular file: .* must be saved as a file first\n", done.stderr)


def test_a_sheet_may_come_from_a_redirected_file(empty):
    (empty / "s.csv").write_text(SHORT)
    shell = ["bash", "-c", f"{COMMAND} dopesheet check /dev/stdin < s.csv"]
    done = subprocess.run(shell, cwd=empty, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def put_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


STORED = [
    *NEEDED,
    "model.safetensors",
    "exhibits.safetensors",
    "checkpoint-000000040.json",
    "checkpoint-000000040.safetensors",
]


@pytest.mark.slow
def test_a_pipe_among_the_stored_files_is_named(apart, bench):
    runs = bench / "runs"
    for name in STORED:
        shutil.copytree(runs / "a", runs / name)
        put_pipe(runs / name / name)
    verified = apart(bench, [("verify", name) for name in STORED])
    for name, outcome in zip(STORED, verified, strict=True):
        assert outcome.code == 3, outcome
        assert f"runs/{name}/{name}" in outcome.err
        assert "it is not a regular file" in outcome.err
    drawn = ["config.yaml", "snapshots.safetensors"]
    compared = [("compare", "a", name) for name in NEEDED if name not in drawn]
    commands = [("show", "run.json"), ("show", "events.jsonl"), *compared, *(("animate", name) for name in drawn)]
    for args, outcome in zip(commands, apart(bench, commands), strict=True):
        refused(outcome, 1, f"the run runs/{args[-1]} is damaged: runs/{args[-1]}/{args[-1]}: it is not a regular file")
        one_sentence(outcome)


@pytest.mark.slow
def test_a_pipe_in_a_run_that_was_killed_is_named_when_it_is_read_or_resumed(apart, bench):
    run = bench / "runs" / "a"
    manifest = {key: value for key, value in json.loads((run / "run.json").read_text()).items() if key not in ("files", "sha256")}
    (run / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    names = ["metrics-000001.parquet", "snapshots-000001.safetensors", "events.jsonl", "checkpoint-000000040.json"]
    for name in names:
        shutil.copytree(run, bench / "runs" / name)
        if "checkpoint" not in name:
            for file in (bench / "runs" / name).glob("checkpoint-*"):
                file.unlink()
        put_pipe(bench / "runs" / name / name)
    shown = apart(bench, [("animate", "metrics-000001.parquet"), ("show", "events.jsonl"), ("runs",)])
    for outcome in shown[:2]:
        assert outcome.code == 1, outcome
    assert "runs/events.jsonl/events.jsonl: it is not a regular file" in shown[1].err
    assert shown[2].code == 0, shown[2].err
    events, checkpoint = apart(bench, [("train", "--resume", "events.jsonl"), ("train", "--resume", "checkpoint-000000040.json")])
    refused(events, 1, "runs/events.jsonl is damaged: runs/events.jsonl/events.jsonl: it is not a regular file")
    refused(checkpoint, 1, "checkpoint-000000040.json is damaged: it is not a regular file")


def test_a_pipe_does_not_keep_the_runs_from_being_listed(apart, bench):
    shutil.copytree(bench / "runs" / "b", bench / "runs" / "c")
    put_pipe(bench / "runs" / "a" / "run.json")
    for name in ("run.json", "dopesheet.csv"):
        put_pipe(bench / "runs" / "c" / name)
    put_pipe(bench / "runs" / "d")
    (bench / "runs" / "comparisons" / "x").mkdir(parents=True)
    put_pipe(bench / "runs" / "comparisons" / "x" / "compare.json")
    listed, drawn = apart(bench, [("runs",), ("animate", "-o", "p.png", *SMALL)])
    assert listed.code == 0, listed
    assert re.search(r"^b ", listed.out, re.MULTILINE)
    for name in ("a", "c"):
        assert f"runs/{name}/run.json: it is not a regular file" in listed.err
    refused(drawn, 2, "found 1 finished run(s) in runs, but 2 are needed")


def test_runs_tells_of_a_damaged_run(here, bench):
    (bench / "runs" / "a" / "run.json").write_text("{")
    shown = here("runs")
    assert shown.code == 0
    assert re.search(r"^b ", shown.out, re.MULTILINE)
    assert "runs/a" in shown.out + shown.err


def test_a_damaged_run_of_the_latest_comparison_is_not_replaced_by_another(here, bench):
    assert here("compare", "a", "b").code == 0
    shutil.copytree(bench / "runs" / "b", bench / "runs" / "c")
    (bench / "runs" / "a" / "run.json").write_text("{")
    refused(here("animate", "-o", "p.png", *SMALL), 1, "runs/a/run.json")
    assert not (bench / "p.png").exists()


def test_a_run_made_by_a_newer_version_is_refused(here, bench):
    file = bench / "runs" / "a" / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    refused(here("show", "a"), 1, "runs/a", "99")


# interruptions


def interrupted(args, cwd, number, marker):
    """Start a command, wait until it says `marker`, send it a signal; return its exit code, stdout and stderr.

    Where the tests run in the background, Ctrl-C is ignored there; the command must not inherit that.
    """

    def heed() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen([COMMAND, *args], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as running:
        said = ""
        for line in running.stderr:
            said += line
            if marker in line:
                break
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, said + err


SIGNALS = {"Ctrl-C": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143)}


@pytest.fixture(scope="module")
def cut(trained, tmp_path_factory):
    """Interrupt a training in its midst by each of the signals: the folder, and what each command ended with."""
    folder = tmp_path_factory.mktemp("cut")
    shutil.copytree(trained / "runs", folder / "runs")

    def train(name):
        return interrupted(
            ("train", "-d", "smooth", "--seed", "0:4", "--set", "record.snapshot_every=1", "--name", name),
            folder,
            SIGNALS[name][0],
            f"{name}: step ",
        )

    with ThreadPoolExecutor() as pool:
        return folder, dict(zip(SIGNALS, pool.map(train, SIGNALS), strict=True))


@pytest.mark.parametrize("name", SIGNALS)
def test_a_training_that_is_interrupted_keeps_what_it_has(here, cut, name, tmp_path):
    folder, outcomes = cut
    code, out, err = outcomes[name]
    assert code == SIGNALS[name][1], err
    assert out == ""
    assert "Traceback" not in err
    path = folder / "runs" / name
    assert not [file.name for file in path.iterdir() if file.name.startswith(".")]
    run = Run(path)
    assert run.status == "interrupted"
    steps = len(run.metrics) // 4
    assert 0 < steps < 10_001
    assert run.metrics["step"].tolist() == [step for step in range(steps) for _ in range(4)]
    assert np.array_equal(run.snapshots.steps[:steps], np.arange(steps))
    runs = ("--runs", folder / "runs")
    assert here("show", name, *runs).code == 0
    assert here("animate", name, "-o", tmp_path / "p.png", *SMALL, *runs).code == 0


def test_an_interrupted_run_tells_how_far_it_came(here, cut):
    folder, outcomes = cut
    runs = ("--runs", folder / "runs")
    timings = json.loads(here("show", "SIGTERM", "--json", *runs).out)["timings"]
    assert timings["steps_per_s"] > 0
    notes = json.loads(here("compare", "SIGTERM", "b", "--json", *runs).out)["notes"]
    assert "SIGTERM was interrupted after" in "\n".join(notes)
    assert "SIGTERM has 10,001 steps" not in "\n".join(notes)
    assert "runs/SIGTERM" in outcomes["SIGTERM"][2]


def test_a_video_that_is_interrupted_leaves_nothing(bench, tree):
    before = tree(bench)
    args = ("animate", "a", "b", "-o", "v.mp4", "--stride", "1", "--size", "3840x2160")
    ended, out, err = interrupted(args, bench, signal.SIGINT, "frame ")
    assert (ended, out) == (130, ""), err
    assert "Traceback" not in err
    assert tree(bench) == before


# what surrounds a run


def test_a_run_names_the_commit_and_executes_nothing_of_the_repository(here, empty):
    """Git runs programs that a repository configures whenever it looks for changed files."""

    def git(*args):
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x", *args], cwd=empty, check=True, capture_output=True, text=True
        )

    git("init", "--quiet")
    (empty / "data.txt").write_text("one")
    (empty / ".gitattributes").write_text("*.txt filter=evil diff=evil\n")
    git("add", ".")
    git("commit", "--quiet", "--no-verify", "-m", "first")
    program = empty / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {empty}/executed\ncat\n")
    program.chmod(0o755)
    hooks = empty / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).symlink_to(program)
    settings = (
        "core.fsmonitor",
        "core.pager",
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.external",
        "alias.rev-parse",
    )
    for key in settings:
        git("config", key, f"!{program}" if key.startswith("alias") else str(program))
    (empty / "data.txt").write_text("two")  # as long as before: only its content tells
    (empty / "short.csv").write_text(SHORT)
    outcome = here("train", "-d", "short.csv", "--name", "r")
    assert outcome.code == 0, outcome.err
    assert not (empty / "executed").exists()
    assert (
        Run(empty / "runs" / "r").manifest["git"]
        == (empty / ".git" / "refs" / "heads" / git("branch", "--show-current").stdout.strip()).read_text().strip()
    )


# divergence and hooks

DIVERGING = f"STEP,PHASE,lr::step-end,loss-recon\n0,{PHASE},0.01,1\n20,,1e30,\n60,,0.01,\n"


def test_a_run_that_diverges_says_where_and_keeps_what_was_good(here, bench):
    (bench / "wild.csv").write_text(DIVERGING)
    outcome = here("train", "-d", "wild.csv", "--seed", "5", "--name", "wild")
    assert (outcome.code, outcome.out) == (1, "")
    message = outcome.err.splitlines()[-1]
    assert message.startswith("error: training diverged: ")
    step = int(re.search(r"at step (\d+)", message)[1])
    assert 20 <= step <= 22
    for text in ("loss-recon", f"'{PHASE}'", "seed 5"):
        assert text in message
    run = Run(bench / "runs" / "wild")
    assert run.status == "diverged"
    assert run.metrics["step"].tolist() == list(range(step))
    assert np.isfinite(run.metrics["total"]).all()
    assert all(np.isfinite(values).all() for values in run.model.values())
    assert "diverged" in here("runs").out
    compared = here("compare", "b", "wild")
    assert compared.code == 0, compared.err
    assert "wild diverged after" in compared.out


def write_hooks(folder: Path, name: str, body: str, event: str = "action:anchor") -> None:
    (folder / f"{name}.py").write_text(body)
    (folder / "hooks.yaml").write_text(f"task: {{name: color}}\nhooks:\n  - {{on: '{event}', call: '{name}:watch'}}\n")


SHORT = f"STEP,PHASE,ACTION,lr,loss-recon\n0,{PHASE},,0.01,1\n6,,anchor,,\n12,,,,\n"


def test_a_hook_that_raises_ends_the_run_in_order(here, empty):
    write_hooks(empty, "raising_hook", "def watch(event):\n    raise KeyError('no such color')\n")
    (empty / "short.csv").write_text(SHORT)
    outcome = here("train", "-d", "short.csv", "-c", "hooks.yaml", "--name", "r")
    assert (outcome.code, outcome.out) == (1, "")
    message = outcome.err.splitlines()[-1]
    for text in ("watch", "step 6", "action", "KeyError", "no such color"):
        assert text in message
    assert "Traceback" not in outcome.err
    run = Run(empty / "runs" / "r")
    assert run.status == "failed"
    assert run.metrics["step"].tolist() == list(range(6))
    assert "no such color" in run.manifest["error"]


def test_a_hook_that_returns_nonsense_is_named(here, empty):
    write_hooks(empty, "nonsense_hook", "def watch(event):\n    return 5\n")
    (empty / "short.csv").write_text(SHORT)
    outcome = here("train", "-d", "short.csv", "-c", "hooks.yaml")
    assert outcome.code == 1
    assert "bug in curriculum" not in outcome.err
    assert "watch" in outcome.err


def test_a_hook_whose_module_fails_is_refused(here, empty, tree, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write_hooks(empty, "failing_module", "import nosuch_library\n")
    before = tree(empty)
    refused(here("train", "-d", "smooth", "-c", "hooks.yaml"), 2, "hooks.yaml:3:", "failing_module:watch", "nosuch_library")
    assert tree(empty) == before


def test_a_hook_that_exits_ends_the_run_with_an_error(here, empty):
    write_hooks(empty, "leaving_hook", "import sys\n\ndef watch(event):\n    sys.exit(0)\n")
    (empty / "short.csv").write_text(SHORT)
    outcome = here("train", "-d", "short.csv", "-c", "hooks.yaml", "--name", "r")
    assert (outcome.code, outcome.out) == (1, "")
    for text in ("watch", "step 6", "action", "SystemExit", ": leaving_hook.py:4: SystemExit: 0 (in watch)"):
        assert text in outcome.err.splitlines()[-1]
    assert Run(empty / "runs" / "r").status == "failed"


def test_a_hook_whose_module_exits_is_refused(here, empty):
    write_hooks(empty, "exiting_module", "import sys\nsys.exit(0)\n")
    refused(here("train", "-d", "smooth", "-c", "hooks.yaml"), 2, "hooks.yaml:3:", "exiting_module:watch", "SystemExit")


HOOK_FILE = """import hook_helper

def report(event):
    print(event.step, hook_helper.WORD)
"""


@pytest.fixture
def hook_file(empty):
    (empty / "own").mkdir()
    (empty / "own" / "hooks.py").write_text(HOOK_FILE)
    (empty / "own" / "hook_helper.py").write_text("WORD = 'anchored'\n")
    (empty / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: 'action:anchor', call: own/hooks.py:report}\n")
    (empty / "short.csv").write_text(SHORT)
    return empty / "own" / "hooks.py"


def test_a_hook_may_be_in_a_file(process, hook_file):
    done = process("train", "-d", "short.csv", "-c", "hooks.yaml", "--name", "r", cwd=hook_file.parents[1])
    assert (done.code, done.out.splitlines()[0]) == (0, "6 anchored"), done
    (stored,) = Run(hook_file.parents[1] / "runs" / "r").manifest["hooks"]
    assert (stored["event"], stored["call"], stored["note"]) == ("action", "hooks.py:report", None)


@pytest.mark.parametrize(
    ("text", "says", "code"),
    [
        (HOOK_FILE.replace("report", "reprot"), "there is no 'report' in own/hooks.py, did you mean 'reprot'?", 2),
        ("import nosuch_library\n", "own/hooks.py:1: ModuleNotFoundError", 2),
        ("report = 3\n", "must be a function, not int", 2),
        (HOOK_FILE.replace("WORD", "WORDS"), "failed at step 6 on action: own/hooks.py:4: AttributeError: ", 1),
    ],
)
def test_what_is_wrong_with_a_hook_in_a_file_is_told(process, hook_file, text, says, code):
    hook_file.write_text(text)
    outcome = process("train", "-d", "short.csv", "-c", "hooks.yaml", cwd=hook_file.parents[1])
    assert (outcome.code, says in outcome.err.splitlines()[-1]) == (code, True), outcome
    assert (hook_file.parents[1] / "runs").exists() == (code == 1)


def test_a_dry_run_executes_no_hook(here, empty, tree):
    package = empty / "dry_package"
    package.mkdir()
    for name in ("__init__", "hooks"):
        (package / f"{name}.py").write_text("from pathlib import Path\nPath('executed').touch()\ndef watch(event): pass\n")
    (empty / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: 'action:anchor', call: 'dry_package.hooks:watch'}\n")
    (empty / "short.csv").write_text(SHORT)
    before = tree(empty)
    outcome = here("train", "-d", "short.csv", "-c", "hooks.yaml", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "a dry run does not import hooks" in outcome.err
    assert tree(empty) == before
    for module in ("nosuch_package.hooks", "dry_package.nosuch", "math.nosuch", "__main__.nosuch", ".nosuch"):
        (empty / "hooks.yaml").write_text(f"task: {{name: color}}\nhooks:\n  - {{on: run-end, call: '{module}:watch'}}\n")
        refused(here("train", "-d", "short.csv", "-c", "hooks.yaml", "--dry-run"), 2, "hooks.yaml:3:", module)
    (empty / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: 'action:anchor', call: './dry_package/hooks.py:watch'}\n")
    assert here("train", "-d", "short.csv", "-c", "hooks.yaml", "--dry-run").code == 0
    (empty / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: 'action:ancor', call: 'dry_package.hooks:watch'}\n")
    refused(here("train", "-d", "short.csv", "-c", "hooks.yaml", "--dry-run"), 2, "hooks.yaml:3:", "did you mean 'anchor'?")
    assert not (empty / "executed").exists()


@pytest.mark.slow
def test_trainings_from_python_started_at_once_each_get_their_own_name(bench):
    code = "from curriculum import run; print(run('default', 'short.csv', folder='runs').run.path.name)"
    (bench / "short.csv").write_text(SHORT)
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=bench, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    names = sorted(process.communicate(timeout=120)[0].strip() for process in started)
    assert names == ["short", "short-2", "short-3"]
