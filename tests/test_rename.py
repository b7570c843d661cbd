"""Rename runs and experiments: whatever knew the old name knows the new one."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curriculum import StepMetrics, execute, on, plan, track
from curriculum.runner.arms import run_study
from curriculum.runner.execute import execute_all
from curriculum.runner.experiment_file import plan_study
from curriculum.store.experiment import read_experiment
from curriculum.store.lock import Lock
from curriculum.store.reader import Run
from curriculum.store.shelf import latest_comparison

STUDY = Path("runs/smooth-vs-stepped")


@pytest.fixture(scope="module")
def grown(tmp_path_factory, here) -> Path:
    """Train an experiment of two arms as one stack, then a further block of each; treat it as read-only."""
    folder = tmp_path_factory.mktemp("grown")
    for seeds in ("0:2", "0:3"):
        done = here("experiment", "smooth-vs-stepped", "--steps", "6", "--seeds", seeds, "--runs", folder / "runs")
        assert done.code == 0, done.err
    shutil.rmtree(folder / "runs" / "comparisons")  # of the paths there
    return folder


@pytest.fixture
def study(empty: Path, grown: Path, here) -> Path:
    """Work in a new folder with a copy of the experiment, and a comparison of its arms."""
    shutil.copytree(grown / "runs", empty / "runs")
    assert here("compare", "smooth-vs-stepped").code == 0
    return empty


def test_a_run_has_its_new_name_everywhere(bench, here):
    assert here("compare", "a", "b").code == 0
    done = here("rename", "a", "gentle")
    assert done.code == 0, done.err
    assert done.out == "renamed runs/a to runs/gentle\nupdated the comparison a-vs-b\n"
    assert not Path("runs/a").exists()
    assert here("verify", "gentle", "--replay", "20").code == 0
    assert json.loads(here("show", "gentle", "--json").out)["name"] == "gentle"
    assert [run.name for run in latest_comparison(Path("runs"))] == ["gentle", "b"]
    (listed,) = json.loads(here("runs", "--comparisons", "--json").out)
    assert [(run["name"], run["exists"]) for run in listed["runs"]] == [("gentle", True), ("b", True)]


def test_an_arm_keeps_its_place_in_the_stack_and_in_the_experiment(study, here):
    done = here("rename", "smooth-vs-stepped/smooth", "gentle", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["from"], found["to"]) == (str(STUDY / "smooth"), str(STUDY / "gentle"))
    assert found["comparisons"] == ["smooth-vs-stepped"]
    assert "the experiment's file still has the arm 'smooth'" in done.err
    for arm in ("gentle", "stepped"):
        verified = here("verify", f"smooth-vs-stepped/{arm}", "--replay", "6")
        assert verified.code == 0, verified.err
        assert "block 2: steps 0 to 5 retrained" in verified.out
    assert list(read_experiment(STUDY).arms) == ["gentle", "stepped"]
    assert here("compare", "smooth-vs-stepped", "--baseline", "gentle").code == 0
    assert "runs/smooth-vs-stepped/smooth'" not in json.dumps(Run(STUDY / "stepped").manifest)


def test_the_baseline_and_the_looks_of_an_experiment_stay(bench, here):
    Path("runs/study").mkdir()
    shutil.move("runs/a", "runs/study/a")
    shutil.move("runs/b", "runs/study/b")
    record = {"arms": {"a": {"label": "A"}, "b": {"color": "#112233"}}, "baseline": "b", "looks": [{"seeds": 8, "alpha": 0.01}]}
    Path("runs/study/experiment.json").write_text(json.dumps(record))
    assert here("rename", "runs/study/b", "c").code == 0
    found = read_experiment(Path("runs/study"))
    assert (list(found.arms), found.baseline) == (["a", "c"], "c")
    assert found.arms["c"].color == "#112233"
    assert found.looks[0].seeds == 8
    assert "baseline" not in here("compare", "study").err


def test_an_experiment_is_renamed_with_all_its_arms(study, here):
    done = here("rename", "smooth-vs-stepped", "pilot")
    assert done.code == 0, done.err
    assert "rename that to pilot.yaml as well" in done.err
    assert [run.name for run in latest_comparison(Path("runs"))] == ["smooth", "stepped"]
    assert here("verify", "pilot/smooth", "--replay", "3").code == 0
    assert here("config", "copy", "smooth-vs-stepped", "pilot.yaml").code == 0
    again = here("experiment", "pilot.yaml", "--steps", "6", "--seeds", "0:3")
    assert again.code == 0, again.err
    assert again.err.count("is already finished") == 2


@on(StepMetrics)
def stop(event):
    if event.step == 25:
        raise KeyboardInterrupt


def test_a_run_that_was_interrupted_resumes_under_its_new_name(empty, here):
    assert here("train", "-d", "smooth.csv", "--name", "whole", "--steps", "40").code == 0
    planned = plan("default", "smooth.csv", steps=40, overrides=["record.checkpoint_every=10"])
    with pytest.raises(KeyboardInterrupt):
        execute(planned, Path("runs/part"), watch=[stop])
    assert here("rename", "part", "rest").code == 0
    resumed = here("train", "-d", "smooth.csv", "--name", "rest", "--steps", "40")
    assert resumed.code == 0, resumed.err
    assert "resuming runs/rest from step 20 of 40" in resumed.err
    assert Run(Path("runs/rest")).metrics.equals(Run(Path("runs/whole")).metrics)
    assert here("verify", "rest", "--replay", "30").code == 0


@pytest.mark.slow
def test_arms_that_were_interrupted_resume_as_one_stack_under_their_new_names(empty, here):
    text = "config: color\nseeds: 0:2\narms: {first: smooth.csv, second: stepped.csv}\n"
    Path("whole.yaml").write_text(text)
    Path("part.yaml").write_text(text)
    assert here("experiment", "whole.yaml", "--steps", "40").code == 0
    study = plan_study("part.yaml", Path("runs"), steps=40, overrides=["record.checkpoint_every=10"])
    with pytest.raises(KeyboardInterrupt):
        run_study(study, lambda plans, paths: execute_all(plans, paths, watch=[stop]))
    for old, new in (("first", "gentle"), ("second", "hard")):
        assert here("rename", f"part/{old}", new).code == 0
    Path("part.yaml").write_text(text.replace("first", "gentle").replace("second", "hard"))
    resumed = here("experiment", "part.yaml", "--steps", "40")
    assert resumed.code == 0, resumed.err
    assert "resuming runs/part/gentle, runs/part/hard from step 20 of 40" in resumed.err
    for old, new in (("first", "gentle"), ("second", "hard")):
        assert Run(Path("runs/part", new)).metrics.equals(Run(Path("runs/whole", old)).metrics)
        assert here("verify", f"part/{new}", "--replay", "30").code == 0


def test_a_tracked_run_grows_under_its_new_name(empty, here):
    (empty / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    for name, seed in (("mine", 0), ("yours", 1)):
        with track(f"runs/{name}", sheet="a.csv", seed=seed, metrics={}) as run:
            for _ in run.steps():
                run.log(loss=1.0)
        if name == "mine":
            assert here("rename", "mine", "yours").code == 0
    assert Run(Path("runs/yours")).seeds == (0, 1)
    assert here("verify", "yours").code == 0


@pytest.mark.parametrize(
    ("run", "new", "code", "said"),
    [
        ("a", "b", 1, "runs/b already exists: choose another name"),
        ("a", "a", 2, "runs/a has this name already"),
        ("a", "x/y", 2, "'x/y' cannot be a name: use up to 100 letters"),
        ("a", "../x", 2, "'../x' cannot be a name"),
        ("a", ".x", 2, "'.x' cannot be a name"),
        ("a", "", 2, "'' cannot be a name"),
        ("a", "videos", 2, "'videos' cannot be a run's name"),
        ("a", "taken", 1, "runs/taken already exists"),
        ("alph", "x", 2, "there is no run, experiment, comparison, video or report 'alph', did you mean 'alpha'?"),
        ("bad", "x", 1, "the run runs/bad is damaged"),
        ("link", "x", 2, "runs/link is a symbolic link, and is not followed"),
        ("comparisons/x", "y", 2, "is a comparison: only runs and experiments"),
        ("held", "x", 1, "runs/held is being trained by another process"),
    ],
)
def test_mistakes_are_named_and_change_nothing(bench, here, tree, run, new, code, said):
    for name in ("alpha", "bad", "held"):
        shutil.copytree("runs/a", f"runs/{name}")
    Path("runs/bad/run.json").write_text("{")
    Path("runs/taken").write_text("")
    Path("runs/link").symlink_to(Path("runs/b").resolve())
    Path("runs/comparisons/x").mkdir(parents=True)
    Path("runs/comparisons/x/compare.json").write_text("{}")
    before = tree(bench)
    lock = Lock(Path("runs/held"))
    done = here("rename", run, new)
    lock.release()
    assert done.code == code, done.err
    assert said in done.err
    assert tree(bench) == before


def test_the_name_of_an_arm_that_is_gone_a_block_and_an_arm_that_is_trained_elsewhere(study, here):
    refused = here("rename", "smooth-vs-stepped/stepped/blocks/2", "three")
    assert refused.code == 2
    assert "blocks are named after their seeds" in refused.err
    lock = Lock(STUDY / "stepped")
    assert "smooth-vs-stepped/stepped is being trained" in here("rename", "smooth-vs-stepped/smooth", "gentle").err
    lock.release()
    shutil.rmtree(STUDY / "stepped")
    refused = here("rename", "smooth-vs-stepped/smooth", "stepped")
    assert refused.code == 2
    assert "was trained as one stack with" in refused.err
    assert here("verify", "smooth-vs-stepped/smooth").code == 0


def test_a_copy_is_renamed_without_its_original(study, here):
    before = json.loads((STUDY / "stepped" / "blocks" / "2" / "run.json").read_text())
    shutil.copytree(STUDY / "smooth", STUDY / "copy")
    assert here("rename", "smooth-vs-stepped/copy", "twin").code == 0
    assert json.loads((STUDY / "stepped" / "blocks" / "2" / "run.json").read_text()) == before
    for arm in ("smooth", "stepped", "twin"):
        verified = here("verify", f"smooth-vs-stepped/{arm}", "--replay", "6")
        assert verified.code == 0, (arm, verified.err)


@pytest.mark.parametrize("written", range(9))
def test_a_renaming_that_is_killed_is_completed_by_the_same_command(study, here, written):
    code = f"""
import os, signal
from pathlib import Path
from curriculum.store import experiment, renaming
write, rename, left = renaming.write_file, os.rename, [{written}]
def once(*args):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
def write_file(*args):
    once()
    return write(*args)
renaming.write_file = experiment.write_file = write_file
def move(*args):
    once()
    return rename(*args)
os.rename = move
renaming.rename("smooth-vs-stepped/smooth", "gentle", Path("runs"))
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == (0 if written == 8 else -signal.SIGKILL)
    if killed.returncode:
        done = here("rename", "smooth-vs-stepped/smooth", "gentle")
        assert done.code == 0, done.err
    for arm in ("gentle", "stepped"):
        assert here("verify", f"smooth-vs-stepped/{arm}", "--replay", "2").code == 0
    assert list(read_experiment(STUDY).arms) == ["gentle", "stepped"]
    assert [run.name for run in latest_comparison(Path("runs"))] == ["gentle", "stepped"]
