"""Several schedules in one stack, experiments, and comparisons of many seeds."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control

import curriculum
from batches import NO_KEYS, batch_of
from curriculum.draw.motion import task_of
from curriculum.errors import ConfigError, InputError, OutputExistsError
from curriculum.measure import effects
from curriculum.measure.comparison import compare
from curriculum.measure.metric import label
from curriculum.runner.again import replay_steps
from curriculum.runner.arms import run_study, study_of
from curriculum.runner.execute import execute, execute_all, run
from curriculum.runner.experiment_file import plan_study
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.checkpoint import steps_in
from curriculum.store.files import digest, read_safetensors, sealed, to_safetensors
from curriculum.store.reader import Run
from curriculum.train.ensemble import Ensemble
from curriculum.train.stack import initial_parameters, join_batches

# Repulsion only where no two colors of a batch are nearly equal: there it is chaotic, and no two runs agree for long.
EARLY = """STEP,PHASE,ACTION,lr,loss-recon,reg-separate,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,0.1,0.1,0,0,0
20,All hues,anchor,,,0,,0.5,0.5,0.5
120,,,,,,,,1,1
"""
LATE = EARLY.replace("20,All hues", "60,All hues")


def plans(seeds="0:3", **options):
    return [plan("ex-1.6", parse(text), seeds=seeds, **options) for text in (EARLY, LATE)]


def test_an_arm_in_a_stack_trains_as_it_does_alone():
    """While one arm is still in its first phase its batches of 6 are filled up to the other's 32."""
    together = execute_all(plans(), [None, None])
    for one, joint in zip(plans(), together, strict=True):
        alone = execute(one, None)
        for name, value in alone.parameters.items():
            torch.testing.assert_close(joint.parameters[name], value, atol=1e-4, rtol=1e-3)
        assert set(joint.losses) == set(alone.losses)


@pytest.mark.parametrize(
    ("config", "options", "difference"),
    [
        ("ex-1.6", {"overrides": ["task.hidden=8"]}, "task.hidden (16 and 8)"),
        ("ex-1.6", {"overrides": ["optimizer.eps=1e-3"]}, "optimizer.eps (1e-08 and 0.001)"),
        ("ex-1.6", {"overrides": ["threads=2"]}, "threads (1 and 2)"),
        ("ex-1.6", {"steps": 41}, "steps (121 and 41)"),
        ("color", {}, "task.sample_weighting (sum and mean)"),
    ],
)
def test_arms_that_do_not_agree_are_refused_before_anything_is_written(tmp_path, tree, config, options, difference):
    """Training takes these from the first arm: another arm would be stored with a config that it was not trained with."""
    own, other = plan("ex-1.6", parse(EARLY, "early.csv")), plan(config, parse(LATE, "late.csv"), **options)
    with pytest.raises(InputError) as raised:
        execute_all([own, other], [tmp_path / "early", tmp_path / "late"])
    for text in ("arms of one stack must share", f"{tmp_path}/early (early.csv)", f"{tmp_path}/late (late.csv)", difference):
        assert text in str(raised.value)
    assert tree(tmp_path) == {}
    with pytest.raises(InputError, match=r"arm 1 \(early.csv\) and arm 2 \(late.csv\)"):
        execute_all([own, other], [None, None])


def test_arms_may_differ_in_what_training_does_not_share(tmp_path):
    made = [
        plan("ex-1.6", parse(EARLY), seeds=own, overrides=[f"record.checkpoint_every={every}"]) for own, every in ((0, 90), ("0:2", 30))
    ]
    execute_all(made, [tmp_path / "a", tmp_path / "b"], figures=False)
    # Each has at least the checkpoints that its config asks for.
    assert steps_in(tmp_path / "b") == [30, 60, 90, 120, 121]


def test_two_arms_cannot_be_stored_in_one_place(tmp_path, tree):
    with pytest.raises(InputError, match="two arms of one stack cannot both be stored in"):
        execute_all(plans(), [tmp_path / "same", tmp_path / "same"])
    assert tree(tmp_path) == {}


