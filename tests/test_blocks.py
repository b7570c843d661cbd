"""A run grows by seeds: blocks are trained apart and joined, and whoever reads the run notices nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import stored_classifier as stored_with
from curriculum.errors import InputError
from curriculum.store import joining
from curriculum.store.blocks import block_name, seeds_text
from curriculum.store.joining import join
from curriculum.store.reader import Run
from curriculum.store.verify import verify_run

SHEET = """STEP,PHASE,lr,loss-recon,data-hues,data-vibrancies
0,Primary & secondary,0.01,1,0,0
20,All hues,0.01,1,1,1
40,,0.001,,,
"""


def stored_classifier(path, **more):
    return stored_with(path, **{"snapshots": False, **more})


@pytest.fixture
def begun(empty: Path, here) -> Path:
    """Work in a new folder with the run `a`, which has the seeds 0 and 1."""
    (empty / "a.csv").write_text(SHEET)
    trained = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:2")
    assert trained.code == 0, trained.err
    return empty / "runs" / "a"


def test_missing_seeds_are_trained_as_a_block_and_the_run_has_them_all(begun, here):
    alone = Run(begun)
    before = {"losses": alone.metrics, "traces": alone.traces, "model": alone.model}
    grown = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:4")
    assert grown.code == 0, grown.err
    assert "training seeds 2-3 as the block 2-3" in grown.err
    assert "4 seeds in all" in grown.out
    run = Run(begun)
    assert run.seeds == (0, 1, 2, 3)
    assert [block["seeds"] for block in run.manifest["blocks"]] == [[0, 1], [2, 3]]
    for name, values in before["model"].items():
        np.testing.assert_array_equal(run.model[name][:2], values)
    for name, values in before["traces"].items():
        np.testing.assert_array_equal(run.traces[name] if name.endswith(".steps") else run.traces[name][:, :2], values)
    kept = run.metrics[run.metrics["seed"] < 2].reset_index(drop=True)
    assert kept.equals(before["losses"])
    # What the new block stored is what the same seeds have in a run of their own.
    other = here("train", "-d", "a.csv", "--name", "b", "--seeds", "2:4")
    assert other.code == 0
    np.testing.assert_array_equal(Run(begun.parent / "b").losses(1)[1]["total"], run.losses(3)[1]["total"])
    verified = here("verify", "a", "--replay", 15)
    assert verified.code == 0, verified.err
    assert "2 block(s) are intact" in verified.out
    assert "block 2-3: steps" in verified.out
    for command in (("show", "a"), ("runs",), ("compare", "a", "b"), ("animate", "a", "-o", "poster.png"), ("verify", "a")):
        done = here(*command)
        assert done.code == 0, (command, done.err)
    assert not (begun / joining.JOINED).exists()


@pytest.mark.parametrize("seeds", ["0:2", "1", None])
def test_a_finished_run_says_so_and_exits_with_0(begun, here, seeds, tree):
    before = tree(begun)
    again = here("train", "-d", "a.csv", "--name", "a", *(["--seeds", seeds] if seeds else []))
    assert again.code == 0, again.err
    assert again.out == "runs/a is already finished with 2 seed(s): there is nothing to train\n"
    assert tree(begun) == before


def test_other_inputs_are_refused_and_named(begun, here, tree):
    before = tree(begun)
    for change, named in ((("--steps", "30"), "steps = 30, was 41"), (("--set", "task.hidden=8"), "task.hidden = 8, was 16")):
        refused = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:4", *change)
        assert refused.code == 1
        assert named in refused.err
        assert "Choose another --name" in refused.err
    refused = here("train", "-d", "a.csv", "--name", "a", "--seeds", str(2**32 + 1))
    assert refused.code == 2
    assert "equal modulo 2^32" in refused.err
    assert tree(begun) == before


def test_a_shard_from_another_machine_joins(begun, here):
    elsewhere = here("train", "-d", "a.csv", "--name", "a", "--seeds", "2:5", "--runs", "other")
    assert elsewhere.code == 0
    (begun / "blocks").mkdir()
    shutil.copytree("other/a", begun / "blocks" / "second")
    listed = here("runs")
    assert "3 of 5 seeds have finished, but are not joined (seed 2-4): curriculum join runs/a" in listed.err
    assert Run(begun).seeds == (0, 1)
    joined = here("join", "a")
    assert joined.code == 0, joined.err
    assert "joined the seeds 2-4; 5 seed(s) in all" in joined.out
    assert Run(begun).seeds == (0, 1, 2, 3, 4)
    assert here("join", "a").out == "runs/a: nothing to join; 5 seed(s) in all\n"
    again = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:5")
    assert again.code == 0
    assert "nothing to train" in again.out


def test_blocks_of_other_inputs_or_the_same_seeds_are_refused(tmp_path, tree):
    accuracy = np.linspace(0.9, 0.95, 3)
    run = stored_classifier(tmp_path / "run", accuracy=accuracy)
    blocks = tmp_path / "run" / "blocks"
    blocks.mkdir()
    cases = {
        "seed 2 is in both": {"seeds": [2, 3, 4]},
        "equal modulo 2\\^32": {"seeds": [2**32, 3, 4]},
        r"the sheet \(first at line 2\)": {"seeds": [3, 4, 5], "sheet": "STEP,lr,loss,smoothing\n0,0.02,1,0\n399,0.001,,\n"},
        "the source of the task": {"seeds": [3, 4, 5], "task": {"name": "digits.py:Digits", "version": 1, "source": "other"}},
        "task version: 2 and 1": {"seeds": [3, 4, 5], "task": {"name": "digits.py:Digits", "version": 2, "source": "same"}},
    }
    for said, change in cases.items():
        stored_classifier(blocks / "other", accuracy=accuracy, **change)
        with pytest.raises(InputError, match=said):
            join(run.path)
        assert Run(run.path).seeds == (0, 1, 2)
        assert verify_run(Run(run.path)).problems == ()
        shutil.rmtree(blocks / "other")


def test_seeds_are_joined_in_their_order(tmp_path):
    accuracy = np.array([0.91, 0.93, 0.95])
    stored_classifier(tmp_path / "run", accuracy=accuracy, seeds=[4, 0, 9])
    stored_classifier(tmp_path / "run" / "blocks" / "more", accuracy=accuracy + 0.01, seeds=[5, 1, 7])
    assert join(tmp_path / "run").added == (1, 5, 7)
    run = Run(tmp_path / "run")
    assert run.seeds == (0, 1, 4, 5, 7, 9)
    final = run.traces["score.accuracy.test"][-1]
    np.testing.assert_allclose(final, [0.93, 0.94, 0.91, 0.92, 0.96, 0.95], atol=1e-6)
    rows = run.metrics
    assert rows["seed"].tolist()[:6] == [0, 1, 4, 5, 7, 9]
    assert verify_run(run).problems == ()


def test_a_block_that_diverged_early_ranks_worst_and_the_others_keep_their_curves(begun, here):
    grown = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:3")
    assert grown.code == 0
    block = begun / "blocks" / "2"
    run = Run(block)
    # The block as it would be had its seed diverged at step 25.
    early = begun.parent / "early"
    stop = here("train", "-d", "a.csv", "--name", "early", "--seeds", "7", "--steps", "25")
    assert stop.code == 0
    found = json.loads((early / "run.json").read_text())
    found |= {"steps": 41, "trained": 25, "status": "diverged", "diverged": {"7": "total at step 25, phase 'All hues'"}, "name": "7"}
    (early / "run.json").write_bytes(joining.to_json(found).encode())
    shutil.move(early, begun / "blocks" / "7")
    assert run.status == "finished"
    joined = here("join", "a")
    assert joined.code == 0, joined.err
    whole = Run(begun)
    assert whole.diverged == {7: "total at step 25, phase 'All hues'"}
    assert np.isnan(whole.traces["loss.hues"][30:, 3]).all()
    assert np.isfinite(whole.traces["loss.hues"][:, :3]).all()
    assert verify_run(whole).problems == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from curriculum.store import joining, files
count = int(sys.argv[2])
real = os.replace
def replace(*args):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args)
os.replace = replace
joining.join(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_process_killed_at_any_rename_leaves_the_old_run_or_the_new_one(tmp_path):
    accuracy = np.linspace(0.9, 0.95, 3)
    for name, seeds in (("run", [0, 1, 2]), ("run/blocks/3-5", [3, 4, 5])):
        stored_classifier(tmp_path / name, accuracy=accuracy, seeds=seeds)
    seen = set()
    for count in range(1, 40):
        copy = tmp_path / f"copy-{count}"
        shutil.copytree(tmp_path / "run", copy)
        done = subprocess.run([sys.executable, "-c", KILLED, str(copy), str(count)], check=False, env={**os.environ})
        run = Run(copy)
        assert run.seeds in ((0, 1, 2), (0, 1, 2, 3, 4, 5))
        assert len(run.metrics) == 400 * len(run.seeds)
        assert run.traces["score.accuracy.test"].shape == (400, len(run.seeds))
        assert run.model["weight"].shape == (len(run.seeds), 2)
        seen.add((run.seeds, done.returncode))
        join(copy)
        assert Run(copy).seeds == (0, 1, 2, 3, 4, 5)
        assert verify_run(Run(copy)).problems == ()
        assert not [path for path in copy.iterdir() if path.name.startswith(".")]
        if done.returncode == 0:
            break
    assert {(seeds, -signal.SIGKILL) for seeds in ((0, 1, 2), (0, 1, 2, 3, 4, 5))} < seen


def test_many_who_finish_at_once_lose_no_block(tmp_path):
    accuracy = np.array([0.9, 0.91])
    stored_classifier(tmp_path / "run", accuracy=accuracy, seeds=[0, 1])
    for first in range(2, 12, 2):
        stored_classifier(tmp_path / "run" / "blocks" / f"{first}-{first + 1}", accuracy=accuracy, seeds=[first, first + 1])
    code = "import sys; from pathlib import Path; from curriculum.store.joining import join; join(Path(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert Run(tmp_path / "run").seeds == tuple(range(12))
    assert verify_run(Run(tmp_path / "run")).problems == ()


def test_a_stopped_block_resumes_and_is_joined(begun, here):
    command = [sys.executable, "-c", "from curriculum.cli.app import main; main()", "train", "-d", "a.csv", "--name", "a"]
    extended = (begun.parent.parent / "a.csv").read_text()
    assert extended
    slow = [*command, "--seeds", "0:4", "--set", "record.checkpoint_every=5"]
    process = subprocess.Popen(slow, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    block = begun / "blocks" / "2-3"
    until = time.monotonic() + 60
    while not list(block.glob("checkpoint-*.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.wait()
    resumed = here("train", "-d", "a.csv", "--name", "a", "--seeds", "0:4", "--set", "record.checkpoint_every=5")
    assert resumed.code == 0, resumed.err
    assert Run(begun).seeds == (0, 1, 2, 3)
    assert verify_run(Run(begun)).problems == ()


def test_names_of_blocks_and_seeds():
    assert block_name([3]) == "3"
    assert block_name(range(8, 16)) == "8-15"
    assert block_name([0, 2]).startswith("0-2-")
    assert seeds_text([0, 1, 2, 7, 9, 10]) == "0-2, 7, 9-10"
