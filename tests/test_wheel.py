"""What a user gets who installs the package: a wheel in another place, without the checkout."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

import curriculum

PROJECT = Path(curriculum.__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build a wheel from the tree and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = folder / "source"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "tests"))
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True, timeout=120)
    return folder / "site"


@pytest.fixture
def command(installed, empty):
    """Run the installed command in an empty folder."""

    def run(*args):
        program = [sys.executable, installed / "bin" / "curriculum", *args]
        return subprocess.run(
            program, cwd=empty, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_the_package_has_its_sheets_configs_and_types(installed):
    package = installed / "curriculum"
    assert {path.name for path in PROJECT.glob("dopesheets/*.csv")} == {path.name for path in package.glob("dopesheets/*")}
    assert {path.name for path in PROJECT.glob("configs/*.yaml")} == {path.name for path in package.glob("configs/*")}
    for name in ("py.typed", "__init__.pyi"):
        assert (package / name).is_file()
    assert len(list(installed.glob("*"))) == 3, "the package, its metadata and bin"


def test_the_package_has_all_that_a_report_is_made_of(installed):
    room = PROJECT / "src" / "curriculum" / "report"
    parts = {str(path.relative_to(room)) for name in ("assets", "templates") for path in room.glob(f"{name}/*")}
    assert {"assets/sections.css", "templates/answer.html.j2", "templates/made.html.j2"} <= parts
    assert {own for own in parts if not (installed / "curriculum" / "report" / own).is_file()} == set()


def test_the_command_runs_in_an_empty_folder(command, installed):
    assert command("--help").stdout.startswith("Usage: curriculum")
    done = command("dopesheet", "check", "smooth.csv")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.startswith(f"{installed}/curriculum/dopesheets/smooth.csv: 10,001 steps")
    assert command("config", "show").returncode == 0


def test_torch_is_a_range_that_keeps_a_users_own_build(installed):
    (found,) = (one for one in distributions(path=[str(installed)]) if one.name == "curriculum")
    (torch,) = (one for one in found.requires if re.match(r"torch\b", one))
    assert torch == "torch>=2.6"


def test_the_readme_on_a_package_index_has_no_dead_links(installed):
    (found,) = (one for one in distributions(path=[str(installed)]) if one.name == "curriculum")
    text = found.metadata.get_payload() or found.metadata["Description"]
    assert "# curriculum\n" in text
    assert "describes the whole format" in text
    assert re.findall(r"\]\((?!https://)", text) == []
    assert "Left:" not in text, "the caption of a picture"


@pytest.mark.slow
def test_a_study_of_a_script_starts_and_is_judged_without_the_checkout(command, installed, empty):
    """The script imports the installed package, and its runs are compared."""
    made = command("init", "mine")
    assert made.returncode == 0, made.stderr
    done = command("experiment", "mine/study.yaml", "--seeds", "0:1", "--json")
    assert done.returncode == 0, done.stderr
    assert [run["name"] for run in json.loads(done.stdout)["runs"]] == ["annealed", "constant"]
    assert (empty / "runs" / "study" / "logs" / "annealed" / "0.log").is_file()