def test_filled_up_samples_change_neither_losses_nor_gradients():
    checked = plans()[0]
    task = checked.task
    layout, flat = initial_parameters(task, [0, 1, 0, 1])
    flat = flat.double()
    task.colors = {name: colors.double() for name, colors in task.colors.items()}
    small = task.batches(checked.schedule, range(0, 1), [0, 1])
    large = task.batches(checked.schedule, range(30, 31), [0, 1])
    joined = {name: values[0] for name, values in join_batches([small, large]).items()}
    assert joined["colors"].shape == (4, 32, 3)
    active = ["loss-recon", "reg-separate", "reg-planar", "reg-norm"]
    parameters, weights = layout.views(flat), torch.ones(4, len(active)).double()
    ensemble = Ensemble(task)
    for compute in (ensemble.gradients, ensemble.differentiate):
        found = compute(parameters, batch_of(joined, active, stack=4), weights, NO_KEYS[:4])
        for part, rows in ((small, slice(0, 2)), (large, slice(2, 4))):
            own = {name: values[0] for name, values in part.items()}
            views = {name: value[rows] for name, value in parameters.items()}
            expected = ensemble.differentiate(views, batch_of(own, active, stack=2), weights[rows], NO_KEYS[:2])
            torch.testing.assert_close(found.terms[rows], expected.terms)
            torch.testing.assert_close(found.gradient[rows], expected.gradient)


def test_batches_are_filled_up_along_every_axis_behind_the_seeds():
    small = {"moves": torch.ones(2, 1, 3, 1), "inside": torch.ones(2, 1, 3, 1, dtype=torch.bool)}
    large = {"moves": torch.ones(2, 2, 4, 3), "inside": torch.ones(2, 2, 4, 3, dtype=torch.bool)}
    joined = join_batches([small, large])
    assert joined["moves"].shape == joined["inside"].shape == (2, 3, 4, 3)
    assert joined["moves"][:, 0].sum() == joined["inside"][:, 0].sum() == 2 * 3
    assert joined["moves"][:, 1:].all()
    assert joined["real"][0].tolist() == [[True, True, True, False], [True] * 4, [True] * 4]


def test_chunks_end_where_a_whole_number_changes():
    checked = plans("0:1")[0]
    drawn = []

    class Counting(type(checked.task)):
        integers = ("data-hues",)

        def batches(self, schedule, steps, seeds):
            drawn.append(steps)
            return super().batches(schedule, steps, seeds)

    counted = replace(checked, task=Counting(checked.config.task))
    execute(counted, None)
    hues = np.round(checked.schedule.column("data-hues"))
    changes = np.flatnonzero(np.diff(hues)) + 1
    assert set(changes) <= {steps.start for steps in drawn}
    assert all(len(set(hues[steps.start : steps.stop])) == 1 for steps in drawn)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    paths = [folder / "early", folder / "late"]
    execute_all(plans("0:8", overrides=["record.snapshot_every=1"]), paths)
    return [Run(path) for path in paths]


def test_the_recorded_curves_are_those_of_the_snapshots(arms):
    stored = arms[0]
    task = task_of(stored)
    ensemble = Ensemble(task)
    probes = {probe.name: probe for probe in task.probes()}
    parameters = {name: torch.from_numpy(np.ascontiguousarray(value[:, 3])) for name, value in stored.snapshots.parameters.items()}
    seen = ensemble.observe(parameters, probes["hues"].inputs)
    np.testing.assert_allclose(stored.traces["loss.hues"][:, 3], task.probe_loss(seen, probes["hues"]), rtol=1e-4)
    latents = ensemble.observe(parameters, probes["g5"].inputs).latents[::10]
    np.testing.assert_allclose(stored.traces["latents.g5"][:, 3], latents, atol=1e-4)
    assert stored.traces["latents.g5.steps"].tolist() == list(range(0, 121, 10))


def test_eight_pairs_are_judged_and_fewer_are_not(arms, tmp_path):
    found = compare(arms)
    assert [verdict.id for verdict in found.verdicts][:3] == ["H1a", "H1b", "H2"]
    assert all(verdict.estimate.n == 8 for verdict in found.verdicts)
    assert "sentence" in found.to_json()["verdicts"][0]
    json.dumps(found.to_json(), allow_nan=False)
    few = [run("ex-1.6", parse(text), seeds="0:7", steps=60, folder=tmp_path, name=name).run for text, name in ((EARLY, "a"), (LATE, "b"))]
    described = compare(few)
    assert not described.verdicts
    assert any("too few seeds to test: a and b share 7 seeds" in note for note in described.notes)


