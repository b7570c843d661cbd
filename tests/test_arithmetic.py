"""Denormal numbers: flushed to zero in new runs, kept in those that were begun with them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from curriculum.runner import opening
from curriculum.runner.arithmetic import FLUSH, arithmetic, can_flush
from curriculum.runner.background import Background
from curriculum.store.reader import Run
from curriculum.store.writer import to_json

needs_flushing = pytest.mark.skipif(not can_flush(2), reason="needs a processor and an OpenMP that flush denormals on all threads")
MANY = 1_000_000  # numbers, which are shared out among threads

# The gradient of this loss is denormal, and moves the weights only where it is not flushed.
SHEET = "STEP,PHASE,lr,loss\n0,a,1e35,1\n30,,1e35,1\n"
TASK = """
from variants import Plain


class Tiny(Plain):
    def losses(self, model, batch):
        return {"loss": model[0].weight.sum() * 1e-39}
"""


def denormals() -> int:
    return int((torch.full((MANY,), 2e-38).mul_(0.5) != 0).sum())


@pytest.fixture(autouse=True)
def kept():
    """Keep denormal numbers at first: libraries that other tests import may flush them in the whole process."""
    with arithmetic(2, flush=False):
        yield


@needs_flushing
@pytest.mark.parametrize("threads", [1, 2])
def test_denormal_numbers_are_flushed_on_all_threads_and_only_inside(threads):
    assert denormals() == MANY  # the threads have begun now
    with arithmetic(threads, flush=True):
        assert denormals() == 0
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(denormals).result() == 0
        with arithmetic(threads, flush=False):
            assert denormals() == MANY
        assert denormals() == 0
    assert denormals() == MANY


@needs_flushing
@pytest.mark.parametrize("flush", [True, False])
def test_what_is_done_in_the_background_is_computed_alike(flush):
    found: list[int] = []
    with arithmetic(1, flush=not flush):
        background = Background(flush)
        background.submit(lambda: found.append(denormals()))
        background.wait()
        background.close()
    assert found == [0 if flush else MANY]


@needs_flushing
def test_a_run_says_how_it_was_trained_and_is_replayed_and_forked_so(tmp_path, here, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("own")))
    (tmp_path / "tiny.py").write_text(TASK)
    (tmp_path / "tiny.yaml").write_text(
        f"task: {{name: {tmp_path}/tiny.py:Tiny}}\noptimizer: {{name: sgd}}\nseeds: 0:2\nrecord: {{checkpoint_every: 10, snapshots: on}}\n"
    )
    (tmp_path / "a.csv").write_text(SHEET)
    where = ["--runs", tmp_path, "--config", tmp_path / "tiny.yaml", "--dopesheet", tmp_path / "a.csv"]

    def trained(*args):
        done = here("train", *args)
        assert done.code == 0, done.err

    def moved(name):
        weights = Run(tmp_path / name).snapshots.parameters["0.weight"]
        return not np.array_equal(weights[0], weights[-1])

    trained(*where, "--name", "new")
    with monkeypatch.context() as patched:
        patched.setattr(opening, "can_flush", lambda count: False)  # as every run was before
        trained(*where, "--name", "old")
    document = json.loads((tmp_path / "old" / "run.json").read_text())
    assert document.pop(FLUSH) is False
    (tmp_path / "old" / "run.json").write_text(to_json(document))  # which runs of before do not say
    assert (moved("new"), moved("old")) == (False, True)
    for name, flush in (("new", True), ("old", False)):
        assert Run(tmp_path / name).manifest.get(FLUSH, False) is flush
        trained(*where, "--fork", name, "--at", 15, "--name", f"{name}-forked")
        assert (moved(f"{name}-forked"), Run(tmp_path / f"{name}-forked").manifest[FLUSH]) == (not flush, flush)
        for own in (name, f"{name}-forked"):
            found = here("verify", "--runs", tmp_path, "--replay", 25, own)
            assert found.code == 0, found.err
