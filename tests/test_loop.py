"""The loop: stretches, states that stay as they are, and seeds that diverge."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from curriculum import Chunk, Diverged, Skipped
from curriculum.config.settings import SGD, Adam, AdamW
from curriculum.errors import DivergedError
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.train import freeze
from curriculum.train.events import PreStep
from curriculum.train.hooks import Hook, Hooks
from curriculum.train.loop import train
from curriculum.train.state import initial_state
from curriculum.train.stretch import LONGEST, draw

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,0.1,0,0,0
30,All hues,anchor,,,,0.5,0,0
{last},,,,,,,1,1
"""


FLAT = "STEP,PHASE,lr,loss-recon,reg-norm,data-hues,data-vibrancies\n0,All hues,0.01,1,0.1,0.5,0.5\n{last},,,,,,\n"


def begin(last=60, seeds="0:2", optimizer=None, sheet=SHEET):
    checked = plan("ex-1.6", parse(sheet.format(last=last)), seeds=seeds)
    checked = replace(checked, config=checked.config.model_copy(update={"optimizer": optimizer or Adam()}))
    return checked, initial_state(checked.task, [(checked.schedule, checked.seeds)], checked.config.optimizer)


def tensors(state):
    return {"flat": state.flat, "alive": state.alive, **state.moments, **state.arms[0].references}


