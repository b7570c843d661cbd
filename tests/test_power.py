"""How many pairs it takes: estimated from a pilot, and checked against real judgements."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from conftest import HARD, stored_classifier
from curriculum.measure import stats
from curriculum.measure.comparison import compare
from curriculum.measure.power import PAIRS, power
from curriculum.measure.verdicts import judge

RNG = np.random.default_rng(12)
BASE = 0.9 + RNG.normal(scale=0.01, size=32)


def runs_of(folder: Path, gain: float, spread: float):
    """Two runs of 32 seeds: the first has an error that is lower by a factor, give or take."""
    error = 10 ** (-1 + RNG.normal(scale=0.05, size=32))
    first = stored_classifier(folder / "first", accuracy=BASE, error=error * 10 ** RNG.normal(gain, spread, 32))
    return first, stored_classifier(folder / "other", accuracy=BASE, error=error, sheet=HARD)


def test_the_pairs_that_it_takes_decide_as_many_experiments_as_they_should(tmp_path, monkeypatch):
    found = compare(runs_of(tmp_path, -0.06, 0.1))
    (own,) = [own for own in power(found) if own.id == "final"]
    needed = own.needed[0]
    assert needed in PAIRS
    monkeypatch.setattr(stats, "RESAMPLES", 999)
    d = np.array(found.guards[0].pair_effects)
    decided = []
    for _ in range(300):
        estimate = stats.paired_estimate(d[RNG.integers(0, 32, needed)], tests=found.tests)
        decided.append(judge(estimate, min(1.0, estimate.p * found.tests), math.log10(1.1)) != "inconclusive")
    assert own.decided[needed] == pytest.approx(np.mean(decided), abs=0.1)
    assert np.mean(decided) >= 0.75


def test_smaller_effects_take_more_pairs_and_a_clear_one_few(tmp_path):
    clear, faint = (
        {own.id: own for own in power(compare(runs_of(tmp_path / str(gain), gain, 0.1)))}["final"].needed[1] for gain in (-0.5, -0.06)
    )
    assert clear <= 12 < faint


def test_pairing_saves_as_much_as_the_runs_are_correlated(tmp_path):
    """Runs whose differences vary a tenth as much as each of them: correlated by 0.995, and 200 times as precise."""
    own = {own.id: own for own in power(compare(runs_of(tmp_path, -0.1, 0.005)))}["final"]
    assert own.correlation > 0.98
    assert 100 < own.saved < 400


def test_power_is_printed_for_runs_and_experiments(here, empty):
    runs_of(Path("runs/study"), -0.08, 0.1)
    named, study = here("power", "study/first", "study/other"), here("power", "study")
    assert named.code == study.code == 0, named.err + study.err
    assert named.out == study.out
    assert "to decide every measure in 80% of experiments like this one: " in named.out
    document = json.loads(here("power", "study", "--json").out)
    assert {own["id"] for own in document} == {"accuracy", "H1a", "H2", "final"}


def test_without_enough_pairs_there_is_nothing_to_estimate_from(here, empty):
    for name in ("a", "b"):
        stored_classifier(Path("runs") / name, accuracy=BASE[:4])
    done = here("power", "a", "b")
    assert done.code == 2
    assert "too few seeds to test" in done.err
