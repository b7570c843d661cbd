"""Tune each arm of an experiment on seeds of its own, and compare the arms at their best."""

import json

import numpy as np
import pytest

from curriculum.draw import style
from curriculum.store.reader import Run
from readable import unreadable

SHEET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,{0},1\n60,,{0},1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make an experiment whose arms differ by a factor of 4 in their learning rate alone."""
    made = tmp_path_factory.mktemp("tune")
    (made / "slow.csv").write_text(SHEET.format(0.005))
    (made / "fast.csv").write_text(SHEET.format(0.02))
    (made / "race.yaml").write_text(f"config: color\nseeds: 0:8\narms:\n  slow: {made}/slow.csv\n  fast: {made}/fast.csv\n")
    return made


@pytest.fixture(scope="module")
def tuned(folder, here):
    """Tune it with factors that make both arms the same at their best."""
    return here("tune", folder / "race.yaml", "--grid", "0.25,4,1", "--tuning-seeds", "20:23", "--runs", folder / "runs")


def test_arms_that_differ_in_their_rate_alone_are_the_same_at_their_best(tuned, folder):
    assert tuned.code == 0, tuned.err
    found = json.loads((folder / "runs/race-tuning/tuning.json").read_text())
    assert found["grid"] == [0.25, 1, 4]
    assert found["seeds"] == [20, 21, 22]
    assert found["values"][0][2] == found["values"][1][1]  # slow x4 is fast x1
    assert [int(np.argmin(own)) for own in found["medians"]] == found["best"]
    assert [found["grid"][place] for place in found["best"]] == [4, 1]
    assert "tied in all 8 pairs" in tuned.out


def test_what_is_chosen_is_what_is_compared_on_other_seeds(tuned, folder):
    found = json.loads((folder / "runs/race-tuning/tuning.json").read_text())
    for arm, rate, best in zip(("slow", "fast"), (0.005, 0.02), found["best"], strict=True):
        run = Run(folder / "runs/race-tuned" / arm)
        assert run.seeds == tuple(range(8))
        assert run.schedule.column("lr")[0] == pytest.approx(rate * found["grid"][best])


@pytest.mark.slow
def test_a_best_factor_at_the_edge_is_said(tuned):
    assert "slow is best at the largest factor, 4: it may be better beyond" in tuned.err


def test_repeating_the_command_trains_nothing(tuned, folder, here):
    again = here("tune", folder / "race.yaml", "--grid", "0.25,1,4", "--tuning-seeds", "20:23", "--runs", folder / "runs")
    assert again.code == 0
    assert again.err.count("is already finished") == 8
    assert again.out == tuned.out


def test_the_figures_of_a_tuning_fit_a_column_of_a_paper(tuned, folder, here, monkeypatch):
    figures = {}
    command = ["tune", folder / "race.yaml", "--grid", "0.25,1,4", "--tuning-seeds", "20:23", "--runs", folder / "runs"]
    with monkeypatch.context() as patch:
        patch.setattr(style, "save", lambda figure, path: figures.update({path.name: figure}))
        made = here(*command, "--figures", "svg", "--width", "8.4cm")
    assert made.code == 0, made.err
    assert {"tuning.svg", "effects.svg", "bands.svg"} <= set(figures)
    for name, figure in figures.items():
        assert figure.get_figwidth() == pytest.approx(8.4 / 2.54)
        assert unreadable(figure) == [], name


def test_too_few_seeds_to_compare_are_said_before_training(folder, here, tmp_path):
    more = ["--grid", "1,2", "--tuning-seeds", "20:22", "--seeds", "0:3", "--runs", tmp_path / "runs"]
    found = here("tune", folder / "race.yaml", *more)
    assert found.code == 0, found.err
    assert found.err.startswith("warning: with 3 seeds, nothing is judged"), found.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--grid", "1"], "at least two different factors"),
        (["--grid", "1,two"], "cannot read --grid '1,two'"),
        (["--grid", "1,-2"], "factors above 0"),
        (["--measure", "H9"], "unknown measure 'H9'"),
        (["--factor", "rate"], "unknown column 'rate'"),
        (["--tuning-seeds", "7:12"], "seed 7 is one of the experiment's"),
    ],
)
def test_mistakes_are_found_before_training(folder, here, more, message):
    found = here("tune", folder / "race.yaml", "--runs", folder / "none", *more)
    assert found.code == 2
    assert message in found.err + found.out
    assert not (folder / "none").exists()
