"""List and copy the sheets and configs that can be named."""

import json
from pathlib import Path

import pytest

KINDS = [("dopesheet", "smooth", "smooth.csv", "dopesheets"), ("config", "smooth-vs-stepped", "smooth-vs-stepped.yaml", "configs")]


@pytest.mark.parametrize(("kind", "name", "file", "folder"), KINDS)
def test_a_listed_one_can_be_copied_and_then_named(here, tmp_path, monkeypatch, kind, name, file, folder):
    original = Path(folder, file).read_bytes()
    monkeypatch.chdir(tmp_path)
    assert any(line.split()[0] == name for line in here(kind, "list").out.splitlines()[1:])
    (tmp_path / folder).mkdir()
    assert here(kind, "copy", name, f"{folder}/{file}").out == f"{folder}/{file}\n"
    assert Path(folder, file).read_bytes() == original
    listed = {row["name"]: row["path"] for row in json.loads(here(kind, "list", "--json").out)}
    assert listed[name] == f"{folder}/{file}"
    assert here(kind, "copy", name).code == 0
    assert Path(file).read_bytes() == original


@pytest.mark.parametrize(("kind", "name", "file", "folder"), KINDS)
def test_nothing_is_overwritten_without_force(here, tmp_path, monkeypatch, kind, name, file, folder):
    monkeypatch.chdir(tmp_path)
    Path(file).write_text("mine")
    found = here(kind, "copy", name)
    assert found.code == 1
    assert file in found.err
    assert Path(file).read_text() == "mine"
    assert here(kind, "copy", name[:-1]).code == 2
    assert here(kind, "copy", name, "nowhere/x").code == 2
