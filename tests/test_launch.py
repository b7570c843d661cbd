"""Experiments that are cut into blocks: the loop that schedules them, processes of this machine, and what a person sees of them."""

import json
import os
import random
import signal
import subprocess
import time
import tracemalloc
from collections import Counter, deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import COMMAND
from curriculum.config.launching import LauncherSettings
from curriculum.errors import InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.local import Local
from curriculum.launch.schedule import Blocks, run_jobs
from curriculum.launch.shared_folder import LENGTH, TOKEN, check_token, lay_token
from curriculum.runner.cutting import cut_seeds
from curriculum.store.experiment import read_experiment
from curriculum.store.names import METRICS, MODEL, TRACES
from curriculum.store.reader import Run
from curriculum.store.verify import verify_run

SHEET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,{0},1\n{1},,{0},1\n"
FILE = "config: color\nseeds: 0:4\narms: {slow: slow.csv, fast: fast.csv}\n"
ARMS = ("slow", "fast")


@pytest.fixture
def study(empty: Path) -> Path:
    """Work in a new folder with an experiment of two short arms, `study.yaml`, and `pairs.yaml`, a launcher with blocks of two seeds."""
    (empty / "slow.csv").write_text(SHEET.format(0.001, 60))
    (empty / "fast.csv").write_text(SHEET.format(0.01, 60))
    (empty / "study.yaml").write_text(FILE)
    (empty / "pairs.yaml").write_text("block: 2\nworkers: 2\n")
    (empty / "one.yaml").write_text("block: 2\n")
    return empty


def results(runs: str, arms=ARMS) -> dict:
    return {f"{arm}/{name}": (Path(runs) / "study" / arm / name).read_bytes() for arm in arms for name in (METRICS, MODEL, TRACES)}


class Simulated:
    """A launcher that runs nothing: each job ends at once, as `fate` says."""

    def __init__(self, slots, fate):
        self.slots, self.fate = slots, fate
        self.started, self.waiting, self.most = Counter(), deque(), 0

    lasting = True

    def adopt(self, job):
        return False

    def start(self, job):
        self.started[job.name] += 1
        self.waiting.append(job)
        self.most = max(self.most, len(self.waiting))

    def ended(self):
        found = [Ended(job.name, self.fate(job)) for job in self.waiting]
        self.waiting.clear()
        return found

    def stop(self): ...

    def close(self): ...


def job(name) -> Job:
    return Job(str(name), ("true",), Path("no-log"), {})


def simulate(count, slots, codes, retries=3, steps=lambda job: 0):
    """Run jobs whose exit codes are listed by name; a job without any more ends well."""
    left, done = {name: deque(own) for name, own in codes.items()}, set()

    def fate(job):
        code = left[job.name].popleft() if left.get(job.name) else 0
        if code == 0:
            done.add(job.name)
        return code

    launcher = Simulated(slots, fate)
    blocks = Blocks(lambda job: job.name in done, lambda job: False, steps)
    return run_jobs([job(name) for name in range(count)], launcher, blocks, retries, sleep=lambda seconds: None), launcher


@given(
    st.integers(1, 30),
    st.integers(1, 5),
    st.dictionaries(st.integers(0, 29).map(str), st.lists(st.sampled_from([1, 137, 143, -9, None]), max_size=6)),
    st.integers(0, 3),
)
def test_every_block_ends_well_or_is_given_up_after_so_many_retries(count, slots, codes, retries):
    standing, launcher = simulate(count, slots, codes, retries)
    failing = {name for name, own in codes.items() if len(own) > retries and int(name) < count}
    assert {failure.job.name for failure in standing.failures} == failing
    assert standing.finished == count - len(failing)
    assert launcher.most <= slots
    for name in range(count):
        assert launcher.started[str(name)] == min(len(codes.get(str(name), ())), retries) + 1


def test_invalid_input_is_never_sent_again_and_starts_no_others_before_one_has_ended_well():
    standing, launcher = simulate(10, 2, {"0": [2], "1": [2]})
    assert [failure.code for failure in standing.failures] == [2, 2]
    assert sum(launcher.started.values()) == 2
    standing, launcher = simulate(10, 1, {"3": [2]})
    assert standing.finished == 9
    assert launcher.started["3"] == 1