def rows_of(text: str) -> dict[tuple[str, str], list[str]]:
    """Read the tables of measures that a comparison prints: the cells behind the measure and its window."""
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    return {(cells[0], cells[2]): cells[3:] for cells in lines if len(cells) > 3}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["0:8", "0:3", "4:7"])
def test_tables_sentences_and_json_give_the_same_effect(arms, tmp_path, here, seeds):
    """For eight pairs, for too few to test, and for runs without a seed in common."""
    other = arms[1] if seeds == "0:8" else execute(plans(seeds)[1], tmp_path / "late").run
    first = execute(plans("0:3")[0], tmp_path / "early").run if seeds == "4:7" else arms[0]
    printed = here("compare", first.path, other.path, "--runs", tmp_path, "--full").out
    document = json.loads(here("compare", first.path, other.path, "--runs", tmp_path, "--json").out)
    table, shown = rows_of(printed), {}
    for row in (*document["final"], *document["measures"], *document["exploratory"]):
        effect = row["value"]
        if not document["pairs"][0]["windows"].get(row["window"], True):
            continue  # nothing is shown over a window without steps
        *_, cell = table[label(row["id"], row["title"]), row["window"]]
        assert cell == effects.text(np.nan if effect is None else effect, row["effect"], row["unit"])
        if row["judged"]:
            shown[row["id"], row["title"]] = effect, cell
    for verdict in (*document["verdicts"], *document["guards"], *document["explored"]):
        effect, cell = shown[verdict["id"], verdict["title"]]
        assert verdict["value"] == effect
        assert f" {cell} " in verdict["sentence"], cell
    assert bool(document["verdicts"]) == (seeds == "0:8")
    what = "between interquartile means for runs without shared seeds" if seeds == "4:7" else "interquartile mean over pairs"
    assert f"Final error: median over seeds (of counts the mean), and effect ({what})" in printed


def test_a_seed_without_a_value_is_named_and_its_measure_not_judged(arms, here, tmp_path):
    """The error of some seeds of `early` never rises, so that it has no rise time."""
    found = compare(arms)
    (row,) = [row for row in found.exploratory if row.id == "E6"]
    lost = [str(seed) for seed, value in zip(arms[0].seeds, row.values[0], strict=True) if np.isnan(value)]
    assert 0 < len(lost) < 8
    assert np.isfinite(row.values[1]).all()
    assert np.isnan(row.value)
    assert "E6" not in {verdict.id for verdict in found.explored}
    note = f"E6: no value for seeds {', '.join(lost)} of early, so no effect is estimated (needs a rise of the error)"
    assert note in found.notes
    # The steps are too few for the filter of the drift, for every seed alike.
    assert any(note.startswith("H3a, H3b, E4, E5: no value for any seed, so no effect") and "200 steps" in note for note in found.notes)
    assert [own.verdict for own in found.hypotheses if own.id == "H3"] == ["not judged"]


def without_latents(run: Run, seed_index: int, path: Path) -> Run:
    """Copy a run in which one seed has latents that are not numbers."""
    shutil.copytree(run.path, path)
    file, manifest = path / "traces.safetensors", json.loads((path / "run.json").read_text())
    arrays = {name: value.copy() for name, value in read_safetensors(file).items()}
    arrays["latents.g5"][:, seed_index] = np.nan
    file.write_bytes(to_safetensors(arrays))
    manifest["files"][file.name] = digest(file.read_bytes())
    (path / "run.json").write_text(json.dumps(sealed(manifest)))
    return Run(path)


