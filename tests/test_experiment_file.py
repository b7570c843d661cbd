"""What the file of an experiment says of its arms: names, colors, settings, the baseline, and what is judged."""

import json
from dataclasses import replace

import pytest
from matplotlib.text import Text

import curriculum
from curriculum.draw import style
from curriculum.errors import InputError
from curriculum.measure.looks import Look, spent
from curriculum.store.experiment import read_experiment
from curriculum.store.reader import Run

SHEET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,{0},1\n40,,{0},1\n"
FILE = """
config: color
seeds: 0:8
baseline: slow
primary: [final]
arms:
  slow: slow.csv
  fast: {sheet: fast.csv, label: "High rate", color: "#aa3377"}
  narrow:
    sheet: fast.csv
    set: {optimizer.eps: 1.0e-3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make two sheets and the file of an experiment."""
    made = tmp_path_factory.mktemp("file")
    (made / "slow.csv").write_text(SHEET.format(0.001))
    (made / "fast.csv").write_text(SHEET.format(0.01))
    (made / "race.yaml").write_text(FILE)
    return made


@pytest.fixture(scope="module")
def done(folder, here):
    """Train and compare it."""
    return here("experiment", folder / "race.yaml", "--runs", folder / "runs", "--json")


def test_others_are_measured_against_the_baseline_by_what_is_primary(done):
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [run["name"] for run in found["runs"]] == ["slow", "High rate", "narrow"]
    assert [run["color"] for run in found["runs"]] == [None, "#aa3377", None]
    assert [(pair["first"], pair["other"]) for pair in found["pairs"]] == [(1, 0), (2, 0)]
    assert {verdict["id"] for verdict in (*found["verdicts"], *found["guards"])} == {"final"}
    assert found["tests"] == len(found["guards"]) == 4  # two probes, two pairs
    assert found["primary"] == ["final"]
    assert "High rate x" in found["guards"][0]["sentence"]
    assert {"H1a", "H2"} <= {verdict["id"] for verdict in found["explored"]}


def test_an_arm_has_its_own_settings_and_a_stack_of_its_own(done, folder):
    texts = {name: Run(folder / "runs/race" / name).config_text for name in ("slow", "fast", "narrow")}
    assert texts["slow"] == texts["fast"]
    assert "eps: 0.001" in texts["narrow"]
    assert Run(folder / "runs/race/slow").manifest["stack"] == ["slow", "fast"]
    assert "stack" not in Run(folder / "runs/race/narrow").manifest
    assert any("different configs" in note for note in json.loads(done.out)["notes"])


def test_naming_the_experiment_compares_it_by_its_own_rules(done, folder, here):
    again = here("compare", "race", "--runs", folder / "runs", "--json")
    first, second = json.loads(done.out), json.loads(again.out)
    assert {key: second[key] for key in ("pairs", "guards", "tests", "folder")} == {
        key: first[key] for key in ("pairs", "guards", "tests", "folder")
    }
    other = json.loads(here("compare", "race", "--primary", "H2", "--runs", folder / "runs", "--json").out)
    assert other["primary"] == ["H2"]
    assert {verdict["id"] for verdict in other["verdicts"]} == {"H2"}
    assert other["guards"] == []


@pytest.mark.parametrize("name", ["fast", "High rate", "race/fast"])
def test_another_baseline_is_named_like_the_arm(done, folder, here, name):
    found = here("compare", "race", "--baseline", name, "--runs", folder / "runs", "--json")
    assert found.code == 0, found.err
    assert [(pair["first"], pair["other"]) for pair in json.loads(found.out)["pairs"]] == [(0, 1), (2, 1)]
    found = here("power", "race", "--baseline", name, "--runs", folder / "runs")
    assert found.code == 0, found.err
    assert "slow against High rate" in found.out
    assert list(curriculum.compare("race", folder=folder / "runs", baseline=name).table["against"]) == ["High rate"] * 4