def test_a_block_that_gets_further_each_time_is_sent_again_without_end():
    step = iter(range(1000))
    standing, launcher = simulate(1, 1, {"0": [143] * 40}, retries=1, steps=lambda job: next(step))
    assert (standing.finished, launcher.started["0"]) == (1, 41)


def test_a_block_that_another_command_trains_is_waited_for_and_not_started_twice(monkeypatch):
    monkeypatch.setattr("curriculum.launch.schedule.APART", 0.0)
    busy = iter([True, True, True, False])
    done = set()
    launcher = Simulated(2, lambda job: done.add(job.name) or 0)
    blocks = Blocks(lambda job: job.name in done, lambda job: job.name == "0" and next(busy, False), lambda job: 0)
    seen = []
    standing = run_jobs([job(0), job(1)], launcher, blocks, watch=lambda now: seen.append(len(now.elsewhere)), sleep=lambda seconds: None)
    assert standing.finished == 2
    assert seen[:2] == [1, 1]
    assert launcher.started == {"0": 1, "1": 1}


def test_ten_thousand_blocks_take_little_memory():
    tracemalloc.start()
    try:
        standing, _ = simulate(10_000, 100, {str(name): [1] for name in range(0, 10_000, 10)})
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert standing.finished == 10_000


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 9), st.sets(st.integers(61, 90)), st.integers(1, 9))
def test_a_cut_keeps_what_is_stored_and_covers_every_new_seed_once(first, size, more, other):
    cut = cut_seeds(sorted(first), [], sorted(first), size)
    grown = cut_seeds(sorted(first | more), cut, sorted(first | more), other)
    assert grown[: len(cut)] == cut
    assert sorted(seed for block in grown for seed in block) == sorted(first | more)
    assert max(map(len, cut)) <= size
    if len(first) > 1:
        with pytest.raises(InputError, match="are not among those asked for"):
            cut_seeds(sorted(first)[1:], cut, [], size)


def test_any_launcher_and_any_number_of_workers_gives_the_same_bytes(study, here):
    for runs, options in (
        ("inline", ["--launcher", "inline", "--launcher-config", "one.yaml"]),
        ("two", ["--launcher", "local", "--launcher-config", "pairs.yaml"]),
    ):
        done = here("experiment", "study.yaml", "--runs", runs, *options)
        assert done.code == 0, done.err
        assert read_experiment(Path(runs, "study")).blocks == [[0, 1], [2, 3]]
    assert results("inline") == results("two")
    for arm in ARMS:
        run = Run(Path("two/study", arm))
        assert (run.status, run.seeds, run.open_blocks) == ("finished", (0, 1, 2, 3), ())
        assert verify_run(run).problems == ()
    assert "finished" in (Path("two/study/launch/0-1.log")).read_text()


@pytest.mark.slow
def test_a_block_by_hand_is_what_a_launcher_would_train(study, here):
    assert here("experiment", "study.yaml", "--block", "2:4").code == 0
    assert not Path("runs/study/experiment.json").exists()
    assert Run(Path("runs/study/slow/blocks/2-3")).status == "finished"
    done = here("experiment", "study.yaml", "--launcher", "local", "--launcher-config", "pairs.yaml")
    assert done.code == 0, done.err
    assert "1 of 1 blocks finished" in done.err
    here("experiment", "study.yaml", "--runs", "inline", "--launcher", "inline", "--launcher-config", "one.yaml")
    assert results("runs") == results("inline")


@pytest.mark.slow
def test_more_seeds_are_new_blocks_and_fewer_are_an_error(study, here):
    assert here("experiment", "study.yaml", "--launcher-config", "pairs.yaml", "--launcher", "local").code == 0
    before = results("runs")
    fewer = here("experiment", "study.yaml", "--seeds", "0:3")
    assert fewer.code == 2
    assert "cut into blocks with the seeds 0-3, but 3 are not among those asked for (0-2)" in fewer.err
    assert results("runs") == before
    more = here("experiment", "study.yaml", "--seeds", "0:7", "--workers", "2", "--json")
    assert more.code == 0, more.err
    assert read_experiment(Path("runs/study")).blocks == [[0, 1], [2, 3], [4, 5], [6]]
    assert "launcher: local, as before" in here("experiment", "study.yaml", "--seeds", "0:7").err


