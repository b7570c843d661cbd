"""Experiments that grow by seeds until they are decided: the looks, the error they spend, and what is stored of them."""

import json
import re

import numpy as np
import pytest

from curriculum.errors import CurriculumError
from curriculum.measure import stats, verdicts
from curriculum.measure.comparison import compare
from curriculum.measure.judging import estimated
from curriculum.measure.looks import plan_looks, spent
from curriculum.measure.measuring import Measured
from curriculum.measure.pairing import Pairing
from curriculum.measure.verdicts import ALPHA, SmallestEffect
from curriculum.runner.execute import execute_all
from curriculum.runner.until_decided import plan_growing, train_until_decided
from curriculum.store.experiment import read_experiment
from curriculum.store.reader import Run
from curriculum.train.events import StepMetrics
from curriculum.train.hooks import on

SHEET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,{0},1\n40,,{0},1\n"
# Without a spike in any seed, the number of spikes has no margin: it is never decided.
FILE = "config: color\nseeds: 0:8\nbaseline: slow\nprimary: [{0}]\narms: {{slow: slow.csv, fast: fast.csv}}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slow.csv").write_text(SHEET.format(0.001))
    (tmp_path / "fast.csv").write_text(SHEET.format(0.01))
    (tmp_path / "clear.yaml").write_text(FILE.format("final"))
    (tmp_path / "open.yaml").write_text(FILE.format("H1b"))
    return tmp_path


def grow(here, folder, name, *more):
    return here("experiment", folder / f"{name}.yaml", "--until-decided", "--runs", folder / "runs", "--json", *more)


def seeds_of(folder, name):
    return [list(Run(folder / "runs" / name / arm).seeds) for arm in ("slow", "fast")]


def test_looks_spend_what_is_allowed_and_none_is_wasted():
    looks = plan_looks(8, 100, 3)
    assert [look.seeds for look in looks] == [16, 32, 64, 100]  # 8 pairs could not find anything in 3 tests
    assert sum(look.alpha for look in looks) == pytest.approx(ALPHA)
    assert looks[0].alpha == pytest.approx(spent(0.16))
    assert plan_looks(8, 8, 20) == []


@pytest.mark.slow
def test_what_is_decided_at_the_first_look_does_not_grow(here, folder):
    done = grow(here, folder, "clear", "--max-seeds", "16")
    assert done.code == 0, done.err
    assert "look 1 of 2, 8 seeds: every measure that is judged is decided" in done.err
    assert seeds_of(folder, "clear") == [list(range(8))] * 2
    found = json.loads(done.out)
    share = spent(0.5) / ALPHA
    # Both final errors differ in all pairs: Holm multiplies the smaller p by 2, the looks by the share that this one may spend.
    assert [verdict["p_corrected"] for verdict in found["guards"]] == pytest.approx([2 * 2**-7 / share] * 2)
    assert [verdict["verdict"] for verdict in found["guards"]] == ["supported"] * 2
    assert any("look 1 of 2" in note for note in found["notes"])
    assert "% interval" in here("compare", "clear", "--runs", folder / "runs", "--format", "markdown").out


@pytest.mark.slow
def test_what_is_open_grows_to_the_last_look_and_is_compared_by_it_ever_after(here, folder):
    done = grow(here, folder, "open", "--max-seeds", "16")
    assert done.code == 0, done.err
    assert re.findall(r"look (\d) of 2, (\d+) seeds: 1 of 1 tests inconclusive \(H1b\)", done.err) == [("1", "8"), ("2", "16")]
    assert seeds_of(folder, "open") == [list(range(16))] * 2
    assert Run(folder / "runs/open/slow/blocks/8-15").manifest["stack"] == ["slow", "fast"]
    for names in (["open"], [folder / "runs/open/fast", folder / "runs/open/slow"]):
        found = json.loads(here("compare", *names, "--runs", folder / "runs", "--json").out)
        assert found["look"]["number"] == 2
        assert found["look"]["alpha"] == pytest.approx(ALPHA - spent(0.5))
    again = grow(here, folder, "open", "--max-seeds", "16")
    assert "look 1" not in again.err
    assert "training" not in again.err