class Reads(TorchDispatchMode):
    """Counts how often a number leaves its tensor, for which a GPU would have to be waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


class Every:
    """Keeps every so many states."""

    def __init__(self, steps):
        self.steps = steps
        self.states = []

    def due(self, step):
        return step % self.steps == 0

    def keep(self, state):
        self.states.append((state, {name: value.clone() for name, value in tensors(state).items()}))


def test_a_state_does_not_change_in_place():
    checked, state = begin()
    keeper = Every(7)
    before = {name: value.clone() for name, value in tensors(state).items()}
    train(checked.task, state, checked.config.optimizer, [Hooks([])], keeper)
    assert len(keeper.states) == 8
    for kept, copy in [(state, before), *keeper.states]:
        for name, value in tensors(kept).items():
            assert torch.equal(value, copy[name]), (kept.step, name)


def test_from_any_state_that_was_kept_training_ends_with_the_same_bits():
    checked, state = begin()
    keeper = Every(7)
    last = train(checked.task, state, checked.config.optimizer, [Hooks([])], keeper)
    for kept, _ in keeper.states:
        again = train(checked.task, kept, checked.config.optimizer, [Hooks([])])
        for name, value in tensors(last).items():
            assert torch.equal(tensors(again)[name], value), (kept.step, name)


@pytest.mark.parametrize("on_nonfinite", ["diverge", "skip"])
def test_numbers_are_read_once_a_stretch_and_not_at_every_step(on_nonfinite):
    reads = []
    for steps in (LONGEST - 30, 2 * LONGEST - 30):
        checked, state = begin(last=30 + steps - 1, optimizer=Adam(on_nonfinite=on_nonfinite))
        with Reads() as counter:
            train(checked.task, state, checked.config.optimizer, [Hooks([])])
        reads.append(counter.count)
    assert reads[1] - reads[0] <= 4  # of one more stretch


def test_a_stretch_ends_where_more_than_numbers_change():
    checked, state = begin(last=2 * LONGEST)
    firsts = []
    train(checked.task, state, checked.config.optimizer, [Hooks([Hook(Chunk, lambda event: firsts.append(event.first))])])
    assert firsts == [0, 1, 30, LONGEST, 2 * LONGEST]
    assert draw(checked.task, state).steps.start == 0


def diverging(seeds, steps_lost, monkeypatch, lost, **more):
    """Begin a training in which some seeds get a batch that is no number at some steps."""
    checked, state = begin(seeds=seeds, **more)
    batches = type(checked.task).batches

    def poisoned(self, schedule, steps, own):
        found = batches(self, schedule, steps, own)
        for step in (step for step in steps_lost if step in steps):
            colors = found["colors"].clone()
            for index in lost:
                colors[step - steps.start, index] = math.nan
            found = {**found, "colors": colors}
        return found

    monkeypatch.setattr(type(checked.task), "batches", poisoned)
    return checked, state


def test_a_seed_that_diverges_is_frozen_as_it_was_before_that_step_and_the_others_train_as_ever(monkeypatch):
    checked, state = begin(seeds="0:3")
    whole = train(checked.task, state, checked.config.optimizer, [Hooks([])])
    checked, state = diverging("0:3", [40], monkeypatch, [1])
    seen, weights = [], {}
    hooks = [Hook(Diverged, seen.append), Hook(PreStep, lambda event: weights.update({event.step: event.flat.clone()}))]
    last = train(checked.task, state, checked.config.optimizer, [Hooks(hooks)])
    assert [(event.step, event.seed, event.term) for event in seen] == [(40, 1, "loss-recon")]
    assert last.alive.tolist() == [True, False, True]
    assert torch.equal(last.flat[[0, 2]], whole.flat[[0, 2]])
    assert torch.equal(last.flat[1], weights[40][1])
    assert all(torch.equal(weights[step][1], weights[40][1]) for step in range(40, 61))


def test_where_the_last_seed_diverges_nothing_after_that_step_is_told(monkeypatch):
    checked, state = diverging("0:2", [40], monkeypatch, [0, 1])
    chunks = []
    with pytest.raises(DivergedError, match="at step 40, phase 'All hues', seed 1; it was the last of 2 seeds"):
        train(checked.task, state, checked.config.optimizer, [Hooks([Hook(Chunk, chunks.append)])])
    assert chunks[-1].step == 39
    assert torch.cat([chunk.total for chunk in chunks]).isfinite().all()


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(eps_placement="keras"), SGD()], ids=["adam", "adamw", "sgd"])
def test_a_seed_that_skips_updates_is_as_one_trained_without_them_and_the_others_train_as_ever(monkeypatch, optimizer):
    """Also an update that is skipped first of all, so that the first one of that seed is a later step."""
    lost, skipping = [0, 3, 20, 21], optimizer.model_copy(update={"on_nonfinite": "skip"})
    checked, state = begin(seeds="0:3", optimizer=optimizer, sheet=FLAT)
    plain = train(checked.task, state, checked.config.optimizer, [Hooks([])])
    with monkeypatch.context() as patch:
        checked, state = diverging("0:3", lost, patch, [1], optimizer=skipping, sheet=FLAT)
        seen, chunks, weights = [], [], {}
        hooks = [Hook(Skipped, seen.append), Hook(Chunk, chunks.append), Hook(PreStep, lambda e: weights.update({e.step: e.flat.clone()}))]
        last = train(checked.task, state, checked.config.optimizer, [Hooks(hooks)])
    assert torch.equal(last.flat[[0, 2]], plain.flat[[0, 2]])
    assert last.alive.all()
    assert last.moments["skipped"].tolist() == [[0], [4], [0]]
    assert all(torch.equal(weights[step + 1][1], weights[step][1]) for step in lost)
    assert [(event.step, event.seed, event.term) for event in seen] == [(0, 1, "loss-recon")]
    assert torch.cat([chunk.skipped for chunk in chunks]).nonzero().tolist() == [[step, 1] for step in lost]
    assert torch.equal(~torch.cat([chunk.total for chunk in chunks]).isfinite(), torch.cat([chunk.skipped for chunk in chunks]))

    batches, long = type(checked.task).batches, compile_sheet(parse(FLAT.format(last=60)))
    kept = [step for step in range(61) if step not in lost]

    def without(self, _, steps, own):
        found = [batches(self, long, range(kept[step], kept[step] + 1), own) for step in steps]
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    checked, state = begin(last=len(kept) - 1, seeds="0:3", optimizer=optimizer, sheet=FLAT)
    monkeypatch.setattr(type(checked.task), "batches", without)
    again = train(checked.task, state, checked.config.optimizer, [Hooks([])])
    assert torch.equal(again.flat[1], last.flat[1])
    for name, value in again.moments.items():
        assert torch.equal(value[1], last.moments[name][1]), name


NUMBER = st.one_of(st.floats(width=32), st.sampled_from([3.4e38, -3.4e38, 1e-45, 0.0]))


@settings(deadline=None)
@given(st.lists(st.lists(NUMBER, min_size=4, max_size=4), min_size=1, max_size=5))
def test_a_mark_is_finite_exactly_as_long_as_all_numbers_are(rows):
    values = torch.tensor(rows, dtype=torch.float32)
    total, gradient = values[:, 0], values[:, 1:].clone()
    marked = freeze.mark(freeze.first_mark(torch.ones(len(rows), dtype=torch.bool)), total, gradient, torch.full((3,), freeze.TINY))
    expected = [all(map(math.isfinite, row)) for row in values.tolist()]
    assert marked.isfinite().tolist() == expected
    again = freeze.mark(marked, torch.zeros(len(rows)), torch.zeros_like(gradient), torch.full((3,), freeze.TINY))
    assert again.isfinite().tolist() == expected
    rate = freeze.held(torch.full((len(rows), 1), 0.5), marked, gradient)
    assert rate[:, 0].tolist() == [0.5 if good else 0.0 for good in expected]
    assert gradient.isfinite().all()