@pytest.mark.slow
def test_a_run_that_was_trained_without_blocks_grows_by_blocks(study, here):
    assert here("experiment", "study.yaml", "--seeds", "0:2").code == 0
    assert here("experiment", "study.yaml", "--seeds", "0:6", "--workers", "2").code == 0
    assert read_experiment(Path("runs/study")).blocks == [[2, 3], [4, 5]]
    assert [Run(Path("runs/study", arm)).seeds for arm in ARMS] == [tuple(range(6))] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--launcher", "slrum"], "unknown launcher 'slrum', did you mean 'slurm'? (allowed: inline, local, ray, slurm)"),
        (["--launcher-config", "wrong.yaml"], "wrong.yaml:2:1: unknown setting 'wokers', did you mean 'workers'?"),
        (
            ["--launcher-config", "memory.yaml"],
            "memory.yaml:1:1: memory cannot be '8 GB': write an amount of memory",
        ),
        (["--launcher-config", "part.yaml"], "partition is a setting of the launcher slurm, not of local"),
        (["--launcher-config", "gpus.yaml"], "1 worker(s) with 64 GPU(s) each need 64, but this machine has"),
        (["--launcher-config", "none.yaml"], "there is no config 'none.yaml'"),
        (["--detach"], "--detach needs a launcher: add --launcher local, for example"),
        (["--block", "0:2", "--workers", "2"], "--block names the seeds itself and trains them here"),
        (["--block", "x"], "cannot read the seeds 'x'"),
        (["--until-decided", "--workers", "2"], "--until-decided cannot be combined with a launcher"),
        (["--workers", "2", "--set", "launcher.block=0"], "launcher.block cannot be 0"),
    ],
)
def test_mistakes_are_sentences_and_write_nothing(study, here, options, said):
    (study / "wrong.yaml").write_text("name: local\nwokers: 2\n")
    (study / "memory.yaml").write_text("memory: 8 GB\n")
    (study / "part.yaml").write_text("name: local\npartition: big\n")
    (study / "gpus.yaml").write_text("name: local\ngpus: 64\nworkers: 1\n")
    done = here("experiment", "study.yaml", *options)
    assert done.code == 2, done.err
    assert said in done.err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_an_experiment_can_say_how_it_is_launched(study, here):
    (study / "study.yaml").write_text(f"{FILE}launcher: {{name: local, workers: 2, environment: {{CURRICULUM_MARK: seen}}}}\n")
    plan = here("experiment", "study.yaml", "--plan", "--json")
    assert plan.code == 0, plan.err
    found = json.loads(plan.out)
    assert (found["launcher"], found["workers"]) == ("local", 2)
    assert [block["seeds"] for block in found["blocks"]] == [[0, 1], [2, 3]]
    assert all(block["seconds"] > 0 and block["megabytes"] > 50 for block in found["blocks"])
    assert not Path("runs").exists()
    assert here("experiment", "study.yaml").code == 0
    assert read_experiment(Path("runs/study")).launcher["workers"] == 2


@pytest.mark.slow
def test_blocks_are_cut_to_fit_the_memory_and_the_time_of_a_worker(study, here):
    (study / "small.yaml").write_text("name: local\nworkers: 1\nmemory: 60M\n")
    plan = here("experiment", "study.yaml", "--launcher-config", "small.yaml", "--plan", "--json")
    assert plan.code == 0, plan.err
    assert [block["seeds"] for block in json.loads(plan.out)["blocks"]] == [[0], [1], [2], [3]]


@pytest.mark.slow
def test_a_block_that_fails_is_named_with_the_end_of_its_log_and_the_others_finish(study, here):
    (study / "hooks.py").write_text("def fail(event):\n    if 2 in event.seeds:\n        raise RuntimeError('no luck')\n")
    (study / "study.yaml").write_text(FILE.replace("config: color\n", "config: mine.yaml\n"))
    (study / "mine.yaml").write_text("task: {name: color}\nhooks: [{on: chunk, call: 'hooks.py:fail'}]\n")
    (study / "pairs.yaml").write_text("name: local\nblock: 2\nworkers: 2\nretries: 1\n")
    done = here("experiment", "study.yaml", "--launcher-config", "pairs.yaml")
    assert done.code == 1, done.err
    assert "1 of 2 blocks were not trained; run the same command again to retry" in done.err
    assert "block 2-3: it failed with the exit code 1 2 times in a row; its log is" in done.err
    assert "no luck" in done.err
    assert [Run(Path("runs/study", arm)).seeds for arm in ARMS] == [(0, 1)] * 2


