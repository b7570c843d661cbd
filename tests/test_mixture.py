"""Batches whose sources are weighted by the columns of a sheet."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from curriculum import MixtureSampler, Playhead, parse
from curriculum.errors import InputError

SHEET = parse("STEP,lr,mix-noisy::linear\n0,1,0\n100,1,1\n", "sheet.csv")
NOISY = np.arange(100) >= 70


def sampler(**options):
    return MixtureSampler(SHEET, "mix-noisy", NOISY, **{"batch_size": 400, "seed": 3, **options})


def test_the_share_of_a_source_follows_its_column():
    batches = sampler()
    assert not NOISY[batches.batch(0)].any()
    assert NOISY[batches.batch(100)].all()
    assert NOISY[batches.batch(5000)].all()
    for step in (20, 50, 80):
        drawn = np.concatenate([MixtureSampler(SHEET, "mix-noisy", NOISY, batch_size=4000, seed=s).batch(step) for s in range(5)])
        assert NOISY[drawn].mean() == pytest.approx(step / 100, abs=0.015)
        counts = np.bincount(drawn, minlength=100)
        assert counts.min() > 0
        assert counts[NOISY].std() < 4 * np.sqrt(counts[NOISY].mean())


def test_many_sources_are_weighted_by_a_column_each():
    sheet = parse("STEP,a,b,c\n0,1,3,0\n9,1,3,0\n")
    source = np.arange(90) % 3
    drawn = MixtureSampler(sheet, ["a", "b", "c"], source, batch_size=20_000).batch(4)
    shares = np.bincount(source[drawn], minlength=3) / 20_000
    assert shares == pytest.approx([0.25, 0.75, 0], abs=0.015)


def test_a_batch_is_a_function_of_seed_and_step():
    first, other = sampler(), sampler()
    for _, batch in zip(range(7), first, strict=False):
        assert len(batch) == 400
    assert other.batch(3) == sampler().batch(3)
    assert other.batch(3) != other.batch(4)
    assert other.batch(3) != sampler(seed=4).batch(3)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_at_the_step_that_comes_next(workers):
    data = TensorDataset(torch.arange(100))

    def loader(batches):
        context = "fork" if workers else None
        return DataLoader(data, batch_sampler=batches, num_workers=workers, multiprocessing_context=context)

    def take(batches, count):
        return [batch.tolist() for _, (batch,) in zip(range(count), loader(batches), strict=False)]

    whole = take(sampler(batch_size=8), 9)
    batches = sampler(batch_size=8)
    start = take(batches, 4)
    state = json.loads(json.dumps(batches.state_dict(step=4)))
    resumed = sampler(batch_size=8)
    resumed.load_state_dict(state)
    assert start + take(resumed, 5) == whole


def test_a_retarget_of_the_playhead_moves_the_mixture():
    playhead = Playhead(SHEET)
    batches = MixtureSampler(playhead, "mix-noisy", NOISY, batch_size=50)
    playhead.seek(10)
    playhead.retarget("mix-noisy", 0, 5)
    assert not NOISY[batches.batch(15)].any()


@pytest.mark.parametrize(
    ("sheet", "column", "source", "says"),
    [
        ("STEP,mix\n0,0\n9,1\n", "mixx", NOISY, "unknown property 'mixx', did you mean 'mix'"),
        ("STEP,mix::linear\n0,0\n10,2\n", "mix", NOISY, "step 6: mix = 1.2 is not a share of the samples .allowed: 0 to 1"),
        ("STEP,mix::linear\n0,0\n10,1\n", "mix", NOISY & False, "step 1: mix = 0.1: a source that has a weight there has no samples"),
        ("STEP,a,b\n0,1,0\n10,0,0\n", ["a", "b"], NOISY, "step 10: a = 0, b = 0: weights must be at least 0"),
        ("STEP,a,b\n0,1,0\n10,1,-1\n", ["a", "b"], NOISY, "weights must be at least 0"),
        ("STEP,a,b\n0,1,1\n", ["a", "b"], np.arange(3), "an index from 0 to 1 for each sample"),
        ("STEP,mix\n0,1\n", "mix", np.zeros(3), "a truth value for each sample"),
        ("STEP,mix\n0,1\n", "mix", [], "a truth value for each sample"),
    ],
)
def test_mistakes_are_said_before_the_first_batch(sheet, column, source, says):
    with pytest.raises(InputError, match=says):
        MixtureSampler(parse(sheet), column, source, batch_size=4)


def test_a_state_of_another_seed_is_refused():
    with pytest.raises(InputError, match="has seed 4, but the sampler has 3"):
        sampler().load_state_dict(sampler(seed=4).state_dict())
    with pytest.raises(InputError, match="batch_size must be a whole number of at least 1, not 0"):
        sampler(batch_size=0)