def test_a_primary_measure_without_a_value_for_one_seed_is_not_blamed_on_the_steps(tmp_path):
    early, late = (parse(f"{text}400,,,,,,,,,\n") for text in (EARLY, LATE))
    first, gap, other = (
        execute(plan("ex-1.6", sheet, seeds=seeds), tmp_path / name, figures=False).run
        for name, sheet, seeds in (("first", early, "0:9"), ("gap", early, [0, 1, 2, 3, 4, 6, 7, 8]), ("other", late, "0:9"))
    )
    damaged = without_latents(other, 5, tmp_path / "damaged")
    found = compare([first, damaged])
    assert {"H1a", "H1b", "H2"} == {verdict.id for verdict in found.verdicts}
    assert not {"E4", "E5"} & {verdict.id for verdict in found.explored}
    assert any(note.startswith("H3a, H3b, E4, E5: no value for seed 5 of damaged, so no effect is estimated") for note in found.notes)
    assert not any("too few steps" in note for note in found.notes)
    # Seed 5 has no partner here: the pairs have values, and are judged.
    paired = compare([gap, damaged])
    assert {"H3a", "H3b"} <= {verdict.id for verdict in paired.verdicts}
    assert any(note.startswith("H3a, H3b, E4, E5: no value for seed 5 of damaged (needs") for note in paired.notes)


def texts_of(figure) -> str:
    """Collect all that is written in a figure, also in legends."""
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_figures_show_the_names_that_tell_runs_apart(arms, tmp_path, monkeypatch):
    from curriculum.draw import style
    from curriculum.draw.figures import draw_comparison

    runs = []
    for own, parent in zip(arms, ("one", "two"), strict=True):
        shutil.copytree(own.path, tmp_path / parent / "arm")
        runs.append(Run(tmp_path / parent / "arm"))
    drawn = {}
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.update({path.name: texts_of(figure)}))
    draw_comparison(runs, compare(runs), tmp_path)
    assert set(drawn) == {"losses.png", "schedules.png", "bands.png", "latents.png", "effects.png"}
    for name, texts in drawn.items():
        assert "one/arm" in texts, name
        assert "two/arm" in texts, name
    errors = [sorted(re.findall(rf"{parent}/arm\nbest seed (\d)", drawn["latents.png"])) for parent in ("one", "two")]
    best = [str(run.seeds[int(np.argmin(values))]) for run, values in zip(runs, compare(runs).final[0].values, strict=True)]
    assert errors == [[seed] for seed in best]


def test_a_run_against_an_equal_one_shows_no_effect(tmp_path):
    early, twin = (execute(plans("0:8")[0], tmp_path / name).run for name in ("early", "twin"))
    found = compare([early, twin])
    # Without a spike in any seed, no difference in spikes can be called small.
    assert {verdict.verdict for verdict in found.verdicts if verdict.id != "H1b"} == {"no meaningful difference"}
    assert any("the sheets of early and twin are identical" in note for note in found.notes)


def test_runs_without_shared_seeds_are_compared_unpaired(arms, tmp_path):
    other = execute(plans("100:109")[1], tmp_path / "other").run
    found = compare([arms[0], other])
    assert not any(verdict.estimate.paired for verdict in found.verdicts)
    assert "unpaired" in found.verdicts[0].sentence(found.names)


def test_of_many_seeds_the_frames_of_the_video_are_stored(tmp_path):
    stored = run("ex-1.6", "smooth.csv", seeds="0:2", steps=300, folder=tmp_path).run
    assert stored.snapshots.steps.tolist()[:3] == [0, 1, 2]
    assert stored.snapshots.steps[-1] == 299
    assert len(stored.snapshots.steps) < 300


def study_file(folder, text):
    path = folder / "question.yaml"
    path.write_text(text)
    return str(path)


def test_an_experiment_trains_its_arms_once(tmp_path):
    reference = study_file(tmp_path, "config: ex-1.6\nseeds: 0:2\narms: {smooth: smooth.csv, stepped: stepped.csv}\n")
    study = plan_study(reference, tmp_path / "runs", steps=30)
    assert study.done == (False, False)
    first = run_study(study, execute_all)
    assert [stored.path.name for stored in first] == ["smooth", "stepped"]
    assert first[0].manifest["sheet"] == "smooth.csv"
    assert plan_study(reference, tmp_path / "runs", steps=30).done == (True, True)
    with pytest.raises(OutputExistsError, match=r"smooth already exists, but was created with different inputs: steps = 20, was 30"):
        plan_study(reference, tmp_path / "runs", steps=20, seeds="0:3")


