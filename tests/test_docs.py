"""The documentation holds: its commands exist, its sheets and its Python run."""

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from curriculum.cli.app import app
from curriculum.measure.comparison import Comparison
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_blocks(page: Path) -> list[str]:
    """Collect the indented blocks of a page."""
    lines = page.read_text().splitlines()
    blocks, block = [], []
    for line in [*lines, "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        elif block:
            blocks.append("\n".join(block).strip("\n"))
            block = []
    return blocks


def commands(command=None, prefix=()) -> dict[tuple[str, ...], object]:
    command = command or get_command(app)
    found = {}
    for name, inner in getattr(command, "commands", {}).items():
        found[(*prefix, name)] = inner
        found |= commands(inner, (*prefix, name)) if getattr(inner, "commands", None) else {}
    return found


def test_every_command_stands_in_the_readme():
    text = (ROOT / "README.md").read_text()
    for path in commands():
        assert re.search(rf"curriculum {path[0]}\b", text), path
        assert all(re.search(rf"\b{part}\b", text) for part in path), path


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_with_examples(path):
    command = commands()[path]
    assert command.help
    if not getattr(command, "commands", None):
        assert "Examples:" in command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.name == "help", f"{path}: {parameter.name} says nothing"


def documented_lines() -> list[str]:
    lines = [line for page in PAGES for block in code_blocks(page) for line in block.splitlines()]
    examples = [line.strip() for command in commands().values() for line in (command.help or "").splitlines()]
    return sorted({line for line in [*lines, *examples] if line.startswith("curriculum ")})


@pytest.mark.parametrize("line", documented_lines())
def test_documented_options_exist(line):
    words = shlex.split(line.partition("#")[0].partition(">")[0])[1:]
    command = get_command(app)
    while getattr(command, "commands", None) and words:
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-") and not word[1:].isdigit()} <= known | {"--help"}


def test_the_readmes_sheet_can_be_trained():
    (text,) = [block for block in code_blocks(ROOT / "README.md") if block.startswith("STEP,")]
    sheet = parse(text)
    assert plan("color", sheet, steps=20).schedule.phases[0].name == "Primary & secondary"
    assert [row.step for row in sheet.rows] == [0, 10, 500, 2300, 5000, 10000]


def python_blocks() -> list[str]:
    blocks = [block for page in PAGES for block in code_blocks(page) if block.startswith("from curriculum import")]
    return [block for block in blocks if "find_run" not in block]


@pytest.mark.parametrize("block", python_blocks(), ids=range(len(python_blocks())))
def test_python_in_the_documentation_runs(block, tmp_path):
    short = block.replace('run("color", "smooth.csv"', 'run("color", "smooth.csv", steps=510').replace(", steps=600", "")
    subprocess.run([sys.executable, "-W", "error", "-c", short], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert not list(tmp_path.iterdir())


def test_the_documented_ways_to_read_a_run_work(tmp_path):
    (block,) = [block for page in PAGES for block in code_blocks(page) if "find_run" in block]
    make = 'from curriculum import run; run("color", "smooth.csv", steps=20, folder="runs", name="runA")\n'
    subprocess.run([sys.executable, "-W", "error", "-c", make + block], cwd=tmp_path, check=True, capture_output=True, timeout=120)


def test_the_example_draws_its_two_figures(tmp_path):
    subprocess.run([sys.executable, ROOT / "examples" / "smooth_prop.py", tmp_path], check=True, capture_output=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["smooth-prop-starts.png", "smooth-prop-targets.png"]


def test_the_picture_of_the_verdicts_is_drawn_from_their_rule(tmp_path):
    subprocess.run([sys.executable, ROOT / "examples" / "verdicts.py", tmp_path / "v.png"], check=True, capture_output=True, timeout=120)
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_every_key_of_a_stored_comparison_is_documented():
    text = (ROOT / "docs" / "runs.md").read_text()
    rows = [line.split("|")[1] for line in text[text.index("`compare.json` lists") :].split("\n\n")[1].splitlines()[2:]]
    documented = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert documented == {"schema", "created"} | {field.name for field in dataclasses.fields(Comparison)}


def test_links_and_pictures_of_the_documentation_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).is_file(), f"{page.name}: {target}"
