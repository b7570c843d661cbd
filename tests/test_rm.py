"""Remove runs, experiments, comparisons, videos and reports, and nothing else."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import COMMAND
from curriculum import track
from curriculum.store.lock import Lock
from curriculum.store.removing import HIDDEN

RUNS = Path("runs")


def size(path: Path) -> int:
    return sum(own.stat().st_size for own in path.rglob("*") if own.is_file())


@pytest.fixture
def arms(bench: Path) -> Path:
    """Work in a new folder with the experiment `study`, whose arms are `a` and `b`, besides the runs of these names."""
    shutil.copytree("runs", "study")
    shutil.move("study", "runs/study")
    (bench / "runs/study/experiment.json").write_text(json.dumps({"arms": {"a": {}, "b": {}}, "baseline": "a"}))
    return bench


def test_a_run_is_removed_and_the_space_is_told(bench, here, tree):
    before, freed = tree(RUNS / "b"), size(RUNS / "a")
    done = here("rm", "a", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == [{"kind": "run", "path": "runs/a", "freed": freed, "notes": []}]
    assert f"run runs/a: {freed / 1e6:.1f} MB" in done.err or f"run runs/a: {freed / 1e3:,.0f} kB" in done.err
    assert [path.name for path in RUNS.iterdir()] == ["b"]
    assert tree(RUNS / "b") == before
    again = here("rm", "a", "--yes")
    assert again.code == 2
    assert "there is no run, experiment, comparison, video or report 'a'" in again.err


def test_nothing_is_removed_without_being_asked_for(bench, here, tree):
    before = tree(RUNS)
    done = here("rm", "a", "b")
    assert done.code == 2
    assert "pass --yes" in done.err
    # A mistake in one name spares the others, and a beginning of a name is no name.
    (bench / "runs" / "smooth").mkdir()
    assert here("rm", "a", "c", "--yes").code == 2
    shutil.move("runs/a", "runs/alpha")
    begun = here("rm", "alph", "--yes")
    assert begun.code == 2
    assert "did you mean 'alpha'?" in begun.err
    shutil.move("runs/alpha", "runs/a")
    (bench / "runs" / "smooth").rmdir()
    assert tree(RUNS) == before


def interrupted(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C until a process ends: one that comes between the question and the reading of the answer is not heard by Python."""
    for _ in range(12):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=5)[0]
    process.kill()
    raise AssertionError("it does not end")


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, False), ("n\n", 1, True), ("\x04", 130, True), ("\x03", 130, True)])
def test_on_a_terminal_it_asks(bench, typed, code, left):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([COMMAND, "rm", "a"], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, start_new_session=True, text=True)
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 4096)
    if typed == "\x03":
        out = interrupted(process)
    else:
        os.write(ours, typed.encode())
        out, _ = process.communicate(timeout=60)
    with suppress(OSError):  # which a terminal raises when its other end is closed and everything is read
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert process.returncode == code
    assert Path("runs/a").exists() is left
    assert ("removed runs/a" in out) is not left
    assert (b"nothing was removed" in said) is left
    assert b"run runs/a: " in said


