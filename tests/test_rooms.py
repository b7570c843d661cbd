"""The architecture: import-linter holds the rooms and their order, and here it is seen to notice what it must notice."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import curriculum

ROOT = Path(curriculum.__file__).parent
PROJECT = ROOT.parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")
MOST_LINES, MOST_MODULES = 350, 10


def lint(source: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [LINTER, "--no-logo", "--no-cache", PROJECT / "pyproject.toml"]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": str(source)}, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("module", "added", "named"),
    [
        ("sheet/document.py", "from curriculum.store.reader import Run", "Rooms import only"),
        ("train/task.py", "if TYPE_CHECKING:\n    from curriculum.runner.plan import Plan", "Rooms import only"),
        ("store/names.py", "if TYPE_CHECKING:\n    from curriculum.store.reader import Run", "No circles"),
        ("measure/stats.py", "def late():\n    import torch", "without torch"),
        ("sheet/parse.py", "from pathlib import Path", "is pure"),
        ("tasks/color/task.py", "from curriculum.tasks.e2c import maps", "know nothing of each other"),
        ("helpers.py", '"""A module at the top level."""', "Rooms import only"),
    ],
)
def test_the_linter_notices(tmp_path, module, added, named):
    copy = tmp_path / "src"
    shutil.copytree(ROOT, copy / "curriculum", ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / "curriculum" / module
    before = path.read_text() if path.exists() else ""
    path.write_text(before.rstrip("\n") + ("\nfrom typing import TYPE_CHECKING\n" + added + "\n" if before else added + "\n"))
    found = lint(copy, tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    broken = [line for line in found.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(named in line for line in broken), found.stdout


def test_the_rooms_are_in_order_as_they_stand(tmp_path):
    assert lint(ROOT.parent, tmp_path).returncode == 0


def test_modules_are_small_and_few_stand_at_the_top():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
    assert len(list(ROOT.glob("*.py"))) <= MOST_MODULES


def test_a_task_is_known_by_its_own_room_alone():
    tasks = [path.parent.name for path in ROOT.glob("tasks/*/task.py")]
    for path in ROOT.rglob("*.py"):
        if not path.is_relative_to(ROOT / "tasks"):
            text = path.read_text()
            # In examples of a command's help a shipped config may be named; in code none is.
            code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("curriculum ", "run(")))
            for task in tasks:
                assert not re.search(rf'"{task}"(?!:)', code), f"{path.relative_to(ROOT)} knows the task {task}"
                assert f"tasks.{task}" not in code, f"{path.relative_to(ROOT)} imports the task {task}"


def test_public_names_are_typed_and_listed():
    assert (ROOT / "py.typed").is_file()
    listed = set(re.findall(r"(?m)^from \.\S+ import \w+ as (\w+)$", (ROOT / "__init__.pyi").read_text()))
    assert {"run", "compare", "on", "find_run", "parse", "SmoothProp", "PhaseEnd"} <= listed
    assert set(dir(curriculum)) == set(curriculum.__all__) == listed
    assert not listed & {path.stem for path in ROOT.iterdir()}, "an import of a module would replace the public name"
    for name in curriculum.__all__:
        assert getattr(curriculum, name).__doc__, name


def test_public_names_stay_what_they_are_whatever_is_imported():
    modules = sorted({".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in ROOT.rglob("*.py")} - {"__init__"})
    code = f"""
import importlib, types
import curriculum.cli.compare, curriculum.measure.comparison
from curriculum import compare
import curriculum
for module in {[module.removesuffix(".__init__") for module in modules]}:
    importlib.import_module(module)
    assert curriculum.compare is compare and compare.__module__ == "curriculum.runner.compare"
found = {{name: getattr(curriculum, name) for name in dir(curriculum)}}
assert dir(curriculum) == curriculum.__all__ and not any(isinstance(one, types.ModuleType) for one in found.values()), found
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
