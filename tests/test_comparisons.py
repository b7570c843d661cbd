"""List the comparisons that are stored beside runs, and what each has found."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def compared(empty: Path, classifiers, here) -> Path:
    """Work in a new folder with the runs `easy` and `hard`, and a comparison of them."""
    for run in classifiers:
        shutil.copytree(run.path, empty / "runs" / run.name)
    assert here("compare", "easy", "hard").code == 0
    return empty


def test_comparisons_are_listed_with_their_answer(compared, here):
    listed = here("runs", "--comparisons")
    assert listed.code == 0
    (row,) = [line for line in listed.out.splitlines() if line.startswith("easy-vs-hard")]
    assert "easy against hard  16  " in row
    assert "A supported" in row
    (found,) = json.loads(here("runs", "--comparisons", "--json").out)
    assert found["name"] == "easy-vs-hard"
    assert found["path"] == "runs/comparisons/easy-vs-hard"
    assert [run["name"] for run in found["runs"]] == ["easy", "hard"]
    assert all(run["exists"] and run["seeds"] == list(range(16)) for run in found["runs"])
    assert found["pairs"][0]["answer"].startswith("A supported; ")


def test_a_run_that_is_gone_a_damaged_comparison_and_one_of_an_earlier_version(compared, here):
    shutil.rmtree("runs/hard")
    shutil.copytree("runs/comparisons/easy-vs-hard", "runs/comparisons/old")
    document = json.loads(Path("runs/comparisons/old/compare.json").read_text())
    Path("runs/comparisons/old/compare.json").write_text(json.dumps({**document, "schema": 2, "pairs": "unknown"}))
    for name, text in (("no-json", "{"), ("list", "[]"), ("strange", json.dumps({**document, "pairs": [{"first": 0, "other": 7}]}))):
        Path("runs/comparisons", name).mkdir()
        Path("runs/comparisons", name, "compare.json").write_text(text)
    done = here("runs", "--comparisons")
    assert done.code == 0, done.err
    assert "easy against hard (removed)" in done.out
    assert "stored by an earlier version: compare again for the answer" in done.out
    for name in ("no-json", "list", "strange"):
        assert f"warning: the comparison runs/comparisons/{name} is damaged" in done.err


def test_without_comparisons_a_sentence_says_how_to_make_one(empty, here):
    done = here("runs", "--comparisons")
    assert done.code == 0
    assert "no comparisons in runs yet" in done.err
    assert json.loads(here("runs", "--comparisons", "--json").out) == []