def test_a_run_that_is_being_trained_is_refused_and_so_are_all_others_then(bench, here, tree):
    before = tree(RUNS)
    lock = Lock(RUNS / "b")
    refused = here("rm", "a", "b", "--yes")
    lock.release()
    assert refused.code == 1
    assert "runs/b is being trained by another process" in refused.err
    assert tree(RUNS) == before
    (bench / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    with track("runs/mine", sheet="a.csv", seed=3, metrics={}) as run:
        for step, _ in run.steps():
            run.log(loss=1.0)
            if step == 5:
                training = here("rm", "mine", "--yes")
    assert training.code == 1
    assert "runs/mine is being trained" in training.err
    assert here("rm", "mine", "--yes").code == 0


def test_an_arm_an_experiment_and_what_refers_to_them(arms, here):
    assert here("compare", "study").code == 0
    done = here("rm", "study/a", "--yes")
    assert done.code == 0, done.err
    assert "note: runs/study/a: the comparison a-vs-b refers to it" in done.err
    assert "curriculum rm comparisons/a-vs-b" in done.err
    assert "it is an arm of the experiment study: `curriculum experiment` would train it again" in done.err
    assert sorted(path.name for path in Path("runs/study").iterdir()) == ["b", "experiment.json"]
    assert Path("runs/a").exists()
    assert here("show", "study/b").code == 0
    Path("runs/study/logs/b").mkdir(parents=True)
    Path("runs/study/logs/b/0.log").write_text("")
    launch = Path("runs/study/launch")
    launch.mkdir()
    for name in ("token", "0-7.log", "0-7.sh", "mine.txt"):
        (launch / name).write_text("")
    strange = here("rm", "study", "--yes")
    assert strange.code == 2
    assert "runs/study has files that do not belong to the experiment: launch/mine.txt" in strange.err
    (launch / "mine.txt").unlink()
    driver = Lock(launch)
    busy = here("rm", "study", "--yes")
    assert busy.code == 1
    assert "another command is running runs/study: wait until it has finished, or stop it" in busy.err
    assert here("rename", "study", "other").code == 1
    driver.release()
    both = here("rm", "study/b", "study", "a-vs-b", "--yes")
    assert both.code == 0, both.err
    assert both.out.splitlines()[:2] == ["removed runs/study", "removed runs/comparisons/a-vs-b"]
    assert "refers to it" not in both.err
    assert sorted(path.name for path in RUNS.iterdir()) == ["a", "b", "comparisons"]


@pytest.mark.slow
def test_arms_of_one_stack_are_told(empty, here):
    assert here("experiment", "smooth-vs-stepped", "--steps", "5", "--seeds", "0:2").code == 0
    done = here("rm", "smooth-vs-stepped/smooth", "--yes")
    assert "it was trained as one stack with runs/smooth-vs-stepped/stepped, which `verify --replay` cannot retrain without it" in done.err
    assert here("verify", "smooth-vs-stepped/stepped", "--replay", "2").code == 1


def test_a_report_is_removed_like_a_video(bench, here):
    assert here("report", "a", "b", "-o", "mine.html").code == 0
    written = Path(here("report", "a", "b").out.partition(": ")[0])
    freed = written.stat().st_size
    done = here("rm", "a-vs-b.html", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == [{"kind": "report", "path": "runs/reports/a-vs-b.html", "freed": freed, "notes": []}]
    assert not written.exists()
    written.with_name("notes.txt").write_text("mine")
    for kept in ("reports", "reports/notes.txt", "mine.html"):
        assert here("rm", kept, "--yes").code == 2, kept
    assert written.with_name("notes.txt").is_file()


def test_videos_are_removed_by_their_name_or_path(bench, here):
    Path("runs/videos").mkdir()
    for name in ("one.mp4", "two.gif", "notes.txt"):
        Path("runs/videos", name).write_text("12345")
    assert (
        here("rm", "one.mp4", "runs/videos/two.gif", "--yes").out
        == "removed runs/videos/one.mp4\nremoved runs/videos/two.gif\nfreed 10 bytes\n"
    )
    assert here("rm", "videos/notes.txt", "--yes").code == 2
    assert here("rm", "videos", "--yes").code == 2
    assert [path.name for path in Path("runs/videos").iterdir()] == ["notes.txt"]


def test_a_damaged_run_can_be_removed(bench, here):
    Path("runs/a/run.json").write_text("{")
    Path("runs/b/metrics.parquet").unlink()
    assert here("rm", "a", "b", "--yes").code == 0
    assert list(RUNS.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs", "is not a run, an experiment, a comparison, a video or a report"),
        (".", "is not a run"),
        ("/", "is not a run"),
        ("sheets", "is not a run"),
        ("file", "is not a run"),
        ("", "an empty name is not a run"),
        ("link", "runs/link is a symbolic link, and is not followed"),
        ("linked/a", "runs/linked is a symbolic link, and is not followed"),
        ("notes", "has files that do not belong to the run: figures/deep, notes.txt. Move them elsewhere first"),
        ("study", "has files that do not belong to the experiment: paper.tex"),
        ("comparisons/x", "has files that do not belong to the comparison: paper.tex"),
        ("inside", "has files that do not belong to the run: blocks/more, metrics-000001.parquet"),
    ],
)
def test_nothing_else_is_removed(arms, here, tree, name, said):
    Path("elsewhere/a").mkdir(parents=True)
    shutil.copytree("runs/a", "elsewhere/a", dirs_exist_ok=True)
    Path("runs/link").symlink_to(Path("elsewhere/a").resolve())
    Path("runs/linked").symlink_to(Path("elsewhere").resolve())
    # A sheet in a folder does not make it a run.
    Path("sheets").mkdir()
    Path("sheets/dopesheet.csv").write_text("mine")
    Path("file").write_text("mine")
    for copy in ("notes", "inside"):
        shutil.copytree("runs/a", f"runs/{copy}")
    Path("runs/notes/notes.txt").write_text("mine")
    Path("runs/notes/figures/deep").mkdir()
    Path("runs/inside/metrics-000001.parquet").symlink_to(Path("file").resolve())
    Path("runs/inside/blocks/more").mkdir(parents=True)
    Path("runs/study/paper.tex").write_text("mine")
    Path("runs/comparisons/x").mkdir(parents=True)
    for file in ("compare.json", "paper.tex"):
        Path("runs/comparisons/x", file).write_text("{}")
    before = tree(arms)
    refused = here("rm", "b", name, "--yes")
    assert refused.code == 2
    assert said in refused.err
    assert tree(arms) == before


def test_a_joined_block_is_refused_and_one_that_was_stopped_is_removed(bench, here):
    (bench / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    with track("runs/mine", sheet="a.csv", seed=0, metrics={}) as run:
        for _ in run.steps():
            run.log(loss=1.0)
    with pytest.raises(ZeroDivisionError), track("runs/mine", sheet="a.csv", seed=1, metrics={}) as run:
        raise ZeroDivisionError
    refused = here("rm", "runs/mine/blocks/0", "--yes")
    assert refused.code == 2
    assert "runs/mine/blocks/0 is a block of runs/mine, whose files have its seeds" in refused.err
    assert here("rm", "mine/blocks/1", "--yes").code == 0
    assert here("verify", "mine").code == 0


def test_a_removal_that_is_killed_leaves_nothing_that_looks_like_a_run(bench, here):
    code = """
import os, shutil, signal
shutil.rmtree = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from curriculum.store.removing import plan_removals, remove
from pathlib import Path
remove(plan_removals(["a"], Path("runs")))
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name.startswith(HIDDEN) for path in RUNS.iterdir()) == [False, True]
    assert [run["name"] for run in json.loads(here("runs", "--json").out)] == ["b"]
    assert here("rm", "b", "--yes").code == 0
    assert list(RUNS.iterdir()) == []
