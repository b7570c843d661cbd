"""Export runs as tables and for TensorBoard: what is read back is what is stored."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import stored_classifier
from curriculum import StepMetrics, on, track
from curriculum import run as train
from curriculum.store.reader import Run

FILES = ["README.md", "curves.csv", "metrics.csv", "schedule.csv", "seeds.csv"]


def read(path: Path, **more) -> pd.DataFrame:
    return pd.read_csv(path, **more)


def equal(found, stored) -> None:
    np.testing.assert_array_equal(np.asarray(found, dtype=stored.dtype), stored)


def tracked(path: Path, seed: int, every: int, lost: bool = False) -> None:
    with track(path, sheet="a.csv", seed=seed, metrics={"accuracy": "higher"}) as run:
        for step, _ in run.steps():
            run.log(loss=float("nan") if lost and step > 5 else 1 / (step + 1))
            if step % every == 0:
                run.log(accuracy=step / 10, run=step)


def test_the_tables_of_a_run_have_its_numbers(bench, here):
    done = here("export", "a")
    assert done.code == 0, done.err
    assert done.out == "a-csv: 5 files of a\n"
    run, folder = Run(Path("runs/a")), Path("a-csv")
    assert sorted(path.name for path in folder.iterdir()) == FILES
    metrics = read(folder / "metrics.csv")
    assert list(metrics) == ["run", *run.metrics.columns]
    assert set(metrics["run"]) == {"a"}
    for name in run.metrics:
        equal(metrics[name], run.metrics[name].to_numpy())
    curves = read(folder / "curves.csv")
    for name in ("loss.hues", "loss.grid"):
        own = curves.dropna(subset=[name])
        equal(own["step"], run.traces[f"{name}.steps"])
        equal(own[name], run.traces[name][:, 0])
    assert len(curves["loss.grid"].dropna()) < len(curves)
    schedule = read(folder / "schedule.csv")
    assert list(schedule) == ["run", "step", "phase", "action", *run.schedule.properties]
    equal(schedule[list(run.schedule.properties)], run.schedule.values)
    assert set(schedule["phase"]) == {"Primary & secondary"}


def test_the_readme_says_what_every_column_is(bench, here):
    assert here("export", "a").code == 0
    text = Path("a-csv/README.md").read_text()
    for name in FILES[1:]:
        section = text.partition(f"## {name}\n")[2].partition("## ")[0]
        table = read(Path("a-csv", name))
        assert f"; {len(table):,} rows." in section
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(table)[1:]
    assert "40 of 40 steps" in text
    assert "each value is more than one number: `latents.g5`" in text
    assert "| `loss.hues` | the error on the probe `hues`" in text


def test_curves_that_are_no_errors_are_not_called_so(empty, here):
    assert here("train", "-c", "control-cartpole-easy", "-d", "control-combined", "--steps", "3", "--name", "c").code == 0
    assert here("export", "c").code == 0
    text = Path("c-csv/README.md").read_text()
    assert "| `gradient.cosine` | a curve of the task |" in text
    assert "| `loss.test` | the error on the probe `test` (" in text


def test_scores_and_measures_of_the_tasks_own_are_exported(empty, here):
    own = {"own_measures": [{"id": "calm", "title": "calmness", "unit": "dB"}]}
    run = stored_classifier(
        empty / "runs" / "easy", accuracy=np.array([0.9, 0.8]), look=own, exhibits={"measure.calm": np.array([0.1, np.nan])}
    )
    assert here("export", "easy").code == 0
    seeds = read(Path("easy-csv/seeds.csv"), keep_default_na=False)
    assert list(seeds["measure.calm"]) == ["0.1", "NaN"]
    curves = read(Path("easy-csv/curves.csv"))
    equal(curves["score.accuracy.test"], run.traces["score.accuracy.test"].reshape(-1))
    text = Path("easy-csv/README.md").read_text()
    assert "a measure of the task: calmness, in dB" in text
    assert "the score `accuracy` on the probe `test`; shown times 100, in %; higher is better" in text


def test_what_is_missing_is_empty_and_what_is_no_number_is_told(empty, here):
    (empty / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    tracked(Path("runs/mine"), 0, every=2)
    tracked(Path("runs/mine"), 3, every=5, lost=True)
    assert here("export", "mine").code == 0
    metrics = read(Path("mine-csv/metrics.csv"), keep_default_na=False).set_index(["step", "seed"])
    assert metrics.loc[(6, 3), "total"] == "NaN"
    assert metrics.loc[(6, 3), "accuracy"] == ""
    assert metrics.loc[(6, 0), "accuracy"] == "0.6"
    curves = read(Path("mine-csv/curves.csv"))
    assert [tuple(row) for row in curves[["step", "seed"]].to_numpy()] == [(0, 0), (0, 3), (2, 0), (4, 0), (5, 3), (6, 0), (8, 0)]
    # A metric that is called as the column with the run's name is not hidden by that.
    assert list(read(Path("mine-csv/metrics.csv"))).count("run") == 1
    seeds = read(Path("mine-csv/seeds.csv"), index_col="seed")
    assert seeds.loc[3, "diverged"] == "loss at step 6"
    assert pd.isna(seeds.loc[0, "diverged"])


def scalars(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: ([own.step for own in events.Scalars(tag)], [own.value for own in events.Scalars(tag)]) for tag in tags}


def test_tensorboard_reads_the_stored_numbers(empty, here):
    pytest.importorskip("tensorboard")
    assert here("train", "-d", "smooth.csv", "--name", "a", "--steps", "30", "--seeds", "0,5").code == 0
    done = here("export", "a", "--format", "tensorboard", "--json")
    assert done.code == 0, done.err
    (written,) = json.loads(done.out)
    assert written["path"] == "a-tensorboard"
    assert sorted(Path(name).parent.name for name in written["files"]) == ["schedule", "seed-0", "seed-5"]
    run = Run(Path("runs/a"))
    for place, seed in enumerate(run.seeds):
        found = scalars(Path(f"a-tensorboard/seed-{seed}"))
        rows = run.metrics[run.metrics["seed"] == seed]
        for name in ("total", *run.terms):
            there = rows[rows[name].notna()]
            steps, values = found.get(f"metrics/{name}", ([], []))
            assert steps == list(there["step"])
            equal(values, there[name].to_numpy())
        for probe in ("hues", "grid"):
            assert found[f"loss/{probe}"][0] == list(run.traces[f"loss.{probe}.steps"])
            equal(found[f"loss/{probe}"][1], run.traces[f"loss.{probe}"][:, place])
    schedule = scalars(Path("a-tensorboard/schedule"))
    assert set(schedule) == {f"schedule/{name}" for name in run.schedule.properties}
    for name in run.schedule.properties:
        equal(schedule[f"schedule/{name}"][1], run.schedule.column(name).astype(np.float32))


def test_tensorboard_gets_the_settings_as_hyperparameters_and_what_is_no_number(empty, here):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    (empty / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    tracked(Path("runs/mine"), 3, every=5, lost=True)
    assert here("export", "mine", "--format", "tensorboard", "-o", "logs").code == 0
    found = scalars(Path("logs/seed-3"))
    assert found["metrics/accuracy"] == ([0, 5], [0.0, 0.5])
    assert found["score/accuracy.logged"] == ([0, 5], [0.0, 0.5])
    assert found["metrics/total"][0] == list(range(10))
    assert np.isnan(found["metrics/total"][1][6:]).all()
    assert here("train", "-d", "smooth.csv", "--name", "b", "--steps", "5", "--set", "task.hidden=7").code == 0
    assert here("export", "b", "--format", "tensorboard").code == 0
    events = EventAccumulator("b-tensorboard/seed-0")
    events.Reload()
    data = HParamsPluginData.FromString(events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    settings = data.session_start_info.hparams
    assert settings["task.hidden"].number_value == 7
    assert settings["sheet"].string_value == "smooth.csv"
    assert settings["seed"].number_value == 0


def test_without_tensorboard_a_sentence_says_what_to_install(bench, process):
    fake = bench / "fake" / "tensorboard"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('not here')")
    path = os.pathsep.join([str(fake.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = process("export", "a", "--format", "tensorboard", cwd=bench, env={"PYTHONPATH": path})
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith("install it with: pip install tensorboard")
    assert not (bench / "a-tensorboard").exists()


def test_several_runs_and_an_experiment(bench, here):
    assert here("export", "a", "b").out == "a-csv: 5 files of a\nb-csv: 5 files of b\n"
    assert here("export", "a", "b", "-o", "both").out == "both: 10 files of a, b\n"
    assert read(Path("both/b/metrics.csv")).equals(read(Path("b-csv/metrics.csv")))
    assert here("export", "a", "a", "-o", "one").out == "one: 5 files of a\n"
    shutil.copytree("runs", "runs/study")
    assert here("export", "study").out == "study-csv: 10 files of a, b\n"
    assert sorted(path.name for path in Path("study-csv").iterdir()) == ["a", "b"]
    shutil.move("runs/b", "runs/study/other")
    assert "there is no run 'othr', did you mean 'study/other'?" in here("export", "a", "othr").err
    clash = here("export", "a", "study/a", "-o", "out")
    assert clash.code == 2
    assert "have the same name" in clash.err


def test_an_output_is_replaced_with_force_and_only_if_it_is_an_export(bench, here, tree):
    Path("a-csv").mkdir()
    Path("a-csv/notes.txt").write_text("mine")
    assert here("export", "a").code == 1
    refused = here("export", "a", "--force")
    assert refused.code == 1
    assert "a-csv has other files than those of an export" in refused.err
    assert Path("a-csv/notes.txt").read_text() == "mine"
    assert here("export", "a", "-o", "out").code == 0
    again = here("export", "a", "-o", "out")
    assert again.code == 1
    assert "out already exists: choose another name, or replace it with --force" in again.err
    assert here("export", "b", "-o", "out", "--force").code == 0
    assert "stepped.csv" in Path("out/README.md").read_text()
    Path("link").symlink_to("out")
    before = tree(bench / "out")
    assert here("export", "a", "-o", "link", "--force").code == 1
    assert tree(bench / "out") == before
    assert [path.name for path in bench.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["aa"], 2, "there is no run 'aa', did you mean 'a'?"),
        (["a", "-o", "no/where"], 2, "cannot write no/where: the folder no does not exist"),
        (["a", "-o", "file/out"], 2, "cannot write file/out: file is not a folder"),
        (["a", "-o", "."], 2, "pass the name of a new folder"),
        (["a", "--format", "xlsx"], 2, "'xlsx' is not one of"),
        (["a", "bad"], 1, "the run runs/bad is damaged: runs/bad/traces.safetensors: its hash differs"),
        (["a", "fresh"], 1, "runs/fresh has no trained steps yet"),
        (["timeless", "--format", "tensorboard"], 1, "runs/timeless/run.json: created: 'yesterday' is not a time"),
    ],
)
def test_mistakes_are_named_and_nothing_is_left_behind(bench, here, args, code, said, tree):
    Path("file").write_text("")
    shutil.copytree("runs/a", "runs/bad")
    data = bytearray(Path("runs/bad/traces.safetensors").read_bytes())
    data[-1] ^= 1
    Path("runs/bad/traces.safetensors").write_bytes(data)
    shutil.copytree("runs/a", "runs/timeless")
    manifest = json.loads(Path("runs/a/run.json").read_text())
    manifest.pop("sha256")
    Path("runs/timeless/run.json").write_text(json.dumps({**manifest, "created": "yesterday"}))
    (bench / "a.csv").write_text("STEP,lr\n0,0.1\n9,\n")
    with pytest.raises(ZeroDivisionError), track("runs/fresh", sheet="a.csv", seed=0, metrics={}):
        raise ZeroDivisionError
    done = here("export", *args)
    assert done.code == code, done.err
    assert said in done.err
    assert not {path.name for path in bench.iterdir()} - {"runs", "file", "a.csv", "a-csv"}
    if Path("a-csv").exists():
        assert sorted(tree(Path("a-csv"))) == FILES


def test_a_run_that_was_stopped_is_exported_as_far_as_it_came(empty, here):
    @on(StepMetrics)
    def stop(event):
        if event.step == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("color", "smooth.csv", steps=40, hooks=[stop], folder="runs", overrides=["record.checkpoint_every=10"])
    assert here("export", "smooth").code == 0
    run = Run(Path("runs/smooth"))
    assert run.status == "interrupted"
    assert 20 <= run.trained_steps < 40
    assert list(read(Path("smooth-csv/metrics.csv"))["step"]) == list(range(run.trained_steps))
    assert list(read(Path("smooth-csv/schedule.csv"))["step"]) == list(range(run.trained_steps))


def test_seeds_that_are_not_joined_yet_are_told(bench, here):
    shutil.copytree("runs/a", "runs/a/blocks/1")
    document = json.loads(Path("runs/a/blocks/1/run.json").read_text())
    document = {**document, "status": "interrupted", "seeds": [1], "block_of": "a", "name": "1"}
    document.pop("sha256")
    Path("runs/a/blocks/1/run.json").write_text(json.dumps(document))
    done = here("export", "a")
    assert done.code == 0, done.err
    assert "note: runs/a: 1 of 2 seeds was stopped before its end (seed 1)" in done.err
    assert set(read(Path("a-csv/metrics.csv"))["seed"]) == {0}


def test_an_export_that_is_killed_leaves_no_folder_of_that_name(bench, here):
    code = """
import os, signal
from pathlib import Path
from curriculum.store import csv_export
from curriculum.store.exporting import export, plan_exports
from curriculum.store.reader import Run
csv_export.about = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
export(plan_exports([Run(Path("runs/a"))], "csv", None, None), "csv", False)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not Path("a-csv").exists()
    assert here("export", "a").code == 0
