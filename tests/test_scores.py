"""Runs of a task with scores and without latents: they are compared and drawn like any others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import EASY, HARD, stored_classifier
from curriculum.draw.figures import draw_run
from curriculum.measure.comparison import compare
from curriculum.measure.trace import common_strides, median_seeds, trace
from curriculum.store.reader import Run

NOT_THEIRS = re.compile(r"latent|drift|jitter|colou?r|hue|circle|MSE|spike", re.IGNORECASE)


@pytest.fixture
def shelf(empty: Path, classifiers) -> Path:
    """Work in a new folder with links to the runs easy and hard."""
    (empty / "runs").mkdir()
    for run in classifiers:
        (empty / "runs" / run.name).symlink_to(run.path)
    return empty


def test_the_scores_of_a_run_are_read_with_how_they_are_shown(classifiers):
    run = classifiers[0]
    assert run.look.scores["accuracy"].smallest == 0.5
    own = trace(run, 3, common_strides(classifiers))
    values = run.traces["score.accuracy.test"][380:, 3]
    assert own.scores == {"accuracy.test": pytest.approx(100 * values.mean(dtype=np.float64))}
    assert own.latents.size == 0
    order = np.argsort(own_errors(run))
    assert median_seeds([run]) == [order[7]]


def own_errors(run: Run) -> np.ndarray:
    return np.log10(run.traces["loss.test"][380:].astype(float)).mean(0)


def test_a_score_is_judged_first_with_its_unit_and_margin(classifiers):
    found = compare(classifiers)
    first = found.measures[0]
    assert (first.id, first.title, first.unit, first.window) == ("accuracy", "accuracy on the test data", "%", "last 5% of steps")
    verdict = found.verdicts[0]
    values = [100 * run.traces["score.accuracy.test"][380:].astype(float).mean(0) for run in classifiers]
    middle = np.sort(values[0] - values[1])[4:12].mean()
    assert verdict.value == pytest.approx(middle)
    assert verdict.margin == (-0.5, 0.5)
    assert verdict.verdict == "supported"
    wins = int((values[0] > values[1]).sum())
    sentence = verdict.sentence(found.names)
    medians = [f"{np.median(own):.2f}%" for own in values]
    assert sentence.startswith(f"accuracy on the test data: easy {middle:+#.2g} points against hard [+")
    assert f"(medians {medians[0]} and {medians[1]}), better in {wins} of 16 pairs, p = " in sentence
    assert found.hypotheses[0].verdict == "supported"
    assert [row.title for row in found.final] == ["final error on the test data"]
    assert found.guards[0].sentence(found.names).startswith("final error on the test data (cross-entropy): easy x")


@pytest.mark.parametrize(
    ("smallest", "word"), [(None, "direction only: the measure has no smallest effect of interest"), (50.0, "supported, but small")]
)
def test_the_margin_of_a_score_is_its_own(tmp_path, smallest, word):
    scores = {"accuracy": {"better": "higher", "unit": "%", "scale": 100.0, "smallest": smallest}}
    levels = 0.9 + np.arange(16) / 1000
    easy = stored_classifier(tmp_path / "easy", accuracy=levels + 0.02, look={"scores": scores})
    found = compare([easy, stored_classifier(tmp_path / "hard", accuracy=levels, sheet=HARD, look={"scores": scores})])
    assert found.verdicts[0].verdict.startswith("supported")
    assert word in found.verdicts[0].sentence(found.names)


def test_every_judged_measure_is_in_the_text_even_without_a_hypothesis(here, shelf):
    document = json.loads(here("compare", "easy", "hard", "--json").out)
    printed = here("compare", "easy", "hard").out
    sentences = [verdict["sentence"] for verdict in (*document["verdicts"], *document["guards"])]
    assert len(sentences) == 4
    assert all(printed.count(sentence) == 1 for sentence in sentences)


def test_nothing_is_said_of_latents_of_runs_that_have_none(here, shelf, monkeypatch):
    from curriculum.draw import style
    from test_arms import texts_of

    drawn = {}
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.update({path.name: texts_of(figure)}))
    compared = here("compare", "easy", "hard", "--full")
    assert compared.code == 0, compared.err
    of_others = "\n".join(line for line in compared.out.splitlines() if "accuracy:spikes" not in line)
    for text in (of_others, *drawn.values()):
        assert NOT_THEIRS.findall(text) == []
    assert set(drawn) == {"losses.png", "schedules.png", "bands.png", "effects.png"}
    assert "accuracy on the test data (%)" in drawn["bands.png"].replace("\n", " ")
    assert "accuracy on the test data, points" in drawn["effects.png"].replace("\n", " ")
    assert re.search(r"accuracy on the test data +% +last 5% of steps +94\.\d\d +93\.\d\d +\+\d\.\d+ points", compared.out)


def test_the_figures_of_a_run_without_latents_are_its_schedule_and_losses(tmp_path):
    run = stored_classifier(tmp_path / "easy", accuracy=np.linspace(0.9, 0.95, 3))
    draw_run(run)
    assert sorted(path.name for path in (run.path / "figures").iterdir()) == ["losses.png", "timeline.png"]


def test_measures_of_latents_are_not_asked_of_runs_without_them(tmp_path):
    look = {"measures": ["draw_up", "drift_jerk", "jitter", "sparc", "procrustes", "path_length", "peak_speed"]}
    runs = [stored_classifier(tmp_path / name, accuracy=np.full(8, 0.9), look=look) for name in ("a", "b")]
    found = compare(runs)
    assert {row.id for row in (*found.measures, *found.exploratory) if not row.id.startswith("accuracy:")} == {"accuracy", "H1a"}
    assert not any("H3" in note or "E4" in note for note in found.notes)


def test_what_has_no_moving_picture_is_not_animated(here, shelf, tree):
    before = tree(shelf)
    made = here("animate", "easy", "hard")
    assert made.code == 2
    assert "'easy' has no moving picture: its task 'digits.py:Digits' has no latent space" in made.err
    assert "curriculum compare" in made.err
    assert tree(shelf) == before


OWN = [
    {"id": "ece", "title": "calibration error", "unit": "%", "effect": "difference", "better": "lower", "needs": "a test set"},
    {"id": "gap", "title": "train-test gap", "unit": "nats", "effect": "ratio", "better": "lower", "exploratory": True},
]


def test_measures_of_the_tasks_own_are_judged_or_explored_as_they_say(tmp_path):
    rng = np.random.default_rng(5)
    shared = rng.uniform(3, 4, 16)
    look = {"own_measures": OWN, "hypotheses": {"C": {"question": "better calibrated", "measures": ["ece"]}}}
    runs = [
        stored_classifier(
            tmp_path / name,
            accuracy=np.full(16, 0.9),
            sheet=sheet,
            look=look,
            exhibits={"measure.ece": shared + more + rng.normal(scale=0.01, size=16), "measure.gap": shared},
        )
        for name, sheet, more in (("easy", EASY, -1), ("hard", HARD, 0))
    ]
    found = compare(runs)
    by_id = {verdict.id: verdict for verdict in found.verdicts}
    assert by_id["ece"].value == pytest.approx(-1, abs=0.02)
    assert by_id["ece"].verdict == "supported"
    assert "easy -1.0 points against hard" in by_id["ece"].sentence(found.names)
    assert [verdict.id for verdict in found.explored if not verdict.id.startswith("accuracy:")] == ["gap"]
    assert [own.verdict for own in found.hypotheses] == ["supported"]
    assert found.measures[-1].window == "end of training"


def test_a_missing_value_of_an_own_measure_is_named(tmp_path):
    values = {"easy": np.arange(1.0, 9), "hard": np.array([1, 2, 3, np.nan, 5, 6, 7, 8.0])}
    runs = [
        stored_classifier(tmp_path / name, accuracy=np.full(8, 0.9), look={"own_measures": OWN[:1]}, exhibits={"measure.ece": own})
        for name, own in values.items()
    ]
    found = compare(runs)
    assert any(note == "ece: no value for seed 3 of hard, so no effect is estimated (needs a test set)" for note in found.notes)
    assert "ece" not in {verdict.id for verdict in found.verdicts}


def test_a_run_without_snapshots_is_not_animated(here, empty):
    made = here("train", "--dopesheet", "smooth.csv", "--name", "a", "--steps", 30, "--set", "record.snapshots=off")
    assert made.code == 0, made.err
    assert not Path("runs/a/snapshots.safetensors").exists()
    made = here("animate", "a", "-o", "a.png")
    assert made.code == 2
    assert "'a' has no snapshots" in made.err
    assert "--set record.snapshot_every=N" in made.err
    assert not Path("a.png").exists()
