"""Experiments whose arms are trained by a command: what is started, what is skipped, what is said of a seed that fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curriculum.errors import CurriculumError, InputError
from curriculum.runner.commands import plan_commands, run_commands
from curriculum.store.reader import Run

SCRIPT = """
import os, sys, time
import numpy as np
from curriculum import track

with track(seed=99) as run:
    if run.seed in map(int, os.environ.get("BROKEN", "").split()):
        print("loading the data")
        raise ValueError("the data are not there")
    rng = np.random.default_rng(run.seed)
    base = rng.normal()
    for step, now in run.steps():
        run.log(accuracy=0.9 + 0.1 * now["lr"] + 0.001 * base + 0.0002 * rng.normal())
        time.sleep(float(os.environ.get("SLOW", "0")))
    print(sys.argv[1:])
"""
STUDY = """
command: python train.py --out {run} {seed}
seeds: 0:3
arms: {high: {sheet: high.csv, label: "A high rate"}, low: low.csv}
baseline: low
metrics: {accuracy: higher}
primary: [accuracy]
"""


@pytest.fixture
def study(empty: Path) -> Path:
    """Work in a new folder with an experiment, its script and its sheets."""
    (empty / "train.py").write_text(SCRIPT)
    (empty / "high.csv").write_text("STEP,lr\n0,0.2\n29,\n")
    (empty / "low.csv").write_text("STEP,lr\n0,0.1\n29,\n")
    (empty / "study.yaml").write_text(STUDY)
    return empty


def test_a_command_trains_every_seed_of_every_arm_and_gives_a_verdict(study, here):
    done = here("experiment", "study.yaml", "--seeds", "0:8")
    assert done.code == 0, done.err
    assert "A high rate against low, 8 pairs of seeds" in done.out
    assert "accuracy at the end: A high rate +1.0 points against low" in done.out
    assert ": supported" in done.out
    run = Run(Path("runs/study/high"))
    assert run.seeds == tuple(range(8))
    assert run.manifest["sheet"] == "high.csv"
    log = Path("runs/study/logs/high/3.log").read_text()
    assert log.strip() == str(["--out", str(study / "runs/study/high"), "3"])


@pytest.mark.slow
def test_seeds_that_are_done_are_skipped_and_more_can_be_added(study, here):
    assert here("experiment", "study.yaml").code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("runs/study/logs").rglob("*.log")}
    grown = here("experiment", "study.yaml", "--seeds", "0:5")
    assert grown.code == 0, grown.err
    assert len(list(Path("runs/study/logs").rglob("*.log"))) == 10
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert Run(Path("runs/study/low")).seeds == (0, 1, 2, 3, 4)
    again = here("experiment", "study.yaml", "--seeds", "0:2")
    assert again.code == 0
    assert again.err.count("is already finished") == 2


def test_a_seed_that_fails_is_named_with_its_last_lines_and_the_others_are_trained(study, here, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    failed = here("experiment", "study.yaml", "--workers", "2")
    assert failed.code == 1
    assert "2 of 6 seeds were not trained; run the same command again to retry" in failed.err
    assert "high, seed 1: the command failed with the exit code 1; all of its output is in runs/study/logs/high/1.log" in failed.err
    assert "| ValueError: the data are not there" in failed.err
    assert Run(Path("runs/study/high")).seeds == (0, 2)
    monkeypatch.delenv("BROKEN")
    assert here("experiment", "study.yaml").code == 0
    assert Run(Path("runs/study/high")).seeds == (0, 1, 2)


def test_a_command_that_always_fails_is_given_up_early(study):
    (study / "train.py").write_text("raise SystemExit('no')")
    planned = plan_commands("study.yaml", Path("runs"), seeds="0:9")
    with pytest.raises(CurriculumError, match=r"18 of 18 seeds were not trained"):
        run_commands(planned, workers=1)
    assert len(list(Path("runs/study/logs").rglob("*.log"))) == 3


def test_a_script_that_tracks_nothing_is_told_so(study):
    (study / "train.py").write_text("print('trained')")
    with pytest.raises(CurriculumError, match=r"recorded nothing of this seed in runs/study/high: does it call curriculum\.track\(\)\?"):
        run_commands(plan_commands("study.yaml", Path("runs"), seeds="0:2"), workers=1)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("python train.py", "pithon train.py", "study.yaml:2:1: there is no command 'pithon'"),
        ("python train.py", "python trian.py", "there is no file 'trian.py'"),
        ("{seed}", "{seeds}", "unknown placeholder 'seeds', did you mean 'seed'"),
        ("accuracy: higher", "accuracy: up", "higher"),
        ("primary: [accuracy]", "primary: ['accuracy:bst']", "unknown metric 'accuracy:bst', did you mean 'accuracy:best'"),
        ("primary: [accuracy]", "primary: [acuracy]", "unknown metric 'acuracy', did you mean 'accuracy'"),
        ("baseline: low", "baseline: lo", "unknown arm 'lo', did you mean 'low'"),
        ("low: low.csv", "low: lo.csv", "there is no dopesheet 'lo.csv', did you mean 'low.csv'"),
        ("seeds: 0:3", "seed: 0:3", "unknown setting 'seed', did you mean 'seeds'"),
    ],
)
def test_mistakes_are_found_before_anything_is_started(study, here, before, after, said):
    (study / "study.yaml").write_text(STUDY.replace(before, after))
    refused = here("experiment", "study.yaml")
    assert refused.code == 2
    assert said in refused.err
    assert not Path("runs").exists()


def test_another_sheet_is_refused_and_a_dry_run_starts_nothing(study, here):
    dry = here("experiment", "study.yaml", "--dry-run")
    assert dry.code == 0
    assert "first command: python " in dry.out
    assert not Path("runs").exists()
    assert here("experiment", "study.yaml").code == 0
    (study / "high.csv").write_text("STEP,lr\n0,0.3\n29,\n")
    refused = here("experiment", "study.yaml", "--seeds", "0:4")
    assert refused.code == 1
    assert "runs/study/high already exists, but was created with another sheet" in refused.err
    with pytest.raises(InputError, match="unknown setting"):
        plan_commands("study.yaml", Path("runs"), overrides=["task.hidden=3"])


@pytest.mark.slow
def test_an_interrupted_experiment_leaves_no_process_behind_and_resumes(study, here):
    environment = {**os.environ, "SLOW": "0.2"}
    command = [sys.executable, "-c", "from curriculum.cli.app import main; main()", "experiment", "study.yaml", "--workers", "2"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list(Path("runs/study").glob("*/blocks/0")) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    for block in Path("runs/study").glob("*/blocks/0"):
        assert Run(block).shown_status == "killed"
    assert here("experiment", "study.yaml").code == 0
    assert Run(Path("runs/study/high")).seeds == (0, 1, 2)


def test_a_declared_metric_that_no_seed_logged_is_an_error_each_time_and_says_what_to_remove(study, here):
    (study / "study.yaml").write_text(STUDY.replace("{accuracy: higher}", "{accuracy: higher, acuracy: higher}"))
    first = here("experiment", "study.yaml", "--seeds", "0:1")
    assert first.code == 1
    assert "2 of 2 seeds were trained, but their command failed" in first.err
    assert "run the same command again" not in first.err
    assert "To train this seed again, remove" in first.err
    assert "blocks/0" in first.err  # not cut
    again = here("experiment", "study.yaml", "--seeds", "0:1")
    assert again.code == 2
    assert "the metric 'acuracy' is declared, but was never logged" in again.err
    assert "remove runs/study/high and runs/study/low" in again.err


@pytest.mark.slow
def test_metrics_that_were_changed_after_training_are_refused_not_ignored(study, here):
    assert here("experiment", "study.yaml").code == 0
    (study / "study.yaml").write_text(STUDY.replace("{accuracy: higher}", "{accuracy: {better: lower, smallest: 2}}"))
    done = here("experiment", "study.yaml")
    assert done.code == 2
    assert "runs/study/high was created with different inputs: the metric 'accuracy' is better lower" in done.err
    assert "smallest 2.0, was better higher" in done.err
    assert here("experiment", "study.yaml", "--dry-run").code == 2


@pytest.mark.slow
def test_a_script_that_changed_between_the_seeds_of_a_run_is_said(study, here):
    assert "the script has changed" not in here("experiment", "study.yaml").out
    (study / "train.py").write_text(SCRIPT.replace("0.9 +", "0.8 +"))
    done = here("experiment", "study.yaml", "--seeds", "0:4")
    assert done.code == 0, done.err
    assert "the script has changed between the seeds of A high rate: 0-2; 3" in done.out
    assert "between A high rate and low" not in done.out


def test_a_dry_run_says_what_will_be_judged_and_that_seeds_are_too_few(study, here):
    done = here("experiment", "study.yaml", "--dry-run")
    assert "judged: accuracy (higher is better)" in done.out
    assert "warning: with 3 seeds, nothing is judged: at least 8 are needed" in done.err
    assert "warning" not in here("experiment", "study.yaml", "--dry-run", "--seeds", "0:8").err
