"""Runs that version 0.1 stored open, compare and resume as they did then."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from curriculum.measure.comparison import compare
from curriculum.store import merging
from curriculum.store.reader import Run
from curriculum.store.verify import verify_run

OLD = Path(__file__).parent / "data" / "version-0.1"


@pytest.mark.parametrize("name", ["a", "b", "cut"])
def test_an_old_run_is_what_was_stored(name):
    assert verify_run(Run(OLD / name)).problems == ()


def test_old_runs_compare_as_before():
    before = json.loads((OLD / "compare.json").read_text())
    found = compare([Run(OLD / "a"), Run(OLD / "b")]).to_json()
    assert {own["id"] for own in found["measures"]} == {own["id"] for own in before["measures"]}
    for kind in ("final", "measures"):
        for own, old in zip(found[kind], before[kind], strict=True):
            assert own["title"] == old["title"]
            for values, before_values in zip(own["values"], old["values"].values(), strict=True):
                assert values == (before_values if None in before_values else pytest.approx(before_values, rel=1e-9))


def test_old_runs_are_drawn_with_their_circle():
    assert Run(OLD / "a").look.circles == [1.0]


def test_a_setting_that_an_old_run_does_not_have_counts_as_its_default():
    old = Run(OLD / "a")

    def with_setting(line):
        same = {"config_path": old.config_path, "sheet_bytes": old.sheet_bytes, "events": old.events, "manifest": old.manifest}
        return SimpleNamespace(config_text=f"{old.config_text}\n{line}\n", tracked=False, **same)

    assert "stack_memory" not in old.config_text
    assert merging.differences(old, with_setting("stack_memory: 64M\ncompile: auto")) == []
    assert merging.differences(old, with_setting("stack_memory: 1G")) == ["stack_memory: 1G and 64M"]


def test_an_old_interrupted_run_is_resumed(here, empty):
    (empty / "runs").mkdir()
    shutil.copytree(OLD / "cut", "runs/cut")
    resumed = here("train", "--resume", "cut")
    assert resumed.code == 0, resumed.err
    assert "from step 50" in resumed.err
    found, whole = Run(Path("runs/cut")), Run(OLD / "a")
    assert found.status == "finished"
    # The same bits only on the machine that trained the other one; everywhere else nearly.
    for name, values in whole.model.items():
        np.testing.assert_allclose(found.model[name], values, rtol=1e-2, atol=1e-3)


def test_of_an_old_run_when_checkpoints_are_stored_may_change(here, empty):
    """Its hash of the config, which it calls its recipe, includes these settings."""
    (empty / "runs").mkdir()
    shutil.copytree(OLD / "cut", "runs/cut")
    refused = here("train", "--resume", "cut", "--set", "record.checkpoint_every=9", "--set", "record.snapshot_every=3")
    assert refused.code == 2
    assert "record.snapshot_every = 3, was 40" in refused.err
    assert "checkpoint_every" not in refused.err
    resumed = here("train", "--resume", "cut", "--set", "record.checkpoint_every=9", "--set", "record.checkpoint_seconds=3")
    assert resumed.code == 0, resumed.err
    assert Run(Path("runs/cut")).status == "finished"


def test_a_piece_of_an_old_run_is_trained_again(here, empty):
    (empty / "runs").mkdir()
    shutil.copytree(OLD / "a", "runs/a")
    replayed = here("verify", "a", "--replay", "30")
    # Another processor may differ in the last bits, and says so; nothing else may go wrong.
    assert replayed.code == 0 or (replayed.code == 3 and "when retrained" in replayed.err), replayed.err