@pytest.mark.parametrize("command", ["compare", "power"])
def test_a_baseline_that_is_no_arm_is_said(done, folder, here, command):
    found = here(command, "race", "--baseline", "fsat", "--runs", folder / "runs")
    assert found.code == 2
    assert "there is no arm 'fsat' in race, did you mean 'fast'? (allowed: slow, fast, narrow)" in found.err, found.err


def test_power_names_the_pairs_that_pairing_does_not_help(done, folder, here):
    found = here("power", "race", "--runs", folder / "runs")
    assert " pairs of slow, High rate and narrow;" in found.out, found.out
    said = "".join(line for line in found.out.splitlines() if line.startswith("pairing by seed does not help here: "))
    names = ["slow", "High rate", "narrow"]
    for own in json.loads(here("power", "race", "--runs", folder / "runs", "--json").out):
        pair = f"{own['title']} ({names[own['first']]} against {names[own['other']]})"
        assert (pair in said) == (own["saved"] <= 1), found.out


def test_a_single_look_has_the_level_of_a_comparison(done, folder):
    found = curriculum.compare("race", folder=folder / "runs")
    assert replace(found, look=Look(1, 1, 8, spent(1.0), True, False)).level == found.level == "95%"
    assert replace(found, look=Look(1, 2, 8, 0.0312, True, False)).level == "96.9%"


def test_what_is_said_of_every_table_is_a_command_that_prints_them(done, folder, here):
    found = here("experiment", folder / "race.yaml", "--runs", folder / "runs")
    (line,) = [line for line in found.out.splitlines() if "every table: " in line]
    assert f"every table: curriculum compare race --full --runs {folder / 'runs'}" in line, line


def test_labels_stand_in_texts_figures_and_videos(done, folder, here, monkeypatch):
    texts = []

    def keep(made, path):
        texts.append({text.get_text() for text in made.findobj(Text)})

    monkeypatch.setattr(style, "save", keep)
    assert here("compare", "race", "--runs", folder / "runs").code == 0
    assert sum(any("High rate" in text for text in found) for found in texts) >= 4
    assert not any(text == "fast" for found in texts for text in found)


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(folder, here, tree):
    found = here("experiment", folder / "race.yaml", "--runs", folder / "none", "--dry-run")
    assert found.code == 0
    assert not (folder / "none").exists()
    for text in ("stack 1: slow, fast (16 models)", "stack 2: narrow (8 models)", "against slow, by final: 4 tests", "0.031"):
        assert text in found.out, found.out
    plain = json.loads(here("experiment", folder / "race.yaml", "--runs", folder / "none", "--dry-run", "--json").out)
    assert [arm["state"] for arm in plain["arms"]] == ["new"] * 3
    assert plain["stacks"] == [["slow", "fast"], ["narrow"]]
    assert plain["smallest_p"] == 4 * 2 / 2**8


@pytest.mark.parametrize(
    ("seeds", "said"), [("0:8", "with 8 seeds and 14 tests, p cannot be below 0.11"), ("0:3", "with 3 seeds, nothing is judged")]
)
def test_too_few_seeds_are_said_before_training(folder, here, seeds, said):
    (folder / "many.yaml").write_text(FILE.replace("primary: [final]", "primary: [H1, H2, H3, final]"))
    found = here("experiment", folder / "many.yaml", "--seeds", seeds, "--runs", folder / "none", "--dry-run")
    assert f"warning: {said}" in found.out, found.out


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("baseline: slow", "baseline: slwo", "race.yaml:4:1: baseline cannot be 'slwo': unknown arm 'slwo', did you mean 'slow'?"),
        ("primary: [final]", "primary: [finl]", "race.yaml:5:1: unknown measure or hypothesis 'finl', did you mean 'final'?"),
        ("primary: [final]", "primary: [G5]", "race.yaml:5:1: the measure 'G5' cannot be primary: it is a gate"),
        ("primary: [final]", "primary: []", "race.yaml:5:1: primary cannot be []: name at least one"),
        ('"#aa3377"', "pink", "race.yaml:8:47: arms.fast.color cannot be 'pink': a color is written as '#rrggbb'"),
        ('"High rate"', '""', "race.yaml:8:27: arms.fast.label cannot be '': a label is up to 60 printable characters"),
        ("optimizer.eps", "optimizer.esp", "race.yaml:11:5: unknown setting 'esp', did you mean 'eps'?"),
        ("sheet: fast.csv\n    set", "sheets: fast.csv\n    set", "race.yaml:10:5: unknown setting 'sheets', did you mean 'sheet'?"),
    ],
)
def test_mistakes_have_their_place(tmp_path, folder, here, before, after, message):
    for name in ("slow.csv", "fast.csv"):
        (tmp_path / name).write_text((folder / name).read_text())
    assert before in FILE
    (tmp_path / "race.yaml").write_text(FILE.replace(before, after))
    found = here("experiment", tmp_path / "race.yaml", "--runs", tmp_path / "runs")
    assert found.code == 2
    assert message in found.err, found.err
    assert not (tmp_path / "runs").exists()