@pytest.mark.slow
def test_looks_stay_as_they_were_planned(folder, here):
    grow(here, folder, "clear", "--max-seeds", "16")
    with pytest.raises(CurriculumError, match=r"began with looks at 8, 16 seeds, not at 8, 16, 32: .* --max-seeds 16"):
        plan_growing(str(folder / "clear.yaml"), folder / "runs", 32)


@pytest.mark.slow
def test_runs_that_were_there_before_are_marked(folder, here):
    assert here("experiment", folder / "clear.yaml", "--runs", folder / "runs").code == 0
    found = json.loads(grow(here, folder, "clear", "--max-seeds", "16").out)
    assert found["look"]["late"]
    assert any("there were runs before --until-decided" in note for note in found["notes"])


def test_an_interrupted_block_resumes_and_ends_as_it_would_have(folder):
    def grown(runs, train):
        growing = plan_growing(str(folder / "open.yaml"), runs, 16, overrides=["record.checkpoint_every=10"])
        return train_until_decided(growing, train, lambda place, chosen: compare(chosen, baseline=0, primary=["H1b"]))

    def plain(plans, paths):
        return execute_all(plans, paths, figures=False)

    def cut(plans, paths):
        if 8 not in plans[0].seeds:
            return plain(plans, paths)

        def stop(event):
            if event.step == 25:
                raise KeyboardInterrupt

        return execute_all(plans, paths, figures=False, watch=[on(StepMetrics)(stop)])

    grown(folder / "whole", plain)
    with pytest.raises(KeyboardInterrupt):
        grown(folder / "cut", cut)
    resumed = []
    grown(folder / "cut", lambda plans, paths: resumed.append([path.name for path in paths]) or plain(plans, paths))
    assert resumed == [["8-15", "8-15"]]
    for arm in ("slow", "fast"):
        one, other = (Run(folder / runs / "open" / arm).traces["loss.hues"] for runs in ("whole", "cut"))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-seeds", "16"], "--max-seeds belongs to --until-decided"),
        (["--until-decided", "--accept-changed-code"], "--accept-changed-code cannot be combined with --until-decided"),
        (["--until-decided", "--max-seeds", "4"], "--max-seeds 4 is too few: the experiment has 8 seeds"),
    ],
)
def test_what_cannot_grow_is_refused(folder, process, options, message, tree):
    done = process("experiment", folder / "clear.yaml", *options, "--runs", folder / "runs")
    assert done.code == 2
    assert message in done.err
    assert not (folder / "runs").exists()


def test_a_dry_run_lists_the_looks_and_writes_nothing(folder, here):
    done = here("experiment", folder / "clear.yaml", "--until-decided", "--dry-run", "--runs", folder / "runs")
    assert "looks, until every measure that is judged is decided, at this many seeds: 16 (p up to" in done.out
    assert read_experiment(folder / "runs/clear") is None
    assert not (folder / "runs").exists()


def row(d):
    what = {"id": "x", "title": "x", "unit": "", "effect": "ratio", "better": "lower", "window": "whole", "needs": ""}
    return Measured(0, 1, values=(tuple(10**d), (1.0,) * len(d)), value=1.0, judged=True, **what)


def test_looks_find_false_differences_as_seldom_as_one_test_and_naive_looks_do_not(monkeypatch):
    """Differences around 0, with a look at 16, 32 and 64 pairs, each with all that is allowed or its own part of it."""
    monkeypatch.setattr(stats, "RESAMPLES", 99)
    rng, looks = np.random.default_rng(3), plan_looks(16, 64, 1)
    naive, planned = 0, 0
    for _ in range(600):
        d = rng.standard_t(3, 64)
        found = {"naive": False, "planned": False}
        for look in looks:
            places = tuple(range(look.seeds))
            pairing = Pairing(0, 1, places, places, paired=True, tested=True)
            for name, share in (("naive", 1.0), ("planned", look.alpha / ALPHA)):
                (verdict,) = verdicts.correct([estimated(row(d), pairing, SmallestEffect(), 1, share)], share)
                found[name] |= verdict.is_decided
        naive, planned = naive + found["naive"], planned + found["planned"]
    assert planned / 600 <= 0.05
    assert naive / 600 > 0.06
