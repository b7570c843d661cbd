"""Measures of any score or logged metric: known answers, and the way from a log to a verdict."""

import numpy as np
import pytest

import curriculum
from curriculum.errors import InputError
from curriculum.measure import of_scores
from curriculum.measure.measures import metrics_of
from curriculum.measure.trace import trace
from curriculum.store.reader import Run

SHEET = "STEP,lr\n0,0.1\n1000,0.1\n"


def test_known_answers():
    steps, worse = np.array([0, 50, 100, 300]), np.array([3.0, 1.0, 2.0, 1.5])
    assert of_scores.best(steps, worse) == 1
    assert of_scores.mean(steps, worse) == (2 * 50 + 1.5 * 50 + 1.75 * 200) / 300
    assert of_scores.worsening(steps, worse) == 1  # 2 after 1; 1.5 is compared with 2, as nothing is as near
    assert of_scores.worsening(np.array([0, 40, 80]), np.array([0.0, 0.5, 1.0])) == 1
    assert of_scores.worsening(np.array([0, 200, 400]), np.array([0.0, 0.5, 1.0])) == 0.5
    assert of_scores.worsening(steps, np.array([4.0, 3, 2, 1])) == 0
    assert np.isnan(of_scores.worsening(steps[:1], worse[:1]))
    changes = np.array([0.1, -0.1, 0.1, -0.1, 5.0, -5.0, 0.1, -0.1])
    values = np.concatenate([[0], np.cumsum(changes)])
    assert of_scores.fluctuation(np.arange(9), values) == pytest.approx(0.2)
    assert of_scores.spikes(np.arange(9), values) == 1


def log(folder, name, base, seed):
    """Track a loop that logs the accuracy every 100 steps: it rises to its base, and once falls by 0.2."""
    noise = np.random.default_rng(seed).normal(0, 0.002, 11)
    with curriculum.track(folder / name, sheet=folder / "s.csv", seed=seed, metrics={"accuracy": {"better": "higher", "level": 80}}) as run:
        for step, _ in run.steps():
            if step % 100 == 0:
                accuracy = base * min(1, step / 500 + 0.2) - (0.2 if step == 700 else 0) + noise[step // 100]
                run.log(accuracy=accuracy)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Track eight seeds of two runs, of which one reaches more."""
    made = tmp_path_factory.mktemp("logged")
    (made / "s.csv").write_text(SHEET)
    for seed in range(8):
        log(made, "good", 0.9, seed)
        log(made, "bad", 0.7, seed)
    return made


def test_the_measures_of_a_logged_metric(folder):
    run = Run(folder / "good")
    own = trace(run, 0, (1, 1))
    metrics = {metric.id: metric for metric in metrics_of(run)}
    found = {id_: metric.compute(own, np.ones(1001, bool)) for id_, metric in metrics.items()}
    assert [*of_scores.ids_of("accuracy", has_level=True)] == ["accuracy", *found]
    assert found["accuracy:best"] == pytest.approx(90, abs=1)
    assert found["accuracy:worsening"] == pytest.approx(20, abs=1)
    assert found["accuracy:steps"] in (400, 500)
    assert found["accuracy:spikes"] == 0  # of ten changes, two are as large
    assert all(metric.exploratory for metric in metrics.values())


def test_a_metric_is_judged_by_what_is_primary(folder):
    found = curriculum.compare([folder / "good", folder / "bad"], metric=["accuracy:best", "accuracy:steps"])
    best, steps = found.verdicts
    assert (best.id, best.verdict, best.amount) == ("accuracy:best", "supported", "+20 points")
    assert steps.verdict == "supported"
    assert "0 of 8 in bad" in steps.sentence(found.names)
    assert {own.id for own in found.explored} >= {"accuracy", "accuracy:mean", "accuracy:worsening"}
    usual = curriculum.compare([folder / "good", folder / "bad"])
    assert [own.id for own in usual.verdicts] == ["accuracy"]
    assert "accuracy:best" in {own.id for own in usual.explored}


def test_a_level_must_be_a_number(folder):
    with pytest.raises(InputError, match="the metric 'accuracy': level must be a number, not 'high'"):
        curriculum.track(folder / "new", sheet=folder / "s.csv", metrics={"accuracy": {"better": "higher", "level": "high"}})