def test_an_experiment_grows_by_seeds_and_its_blocks_train_as_one_stack(tmp_path):
    reference = study_file(tmp_path, "config: ex-1.6\nseeds: 0:2\narms: {smooth: smooth.csv, stepped: stepped.csv}\n")
    run_study(plan_study(reference, tmp_path / "runs", steps=30), execute_all)
    study = plan_study(reference, tmp_path / "runs", steps=30, seeds="0:5")
    assert study.done == (False, False)
    assert study.stacks == [(0, 1)]
    assert [checked.seeds for _, checked, _ in study.parts] == [(2, 3, 4), (2, 3, 4)]
    grown = run_study(study, execute_all)
    assert [stored.seeds for stored in grown] == [(0, 1, 2, 3, 4)] * 2
    assert plan_study(reference, tmp_path / "runs", steps=30, seeds="0:5").done == (True, True)
    assert plan_study(reference, tmp_path / "runs", steps=30, seeds="0:3").done == (True, True)
    for stored in grown:
        assert Run(stored.path / "blocks" / "2-4").manifest["stack"] == ["smooth", "stepped"]
        found = replay_steps(stored, 10)
        assert found.problems == ()
        assert [line.partition(":")[0] for line in found.checked] == ["block 0-1", "block 2-4"]


def test_the_arms_of_a_study_that_cannot_share_a_stack_are_trained_apart(tmp_path):
    wide, narrow = plans(0), plans(0, overrides=["task.hidden=8"])
    stacks = []

    def train(plans, paths):
        stacks.append([path.name for path in paths])
        return execute_all(plans, paths, figures=False)

    runs = run_study(study_of(("a", "b", "c"), (wide[0], narrow[0], wide[1]), tmp_path / "study"), train)
    assert stacks == [["a", "c"], ["b"]]
    assert [stored.manifest["parameters"]["encoder.0.weight"][0] for stored in runs] == [16, 8, 16]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("config: ex-1.6\nseeds: 0:2\narm: {a: smooth.csv}\n", ConfigError, "3:1: unknown setting 'arm', did you mean 'arms'"),
        ("config: ex-1.6\nseeds: 2:0\narms: {a: smooth.csv}\n", ConfigError, "2:1: seeds cannot be '2:0'"),
        ("config: ex-1.6\nseeds: 0:2\narms: {a: smoth.csv, b: stepped.csv}\n", InputError, "did you mean 'smooth.csv'"),
        ("config: ex-1.7\nseeds: 0:2\narms: {a: smooth.csv, b: stepped.csv}\n", InputError, "did you mean 'ex-1.6'"),
        ("config: ex-1.6\nseeds: 0:2\narms: {../a: smooth.csv, b: stepped.csv}\n", InputError, "cannot be a name"),
        (
            "config: ex-1.6\nseeds: 0:2\narms: {a: smooth.csv}\n",
            ConfigError,
            "3:1: arms cannot be {'a': 'smooth.csv'}: an experiment needs at least two",
        ),
        ("[1]\n", ConfigError, "mapping of settings"),
    ],
)
def test_mistakes_in_an_experiment_have_their_place(tmp_path, text, error, message):
    with pytest.raises(error) as raised:
        plan_study(study_file(tmp_path, text), tmp_path / "runs")
    assert message in str(raised.value)
    assert not (tmp_path / "runs").exists()


def test_the_baseline_and_the_smallest_effect_can_be_chosen(arms):
    from typer.testing import CliRunner

    from curriculum.cli.app import app

    folder = str(arms[0].path.parent)
    options = ["--runs", folder, "--baseline", "late", "--smallest-ratio", "0.98", "--json"]
    found = json.loads(CliRunner().invoke(app, ["compare", "early", "late", *options]).stdout)
    assert [own["name"] for own in found["runs"]] == ["early", "late"]
    assert found["smallest"] == {"ratio": 0.98, "own": {}}
    assert all(": early " in verdict["sentence"] for verdict in found["verdicts"])
    assert [verdict["margin"] for verdict in found["verdicts"] if verdict["id"] == "H1a"] == [pytest.approx([1 / 1.98, 1.98])]


