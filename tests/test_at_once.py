"""Models that are computed in groups, because all of them at once would take too much memory."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from curriculum.errors import ConfigError
from curriculum.runner.at_once import bytes_of_one
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run
from curriculum.train.footprint import peak_bytes
from curriculum.train.state import initial_state
from test_resume import stop_at

OWN = Path(__file__).with_name("own") / "variants.py"
SHEET = "STEP,lr,loss\n0,0.001,1\n24,,\n"


def config(tmp_path: Path, more: str = "", kind: str = "Million") -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(f"task: {{name: {OWN}:{kind}}}\nseeds: 0:5\nrecord: {{checkpoint_every: 10, snapshots: off}}\n{more}\n")
    return path


def taken(checked):
    state = initial_state(checked.task, [(checked.schedule, checked.seeds)], checked.config.optimizer)
    return bytes_of_one(checked, state)


def test_the_memory_of_a_function_is_what_its_tensors_take_at_a_time():
    def chain():
        value = torch.ones(1000)  # 4,000 bytes
        for _ in range(5):
            value = value + 1  # the one before is let go of, once the next one is there
        return value.view(10, 100).mul_(2)

    def kept():
        value = torch.ones(1000, requires_grad=True)
        return ((value.exp() * value).sin().sum(),)

    assert peak_bytes(chain) == 8000
    assert 16_000 <= peak_bytes(kept) <= 16_100  # each operation keeps what its gradient needs


def test_a_model_of_a_million_parameters_takes_more_than_its_gradient(tmp_path):
    found = taken(plan(config(tmp_path), parse(SHEET)))
    assert 4 * 1_000_000 < found < 40 * 1_000_000
    assert found == taken(plan(config(tmp_path), parse(SHEET)))


@pytest.mark.slow
def test_groups_give_the_numbers_of_all_at_once_and_are_resumed_and_replayed(tmp_path, here):
    sheet, runs = tmp_path / "a.csv", tmp_path / "runs"
    sheet.write_text(SHEET)
    two = f"{2 * taken(plan(config(tmp_path), sheet)) // 2**20 + 1}M"
    where = ["--runs", runs, "--config", config(tmp_path), "--dopesheet", sheet]
    groups = here("train", *where, "--name", "groups", "--set", f"stack_memory={two}")
    assert groups.code == 0, groups.err
    assert f"computing 2 of 5 models at a time: more would take over {two}" in groups.err
    whole = here("train", *where, "--name", "whole", "--set", "stack=on")
    assert "at a time" not in whole.err
    first, second = Run(runs / "groups"), Run(runs / "whole")
    assert first.manifest["at_once"] == 2
    assert "at_once" not in second.manifest
    np.testing.assert_allclose(first.metrics["total"], second.metrics["total"], rtol=1e-4)
    assert here("verify", "--runs", runs, "--replay", 20, "groups").code == 0
    stop_at(15, [plan(config(tmp_path), sheet, overrides=[f"stack_memory={two}"])], [runs / "cut"])
    resumed = here("train", "--runs", runs, "--resume", "cut")
    assert resumed.code == 0, resumed.err
    forked = here("train", *where, "--set", f"stack_memory={two}", "--fork", "groups", "--at", 15, "--name", "forked")
    assert forked.code == 0, forked.err
    for again in ("cut", "forked"):
        for name in ("metrics.parquet", "model.safetensors"):
            assert (runs / again / name).read_bytes() == (first.path / name).read_bytes()


@pytest.mark.parametrize("memory", ["'64'", "64", "0G", "64MB", "-1G", "lots"])
def test_what_is_no_amount_of_memory_is_an_error(tmp_path, memory):
    with pytest.raises(ConfigError, match=re.escape("write an amount of memory such as '500M' or '8G'")):
        plan(config(tmp_path, f"stack_memory: {memory}", "Plain"), parse(SHEET))