@pytest.mark.slow
def test_workers_that_are_killed_are_sent_again_and_lose_nothing(study, here):
    for name in ARMS:
        (study / f"{name}.csv").write_text(SHEET.format(0.001, 3000))
    options = ["--set", "record.checkpoint_every=100", "--launcher-config"]
    assert here("experiment", "study.yaml", "--runs", "inline", *options, "one.yaml", "--launcher", "inline").code == 0
    driver = subprocess.Popen(
        [COMMAND, "experiment", "study.yaml", *options, "pairs.yaml", "--launcher", "local"], stderr=subprocess.PIPE, text=True
    )
    rng, killed = random.Random(0), 0
    until = time.monotonic() + 60
    while driver.poll() is None and killed < 3 and time.monotonic() < until:
        time.sleep(0.2)
        if workers := [pid for pid in workers_of(driver.pid) if checkpoints("runs")]:
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
            time.sleep(1)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err
    assert killed == 3
    assert "sent again" in err
    assert results("runs") == results("inline")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_an_experiment_whose_command_is_stopped_goes_on_with_the_same_command(study, here, number):
    for name in ARMS:
        (study / f"{name}.csv").write_text(SHEET.format(0.001, 5000))
    options = ["--set", "record.checkpoint_every=100", "--launcher-config"]
    assert here("experiment", "study.yaml", "--runs", "inline", *options, "one.yaml", "--launcher", "inline").code == 0
    command = [COMMAND, "experiment", "study.yaml", *options, "pairs.yaml", "--launcher", "local"]
    driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while len({path.parent.name for path in checkpoints("runs")}) < 2:
        time.sleep(0.1)
    listed = here("runs")
    assert "note: study: 0 of 2 blocks finished, 2 running" in listed.err
    driver.send_signal(number)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == {signal.SIGTERM: 143, signal.SIGKILL: -9, signal.SIGINT: 130}[number]
    if number != signal.SIGKILL:
        assert "interrupted; every block has stored a checkpoint in runs/study; run the same command again to go on" in err
        assert "note: study: 0 of 2 blocks finished, 2 stopped" in here("runs").err
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert results("runs") == results("inline")


@pytest.mark.slow
def test_a_detached_experiment_goes_on_in_the_background(study, process, here):
    begun = process("experiment", "study.yaml", "--workers", "2", "--detach")
    assert begun.code == 0, begun.err
    assert "goes on in the background as process" in begun.out
    log, until = Path("runs/study/launch/driver.log"), time.monotonic() + 60
    while time.monotonic() < until and "figures and compare.json" not in log.read_text():
        time.sleep(0.2)
    assert [Run(Path("runs/study", arm)).status for arm in ARMS] == ["finished"] * 2


def test_a_folder_that_workers_do_not_share_is_refused(study, here, monkeypatch):
    (study / "launch").mkdir()
    told = lay_token(study / "launch")
    check_token(told)
    monkeypatch.setenv(TOKEN, "0" * LENGTH + told[TOKEN][LENGTH:])
    done = here("experiment", "study.yaml", "--block", "0:2")
    assert done.code == 2
    assert "is not shared: the worker on" in done.err
    assert not Path("runs").exists()


def test_processes_share_the_gpus_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    launcher = Local(LauncherSettings(name="local", gpus=2, cores=1, workers=2), 1)
    for name in "ab":
        launcher.start(Job(name, ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS"), tmp_path / name, {}))
    codes = []
    while len(codes) < 2:
        codes += [ended.code for ended in launcher.ended()]
    assert codes == [0, 0]
    assert sorted((tmp_path / name).read_text() for name in "ab") == ["4,5 1\n", "6,7 1\n"]
    with pytest.raises(InputError, match=r"3 worker\(s\) with 2 GPU\(s\) each need 6, but this machine has 4"):
        Local(LauncherSettings(name="local", gpus=2, workers=3), 1)


def checkpoints(runs: str) -> list[Path]:
    return list(Path(runs).glob("study/*/blocks/*/checkpoint-*.json"))


def workers_of(pid: int) -> list[int]:
    """List the processes that a process has started."""
    return [int(own) for own in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] if Path(f"/proc/{pid}").exists() else []
