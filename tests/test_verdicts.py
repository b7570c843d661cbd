"""What `compare` says of whole runs: which run against which, over which steps, and what is not judged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import stored_classifier
from curriculum.errors import InputError
from curriculum.measure.comparison import compare
from curriculum.measure.stats import holm

LATER = "STEP,PHASE,lr,loss,smoothing\n0,first,0.01,1,0.2\n200,second,,,0\n399,,0.001,,\n"
EARLIER = LATER.replace("200,second", "50,second")


@pytest.fixture
def shelf(empty: Path, classifiers) -> Path:
    """Work in a new folder with copies of the runs easy and hard."""
    for run in classifiers:
        shutil.copytree(run.path, empty / "runs" / run.name)
    return empty


def found_by(here, *args) -> dict:
    done = here("compare", *args, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_baseline_is_what_the_others_are_measured_against(here, shelf):
    """`hard` is less accurate, whichever run is named first."""
    for names in (("hard", "easy"), ("easy", "hard")):
        found = found_by(here, *names, "--baseline", "easy")
        verdict = found["verdicts"][0]
        assert verdict["sentence"].startswith("accuracy on the test data: hard -0.94 points against easy")
        assert verdict["verdict"] == "contradicted"
        assert [own["verdict"] for own in found["hypotheses"]] == ["contradicted"]
    printed = here("compare", "hard", "easy", "--baseline", "easy").out
    assert printed.startswith("hard against easy, 16 pairs of seeds: A contradicted; accuracy on the test data -0.94 points (contradicted)")


def test_a_baseline_need_not_be_among_the_runs_that_are_named(here, shelf):
    found = found_by(here, "easy", "--baseline", "hard")
    assert [(pair["first"], pair["other"]) for pair in found["pairs"]] == [(0, 1)]
    assert [run["name"] for run in found["runs"]] == ["easy", "hard"]


def test_all_pairs_of_runs_are_compared(here, shelf, classifiers):
    stored_classifier(Path("runs/third"), accuracy=np.linspace(0.9, 0.95, 16))
    found = found_by(here, "easy", "hard", "third", "--all-pairs")
    assert [(pair["first"], pair["other"]) for pair in found["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert here("compare", "easy", "hard", "--all-pairs", "--baseline", "easy").code == 2


def of_pair(found, first: int, other: int) -> dict:
    measured = [row for row in (*found.measures, *found.final) if (row.first, row.other) == (first, other)]
    judged = [own for own in (*found.verdicts, *found.guards) if (own.first, own.other) == (first, other)]
    rows = {(row.id, row.window): (row.values, row.value) for row in measured}
    return {**rows, **{(own.id, own.title): (own.value, own.low, own.high, own.p) for own in judged}}


def test_a_third_run_changes_nothing_but_the_correction(tmp_path):
    """The third has fewer steps, a coarser grid of one seed, and a later first phase."""
    rng = np.random.default_rng(2)
    first, second = (
        stored_classifier(tmp_path / name, accuracy=0.9 + rng.normal(scale=0.01, size=16), sheet=EARLIER, error=rng.uniform(0.1, 0.2, 16))
        for name in ("first", "second")
    )
    long = np.linspace(1, 0.1, 300)[:, None]
    third = stored_classifier(tmp_path / "third", accuracy=np.full(1, 0.9), sheet=LATER, curves=long)
    alone, among = compare([first, second]), compare([first, second, third])
    assert of_pair(among, 0, 1) == of_pair(alone, 0, 1)
    assert among.pairs[0] == alone.pairs[0]
    assert alone.pairs[0].first_step == 50
    assert among.pairs[1].first_step == 200


def test_the_family_is_everything_that_is_judged(tmp_path):
    """Final errors and scores among it, and all pairs of runs: Holm over all of them."""
    rng = np.random.default_rng(4)
    runs = [stored_classifier(tmp_path / name, accuracy=0.9 + rng.normal(scale=0.01, size=16)) for name in ("a", "b", "c")]
    found = compare(runs)
    family = [*found.verdicts, *found.guards]
    assert found.tests == len(family) == 8
    assert [verdict.p_corrected for verdict in family] == pytest.approx(holm([verdict.p for verdict in family]))


def test_a_dead_network_is_not_called_stable(tmp_path):
    """Its error stays where it began, to the last bit."""
    rng = np.random.default_rng(6)
    fine = stored_classifier(tmp_path / "fine", accuracy=np.full(8, 0.9))
    noise = np.exp(0.01 * rng.normal(size=(400, 8)))
    noise[5:] = noise[5]
    dead = stored_classifier(tmp_path / "dead", accuracy=np.full(8, 0.1), curves=2.4 * noise)
    found = compare([dead, fine])
    assert {verdict.id for verdict in (*found.verdicts, *found.guards)} == {"accuracy", "final"}
    assert any("the stability of dead and fine is not judged: in most seeds of dead" in note for note in found.notes)
    (row,) = [row for row in found.measures if row.id == "H2" and row.window == "whole"]
    assert row.value == 0


def test_stability_is_not_judged_where_the_final_errors_are_far_apart(tmp_path):
    runs = [stored_classifier(tmp_path / name, accuracy=np.full(8, 0.9), error=np.full(8, own)) for name, own in (("a", 1e-4), ("b", 0.2))]
    found = compare(runs)
    assert {verdict.id for verdict in found.verdicts} == {"accuracy"}
    assert any("the final error of a is x0.0005 of b's, beyond a factor of 100" in note for note in found.notes)


@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_unequal_training_is_described_and_judged_only_if_asked_for(here, empty, status):
    rng = np.random.default_rng(8)
    whole = 2 * 0.1 ** (np.arange(400) / 400)[:, None] * np.exp(0.01 * rng.normal(size=(400, 8)))
    stored_classifier(Path("runs/whole"), accuracy=np.full(8, 0.9), curves=whole)
    length = 250 if status == "finished" else 400
    stored_classifier(Path("runs/part"), accuracy=np.full(8, 0.9), curves=whole[:length] * 1.5, status=status)
    found = found_by(here, "whole", "part")
    assert found["verdicts"] == found["guards"] == found["hypotheses"] == []
    assert any("described, not judged (--unequal judges them)" in note for note in found["notes"])
    asked = found_by(here, "whole", "part", "--unequal")
    assert [verdict["id"] for verdict in asked["guards"]] == ["final"]


def test_a_sheet_that_was_cut_is_said(tmp_path, classifiers):
    cut = stored_classifier(tmp_path / "cut", accuracy=np.full(16, 0.9), sheet_steps=10_000)
    found = compare([classifiers[0], cut])
    assert "cut was trained on the first 400 of its sheet's 10,000 steps only (--steps)" in found.notes


def test_seeds_that_pytorch_does_not_tell_apart_are_no_replicates(tmp_path):
    seeds = [*range(8), 2**32, 2**32 + 1]
    runs = [stored_classifier(tmp_path / name, accuracy=np.linspace(0.9, 0.95, 10), seeds=seeds) for name in ("a", "b")]
    found = compare(runs)
    assert {verdict.estimate.n for verdict in found.verdicts} == {8}
    assert "a: 2 of its seeds equal another one modulo 2^32, so they are no replicates, and are left out" in found.notes


def test_too_few_pairs_to_decide_anything_are_said(tmp_path):
    """Three arms of 8 seeds: with ten tests, the smallest possible p is 0.078."""
    scores = {f"score{index}": {"better": "higher"} for index in range(2)}
    look = {"measures": ["draw_up", "spikes", "fluctuation", "mean_draw_up"], "scores": {"accuracy": {"better": "higher"}}}
    runs = [stored_classifier(tmp_path / name, accuracy=np.linspace(0.9, 0.95, 8), look=look) for name in ("a", "b", "c")]
    found = compare(runs)
    assert scores
    assert found.tests == 10
    note = "with 8 pairs and 10 tests, p cannot be below 0.078, so that no difference can be found: 9 pairs or fewer tests are needed"
    assert note in found.notes


def test_a_hypothesis_without_measures_is_not_judged(tmp_path):
    look = {"hypotheses": {"N": {"question": "nothing", "measures": []}, "M": {"question": "missing", "measures": ["nosuch"]}}}
    runs = [stored_classifier(tmp_path / name, accuracy=np.linspace(0.9, 0.95, 8), look=look) for name in ("a", "b")]
    assert [own.verdict for own in compare(runs).hypotheses] == ["not judged", "not judged"]


def test_a_hypothesis_may_be_about_the_final_error(tmp_path):
    look = {"hypotheses": {"F": {"question": "a lower error", "measures": ["final"]}}}
    runs = [
        stored_classifier(tmp_path / name, accuracy=np.full(16, 0.9), error=np.linspace(0.2, 0.3, 16) * factor, look=look)
        for name, factor in (("a", 0.5), ("b", 1.0))
    ]
    assert [own.verdict for own in compare(runs).hypotheses] == ["supported"]


def test_runs_of_one_name_can_be_a_baseline(here, shelf):
    for parent, name in (("one", "easy"), ("two", "hard")):
        shutil.copytree(f"runs/{name}", f"{parent}/arm")
    found = found_by(here, "one/arm", "two/arm", "--baseline", "two/arm")
    assert found["verdicts"][0]["sentence"].startswith("accuracy on the test data: one/arm +0.94 points against two/arm")


def test_the_first_screen_is_short_and_full_has_every_table(here, shelf):
    short, full = here("compare", "easy", "hard").out, here("compare", "easy", "hard", "--full").out
    assert len(short.splitlines()) <= 15
    assert "Worst seeds" not in short
    tables = ("Scores and final error", "Measures from step", "Mean learning rate", "Logged losses", "Schedules of", "Worst seeds")
    assert all(table in full for table in tables)
    assert "grows with" not in full


def test_the_smallest_effect_of_a_measure_can_be_chosen(here, shelf):
    found = found_by(here, "easy", "hard", "--smallest", "accuracy=2", "--smallest", "H1a=20%")
    by_id = {verdict["id"]: verdict for verdict in found["verdicts"]}
    assert by_id["accuracy"]["margin"] == [-2, 2]
    assert by_id["accuracy"]["verdict"] == "supported, but small"
    assert by_id["H1a"]["margin"] == pytest.approx([1 / 1.2, 1.2])
    assert by_id["H2"]["margin"] == pytest.approx([1 / 1.1, 1.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--smallest", "acuracy=2"), "unknown measure 'acuracy', did you mean 'accuracy'?"),
        (("--smallest", "accuracy"), "cannot read --smallest 'accuracy'"),
        (("--smallest", "accuracy=-1"), "an amount above 0"),
        (("--fail-if", "final"), "cannot read the condition 'final'"),
        (("--fail-if", "final is bad"), "verdicts: supported, contradicted"),
        (("--fail-if", "fina > 1"), "did you mean 'final'?"),
    ],
)
def test_what_cannot_be_meant_is_refused(here, shelf, options, message):
    done = here("compare", "easy", "hard", *options)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("accuracy > 0.5", 3),
        ("accuracy < 0.5", 0),
        ("final<=0.99", 3),
        ("accuracy is supported", 3),
        ("accuracy is contradicted", 0),
        ("A is supported", 3),
        ("H1a is no meaningful difference", 3),
    ],
)
def test_a_check_fails_if_it_is_asked_to(here, shelf, condition, code):
    done = here("compare", "easy", "hard", "--fail-if", condition)
    assert done.code == code, done.err
    assert (f"error: --fail-if {condition}: " in done.err) == (code == 3)
    assert "easy against hard, 16 pairs" in done.out


def test_the_table_of_a_paper_has_the_numbers_of_the_sentences(here, shelf):
    found = found_by(here, "easy", "hard")
    sentences = {verdict["id"]: verdict["sentence"] for verdict in (*found["verdicts"], *found["guards"])}
    marked, tex = (here("compare", "easy", "hard", "--format", form) for form in ("markdown", "latex"))
    assert marked.code == tex.code == 0
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in marked.out.splitlines() if line.startswith("| ")]
    assert rows[0] == ["measure", "easy", "hard", "effect", "95% interval", "pairs", "p", "verdict"]
    assert len(rows) == 2 + len(sentences)
    for row, sentence in zip(rows[2:], sentences.values(), strict=True):
        for cell in (row[0], row[3], row[4], f"p = {row[6]}", row[7]):
            assert cell in sentence
    assert r"\begin{tabular}{lrrrrrrl}" in tex.out
    assert r"accuracy on the test data & 94.64\% & 93.74\% & +0.94 points & [+0.72, +1.1] & 16 & " in tex.out
    assert "$\\times$0.98 & [0.97, 0.98]" in tex.out


def test_a_comparison_can_be_printed(tmp_path, classifiers):
    """From Python, where nothing else prints it."""
    found = compare(classifiers)
    lines = str(found).splitlines()
    assert lines[0] == "easy against hard: a better test accuracy: supported"
    assert lines[1:5] == [verdict.sentence(found.names) for verdict in (*found.verdicts, *found.guards)]
    few = compare([stored_classifier(tmp_path / name, accuracy=np.linspace(0.9, 0.92, 3)) for name in ("a", "b")])
    assert "accuracy on the test data: a against b: +0.0 points, not judged" in str(few).splitlines()
    assert any(line.startswith("note: too few seeds to test") for line in str(few).splitlines())


def test_turned_round_every_verdict_is_the_opposite(tmp_path):
    """The margins of ratios and scores are the same in both directions."""
    rng = np.random.default_rng(9)
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    for index, gain in enumerate((0.0, 0.02, 0.05, 0.3)):
        base, runs = 10 ** rng.normal(-1, 0.05, 16), []
        for name, own in (("a", 0.0), ("b", gain)):
            accuracy, error = 0.9 + rng.normal(own / 10, 0.004, 16), base * 10 ** rng.normal(own, 0.03, 16)
            runs.append(stored_classifier(tmp_path / f"{name}{index}", accuracy=accuracy, error=error))
        there, back = compare(runs), compare(runs[::-1])
        for one, other in zip((*there.verdicts, *there.guards), (*back.verdicts, *back.guards), strict=True):
            word, _, size = one.verdict.partition(",")
            assert other.verdict == f"{opposite.get(word, word)}{',' if size else ''}{size}"
            assert other.p == pytest.approx(one.p)


def test_runs_of_one_task_whose_code_differs_are_compared_and_it_is_said(tmp_path, classifiers):
    task = {"name": "digits.py:Digits", "version": 1, "source": "another", "file": "/elsewhere/digits.py"}
    other = stored_classifier(tmp_path / "other", accuracy=np.full(16, 0.9), task=task)
    assert any("the code of the task has changed between easy and other" in note for note in compare([classifiers[0], other]).notes)
    changed = stored_classifier(tmp_path / "changed", accuracy=np.full(16, 0.9), task={**task, "version": 2})
    with pytest.raises(InputError, match="different tasks"):
        compare([classifiers[0], changed])
