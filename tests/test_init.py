"""Start a study from a template: what is in the folder works as it is."""

import importlib.util
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from curriculum.store.reader import Run

NEEDS = {"script": "torch", "lightning": "lightning", "hf": "transformers", "task": "torch"}


@pytest.mark.parametrize("template", ["script", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lightning", "hf", "task"))])
def test_a_new_study_trains_and_compares(process, tmp_path, template):
    if importlib.util.find_spec(NEEDS[template]) is None:
        pytest.skip(f"{NEEDS[template]} is not installed")
    made = process("init", "my-study", "--template", template, cwd=tmp_path)
    assert made.code == 0, made.err
    folder = tmp_path / "my-study"
    assert {str(tmp_path / line) for line in made.out.splitlines()} == {str(path) for path in folder.rglob("*") if path.is_file()}
    found = process("experiment", "study.yaml", "--seeds", "0:1", "--json", cwd=folder)
    assert found.code == 0, found.err
    runs = json.loads(found.out)["runs"]
    assert len(runs) == 2
    for run in runs:
        assert Run(Path(run["path"])).status == "finished"
        assert "accuracy" in Run(Path(run["path"])).look.scores


def test_the_workflow_is_yaml_and_runs_the_experiment(here, tmp_path):
    assert here("init", tmp_path / "new").code == 0
    flow = YAML(typ="safe").load((tmp_path / "new/.github/workflows/study.yml").read_text())
    assert any("curriculum experiment study.yaml" in step.get("run", "") for step in flow["jobs"]["smoke"]["steps"])
    text = (tmp_path / "new/README.md").read_text()
    assert text.startswith("# new\n")
    for name in ("train.py", "annealed.csv", "study.yaml"):
        assert f"`{name}`" in text
        assert (tmp_path / "new" / name).is_file()


def test_nothing_is_overwritten(here, tmp_path, tree):
    (tmp_path / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    assert here("init", tmp_path).code == 1
    assert here("init", tmp_path / "x", "--template", "keras").code == 2
    assert tree(tmp_path) == before