def test_a_damaged_record_of_an_experiment_is_said(done, folder, here, tmp_path):
    import shutil

    shutil.copytree(folder / "runs", tmp_path / "runs")
    assert read_experiment(tmp_path / "runs/race").baseline == "slow"
    (tmp_path / "runs/race/experiment.json").write_text('{"arms": {"slow": {"color": "red"}}}')
    found = here("compare", "race", "--runs", tmp_path / "runs")
    assert found.code == 1
    assert "experiment.json is damaged (Value error, a color is written as '#rrggbb'" in found.err


def test_an_experiment_is_compared_from_python_by_its_name(done, folder):
    found = curriculum.compare("race", folder=folder / "runs")
    assert found.names == ("slow", "High rate", "narrow")
    assert list(found.table["against"]) == ["slow"] * 4
    assert list(found.table["verdict"]) == [own.verdict for own in found.guards]
    runs = [folder / "runs/race" / name for name in ("fast", "slow")]
    other = curriculum.compare(runs, baseline=runs[0], metric="H2", better="lower")
    assert other.table[["run", "against", "id"]].to_numpy().tolist() == [["slow", "High rate", "H2"]]
    with pytest.raises(InputError, match=r"loss fluctuation.* is better where it is lower, not higher"):
        curriculum.compare(runs, metric="H2", better="higher")
    with pytest.raises(InputError, match="the baseline 'narrow' is not one of the runs"):
        curriculum.compare(runs, baseline=folder / "runs/race/narrow")


@pytest.mark.slow
def test_runs_that_grew_after_a_look_are_marked(folder, here, tmp_path):
    for seeds in ("0:8", "0:12", "0:12"):
        found = here("experiment", folder / "race.yaml", "--seeds", seeds, "--runs", tmp_path / "runs", "--json")
        assert found.code == 0, found.err
        plain = json.loads(found.out)
        marked = [note for note in plain["notes"] if "compared before with 8 seeds" in note]
        assert (len(marked), plain["earlier_looks"]) == ((0, []) if seeds == "0:8" else (1, [8]))


def test_a_seed_whose_error_is_lost_although_updates_are_skipped_ranks_worst(folder, here, tmp_path, recwarn):
    (tmp_path / "huge.csv").write_text("STEP,PHASE,lr,loss-recon\n0,Primary & secondary,0.001,1\n20,,1e30,1\n40,,1e30,1\n")
    (tmp_path / "lost.yaml").write_text(f"config: color\nseeds: 0:2\narms:\n  huge: huge.csv\n  slow: {folder}/slow.csv\n")
    found = here("experiment", tmp_path / "lost.yaml", "--set", "optimizer.on_nonfinite=skip", "--runs", tmp_path / "runs", "--json")
    assert found.code == 0, found.err
    plain = json.loads(found.out)
    assert "huge: 2 of 2 seeds diverged and rank worst (seed 0, 1)" in plain["notes"]
    rows = {row["id"]: row["values"][0] for row in (*plain["final"], *plain["measures"]) if row["window"] != "elsewhere"}
    assert rows["final"] == rows["H1a"] == rows["H1b"] == ["inf", "inf"]
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]