def test_effects_of_unpaired_runs_are_drawn(arms, tmp_path):
    from curriculum.draw.figures import draw_comparison

    other = execute(plans("100:109")[1], tmp_path / "other").run
    draw_comparison([arms[0], other], compare([arms[0], other]), tmp_path)
    assert (tmp_path / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_trained_before_a_hook_failed_is_stored_in_full(tmp_path):
    from curriculum import PreStep, StepMetrics, on
    from curriculum.errors import CurriculumError

    @on(PreStep)
    def break_down(event):
        if event.step == 47:
            raise ValueError("no more")

    @on(StepMetrics)
    def slow_down(event):
        from curriculum import Retarget

        return Retarget("lr", 0.001, 30) if event.step == 46 else None

    with pytest.raises(CurriculumError, match="break_down failed at step 47"):
        run("ex-1.6", parse(EARLY), hooks=[break_down, slow_down], folder=tmp_path, name="broken")
    stored = Run(tmp_path / "broken")
    assert stored.status == "failed"
    assert stored.trained_steps == len(stored.metrics) == len(stored.schedule) == 47
    assert stored.snapshots.steps[-1] in (46, 47)


def test_runs_of_different_length_are_compared_at_the_steps_both_have_and_counts_per_thousand(arms, tmp_path):
    shorter = execute(plans("0:8", steps=90)[1], tmp_path / "shorter").run
    found = compare([arms[0], shorter], unequal=True)
    assert found.pairs[0].windows["whole"] == ((60, 89),)
    rows = {(row.id, row.window): row for row in found.measures}
    count, rate = rows["H1b", "whole"], rows["H1b", "whole, per 1,000 steps"]
    assert rate.values[0] == pytest.approx([value * 1000 / 30 for value in count.values[0]])
    assert any("stability is measured over the common steps" in note for note in found.notes)
    # A rate says what its count says: it is shown, and none of the family of either correction.
    rates = [row for row in (*found.measures, *found.exploratory) if "per 1,000" in row.window]
    assert {row.id for row in rates} == {"H1b", "E10"}
    assert not any(row.judged for row in rates)
    explored = [verdict.id for verdict in found.explored]
    assert explored.count("E10") == 1
    assert len(set(explored)) == len(explored)
    rows = {row.id: row for row in found.exploratory if row.judged}
    assert [verdict.value for verdict in found.explored] == [rows[name].value for name in explored]
    expected = false_discovery_control([verdict.p for verdict in found.explored])
    assert [verdict.p_corrected for verdict in found.explored] == pytest.approx(list(expected))
    same_length = compare(arms)
    assert not any("per 1,000" in row.window for row in same_length.measures)


def test_runs_are_compared_from_python_by_path_name_or_result(bench):
    runs = [Run(bench / "runs" / name) for name in "ab"]
    expected = compare(runs).to_json()
    for chosen in (runs, ["a", "b"], [bench / "runs" / "a", "runs/b"], [replace(run("ex-1.6", parse(EARLY), steps=2), run=runs[0]), "b"]):
        assert [run["name"] for run in curriculum.compare(chosen).to_json()["runs"]] == ["a", "b"]
    assert json.dumps(curriculum.compare(runs).to_json()) == json.dumps(expected)
    shutil.move(bench / "runs", bench / "elsewhere")
    assert curriculum.compare(["a", "b"], folder="elsewhere").names == ("a", "b")
    assert not (bench / "elsewhere" / "comparisons").exists()


def test_what_cannot_be_compared_from_python_is_refused(bench):
    result = run("ex-1.6", parse(EARLY), steps=2)
    for chosen, says in (
        ("a", "compare takes at least two runs, or the name of an experiment, not 'a' alone"),
        (["a", "nosuch"], "there is no run 'nosuch'"),
        (["a", result], "train it with folder="),
        (["a", 3], "cannot compare 3"),
        (["a"], "two"),
    ):
        with pytest.raises(InputError, match=re.escape(says)):
            curriculum.compare(chosen)
