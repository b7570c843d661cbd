"""Experiments under a real Slurm: two nodes on this machine, which are started for these tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_here import MEGABYTES, NODES, SlurmHere, slurm_here

from curriculum.store.checkpoint import steps_in
from curriculum.store.names import METRICS, MODEL, TRACES
from curriculum.store.reader import Run

pytestmark = pytest.mark.cluster

ARMS = ("smooth", "stepped")
SHORT = ("--seeds", "0:8", "--steps", "300")
LONG = ("--seeds", "0:4", "--steps", "1000", "--set", "record.checkpoint_every=50")
LONGEST = ("--steps", "10000", "--set", "record.checkpoint_every=50")  # for tests that do not wait for its end
PATIENCE = 120.0  # seconds that anything may take


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmHere]:
    with slurm_here() as found:
        yield found


@pytest.fixture
def place(slurm, tmp_path, monkeypatch) -> Iterator[Path]:
    """Work in a new folder with a launcher's settings, `pairs.yaml`: blocks of two seeds. The queue is empty before and after."""
    for name in [name for name in os.environ if name.startswith("CURRICULUM_")]:
        monkeypatch.delenv(name)
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "a folder of 100%s"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "pairs.yaml").write_text("block: 2\n")
    yield folder
    slurm.call("scancel", "--me")
    wait_until(lambda: not queue(slurm))


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    """Train inline in blocks of two seeds, once for each length, and give what is stored."""
    found = {}

    def train(options):
        if options not in found:
            folder = tmp_path_factory.mktemp("inline")
            (folder / "pairs.yaml").write_text("block: 2\n")
            done = subprocess.run(command(options, "inline"), cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            found[options] = results(folder)
        return found[options]

    return train


def command(options, launcher="slurm", config="pairs.yaml"):
    start = [sys.executable, "-m", "curriculum", "experiment", "smooth-vs-stepped", *options]
    return [*start, "--launcher", launcher, "--launcher-config", config]


def train(options, *more):
    return subprocess.run([*command(options), *more], capture_output=True, text=True, timeout=PATIENCE, check=False)


def begin(options, log, config="pairs.yaml") -> subprocess.Popen:
    with Path(log).open("wb") as output:
        return subprocess.Popen(command(options, config=config), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)


def begin_again(options, log, times) -> subprocess.Popen:
    """Start the command for the second time, or the third, and wait until it has looked for what it finds in the queue."""
    driver = begin(options, log)
    token = Path("runs/smooth-vs-stepped/launch/token")
    wait_until(lambda: len(token.read_text().split()) == times, driver)
    time.sleep(3)
    return driver


def results(folder="."):
    study = Path(folder) / "runs" / "smooth-vs-stepped"
    return {f"{arm}/{name}": (study / arm / name).read_bytes() for arm in ARMS for name in (METRICS, MODEL, TRACES)}


def log_of(block):
    return Path("runs/smooth-vs-stepped/launch", f"{block}.log")


def step_of(block):
    """Say how far a block is: the last checkpoint of both arms."""
    return min(max(steps_in(Path("runs/smooth-vs-stepped", arm, "blocks", block)), default=0) for arm in ARMS)


def wait_until(ready, process=None):
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until, "it takes too long"
        assert process is None or process.poll() is None, "it ended too early"
        time.sleep(0.05)


def queue(slurm, *options) -> list[list[str]]:
    """List the jobs in the queue: number, state and name."""
    return [line.split() for line in slurm.call("squeue", "--me", "--noheader", "--format=%i %T %j", *options).splitlines()]


def jobs_ever(slurm) -> list[str]:
    return sorted(number for number, _, _ in queue(slurm, "--states=all"))


def job_of(slurm, block) -> str:
    return next(number for number, state, name in queue(slurm) if name == f"curriculum-{block}" and state == "RUNNING")


def kill_steps(slurm, number) -> None:
    """Kill what runs a job, and the job, as the loss of a node does; then let the node report what it still has."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, own = (folder / "cmdline").read_bytes().decode(), (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"[{number}.batch]" in line or (f"SLURM_JOB_ID={number}".encode() in own and str(slurm.folder).encode() in b"".join(own)):
            os.kill(int(folder.name), signal.SIGKILL)
    until = time.monotonic() + PATIENCE
    while number in [found for found, _, _ in queue(slurm)] and time.monotonic() < until:
        time.sleep(3)
        slurm.call("scontrol", "reconfigure")


INTERRUPTIONS = {
    "warned": lambda slurm, number: slurm.call("scancel", "--batch", "--signal=TERM", number),
    "cancelled": lambda slurm, number: slurm.call("scancel", number),
    "lost": kill_steps,
}


def test_slurm_gives_the_bytes_that_one_process_gives(slurm, place, inline):
    done = train(SHORT)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 blocks finished" in done.stderr
    assert results() == inline(SHORT)
    before = jobs_ever(slurm)
    assert train(SHORT).returncode == 0
    assert jobs_ever(slurm) == before


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_job_that_is_interrupted_goes_on_from_its_checkpoint_and_loses_nothing(slurm, place, inline, how):
    driver = begin(LONG, "driver.log")
    wait_until(lambda: step_of("0-1") >= 100, driver)
    INTERRUPTIONS[how](slurm, job_of(slurm, "0-1"))
    assert driver.wait(PATIENCE) == 0, Path("driver.log").read_text()
    assert "1 sent again" in Path("driver.log").read_text()
    assert "resuming" in log_of("0-1").read_text()
    assert results() == inline(LONG)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("partition: nosuch\n", "invalid partition"),
        ("cores: 64\n", "configuration is not available"),
        (f"memory: {MEGABYTES * 2}M\n", "configuration is not available"),
        ("gpus: 1\n", "generic resource"),
        ("options: [--nosuch]\n", "unrecognized option '--nosuch'"),
    ],
)
def test_what_slurm_does_not_have_is_refused_in_its_own_words(slurm, place, settings, said):
    (place / "pairs.yaml").write_text(f"block: 2\n{settings}")
    done = train(SHORT)
    assert done.returncode == 2
    assert "Slurm does not take such jobs: " in done.stderr
    assert said in done.stderr
    assert not (place / "runs").exists()
    assert not queue(slurm)


@pytest.mark.parametrize(
    "settings", ["environment: {PYTHONPROFILEIMPORTTIME: '1'}\n", "setup: [echo the setup, export PYTHONPROFILEIMPORTTIME=1]\n"]
)
def test_the_environment_and_the_lines_of_setup_reach_a_block(slurm, place, settings):
    (place / "pairs.yaml").write_text(f"block: 2\n{settings}")
    done = train(("--seeds", "0:2", "--steps", "30"))
    assert done.returncode == 0, done.stderr
    log = log_of("0-1").read_text()
    assert "import time:" in log
    assert ("the setup" in log) == ("setup" in settings)


def test_an_experiment_that_is_told_to_end_ends_its_jobs_after_their_checkpoints(slurm, place):
    (place / "pairs.yaml").write_text("block: 2\ncores: 2\n")
    driver = begin(("--seeds", "0:8", *LONGEST), "driver.log")
    wait_until(lambda: step_of("0-1") >= 100 and step_of("2-3") >= 100, driver)
    assert sorted(state for _, state, _ in queue(slurm)) == ["PENDING", "PENDING", "RUNNING", "RUNNING"]
    driver.terminate()
    assert driver.wait(PATIENCE) == 143, Path("driver.log").read_text()
    assert "every block has stored a checkpoint" in Path("driver.log").read_text()
    assert not queue(slurm)
    for arm in ARMS:
        assert Run(Path("runs/smooth-vs-stepped", arm, "blocks", "0-1")).status == "interrupted"


def test_jobs_of_a_driver_that_was_killed_are_found_in_the_queue(slurm, place, inline):
    (place / "pairs.yaml").write_text("block: 2\noptions: [--hold]\n")
    first = begin(LONG, "first.log")
    wait_until(lambda: len(queue(slurm)) == 2, first)
    first.kill()
    first.wait()
    before, ever = queue(slurm), jobs_ever(slurm)
    second = begin_again(LONG, "second.log", 2)
    assert queue(slurm) == before
    slurm.call("scontrol", "release", *[number for number, _, _ in before])
    wait_until(lambda: step_of("0-1") >= 100, second)
    second.kill()
    second.wait()
    third = begin_again(LONG, "third.log", 3)
    assert third.wait(PATIENCE) == 0, Path("third.log").read_text()
    assert jobs_ever(slurm) == ever
    assert results() == inline(LONG)


def test_a_driver_that_is_started_again_can_end_the_jobs_of_the_one_before(slurm, place):
    options = ("--seeds", "0:4", *LONGEST)
    first = begin(options, "first.log")
    wait_until(lambda: step_of("0-1") >= 50, first)
    first.kill()
    first.wait()
    second = begin_again(options, "second.log", 2)
    second.terminate()
    assert second.wait(PATIENCE) == 143, Path("second.log").read_text()
    assert not queue(slurm)
    for arm in ARMS:
        assert Run(Path("runs/smooth-vs-stepped", arm, "blocks", "0-1")).status == "interrupted"


def test_what_slurm_does_not_take_for_the_moment_is_submitted_later(slurm, place, inline):
    (place / "pairs.yaml").write_text("block: 2\nworkers: 1\n")
    driver = begin(LONG, "driver.log")
    wait_until(lambda: step_of("0-1") >= 100, driver)
    slurm.call("scontrol", "update", "PartitionName=main", "State=DRAIN")
    try:
        wait_until(lambda: not queue(slurm), driver)
        time.sleep(6)
        assert driver.poll() is None
        assert not queue(slurm)
    finally:
        slurm.call("scontrol", "update", "PartitionName=main", "State=UP")
    assert driver.wait(PATIENCE) == 0, Path("driver.log").read_text()
    assert results() == inline(LONG)


def test_a_folder_that_a_node_does_not_share_is_named(slurm, place):
    if slurm.unshared is None:
        pytest.skip("a node with another folder needs rights that are missing here")
    (place / "pairs.yaml").write_text(f"block: 2\noptions: [--nodelist={NODES[-1]}]\n")
    done = train(SHORT, "--runs", str(slurm.unshared / "runs"))
    assert done.returncode == 2
    assert "4 of 4 blocks were not trained" in done.stderr
    where = slurm.unshared / "runs" / "smooth-vs-stepped" / "launch"
    assert f"the node {NODES[-1]} cannot write in {where}: name a folder that all nodes share with --runs" in done.stderr
