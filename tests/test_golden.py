"""The published experiment, seed 0, against reference numbers of an independent implementation."""

import csv
from pathlib import Path

import numpy as np
import pytest

from batches import batch_of
from curriculum.runner.execute import run
from curriculum.store.reader import Run

DATA = Path(__file__).parent / "data"


def reference() -> list[dict[str, float]]:
    with (DATA / "smooth-seed0-metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def assert_tracks(stored: Run, upto: int, seed_index: int = 0) -> None:
    steps, losses = stored.losses(seed_index)
    rows = [row for row in reference() if row["step"] <= upto]
    assert len(rows) > 50
    for row in rows:
        at = int(row.pop("step"))
        assert steps[at] == at
        logged = {name for name, values in losses.items() if np.isfinite(values[at])}
        assert logged == set(row), f"the terms that are logged at step {at}"
        for name in ("loss-recon", "total"):
            assert losses[name][at] == pytest.approx(row[name], rel=1e-2), f"{name} at step {at}"


def test_the_first_600_steps_track_the_reference(tmp_path):
    stored = run("ex-1.6", "smooth.csv", seeds=0, steps=600, folder=tmp_path).run
    assert_tracks(stored, 599)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["0", "0:8"], ids=["alone", "in a stack of 8"])
def test_the_whole_run_tracks_the_reference(tmp_path, seeds):
    stored = run("ex-1.6", "smooth.csv", seeds=seeds, overrides=["record.snapshot_every=1000"], folder=tmp_path).run
    assert_tracks(stored, 10000)
    with (DATA / "smooth-seed0-final-params.csv").open() as file:
        expected = [float(row["value"]) for row in csv.DictReader(file)]
    final = np.concatenate([value[0].ravel() for value in stored.model.values()])
    np.testing.assert_allclose(final, expected, atol=1e-3)


@pytest.mark.slow
def test_a_second_implementation_trains_the_stepped_sheet_the_same(tmp_path):
    """Train with ordinary PyTorch, one step at a time, and compare with what the run stored."""
    import torch

    from curriculum.play.sheets import load_sheet
    from curriculum.runner.inputs import load_config
    from curriculum.sheet.schedule import compile_sheet
    from curriculum.train.make import make_task

    stored = run("ex-1.6", "stepped.csv", seeds=0, steps=1500, folder=tmp_path).run
    _, losses = stored.losses()
    task = make_task(load_config("ex-1.6"))
    schedule = compile_sheet(load_sheet("stepped.csv")[0])
    torch.manual_seed(0)
    model = task.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    references = {}
    for step in range(1500):
        batch = {name: value[0, 0] for name, value in task.batches(schedule, range(step, step + 1), [0]).items()}
        values = schedule.at(step)
        if "anchor" in schedule.actions_at(step):
            with torch.no_grad():
                references = task.capture("anchor", model)
        active = [name for name in task.terms if values[name] and (name != "reg-anchor" or references)]
        terms = task.losses(model, batch_of(batch, active, references))
        total = sum(values[name] * term for name, term in terms.items())
        optimizer.param_groups[0]["lr"] = values["lr"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        assert losses["total"][step] == pytest.approx(total.item(), rel=1e-2), f"step {step}"
