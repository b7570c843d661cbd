"""What the shell completes, asked as the shell asks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import COMMAND


def complete(line: str, **env: str) -> list[str]:
    """Complete the last word of a line, as bash asks for it."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_CURRICULUM_COMPLETE": "complete_bash"}
    full = {key: value for key, value in os.environ.items() if not key.startswith("CURRICULUM_")} | asked | env
    done = subprocess.run([COMMAND], env=full, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def named(empty: Path) -> Path:
    """Work in a new folder with runs, an experiment, comparisons, videos, reports, sheets and configs that are no more than their names."""
    for name in ("runs/one", "runs/only", "runs/study/one", "elsewhere/far", "runs/.hidden"):
        (empty / name).mkdir(parents=True)
        (empty / name / "run.json").write_text("damaged")
    (empty / "runs/study/experiment.json").write_text("{}")
    for name in ("runs/comparisons/one-vs-only", "runs/videos", "runs/reports", "dopesheets", "configs"):
        (empty / name).mkdir(parents=True)
    (empty / "runs/videos/one.mp4").write_text("")
    (empty / "runs/reports/one.html").write_text("")
    (empty / "mine.csv").write_text("")
    (empty / "dopesheets/minor.csv").write_text("")
    (empty / "configs/mixed.yaml").write_text("arms: {a: x.csv}\n")
    (empty / "configs/misc.yaml").write_text("task: color\n")
    return empty


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("curriculum show o", "one only"),
        ("curriculum show study/", "study/one"),
        ("curriculum verify x", ""),
        ("curriculum join on", "one only"),
        ("curriculum compare ", "one only study study/one"),
        ("curriculum compare one ", "only study study/one"),
        ("curriculum compare one --baseline on", "one only"),
        ("curriculum animate st", "study study/one"),
        ("curriculum report st", "study study/one"),
        ("curriculum report one only --baseline on", "one only"),
        ("curriculum power st", "study study/one"),
        ("curriculum export on", "one only"),
        ("curriculum rename st", "study study/one"),
        ("curriculum rm ", "comparisons/one-vs-only one only reports/one.html study study/one videos/one.mp4"),
        ("curriculum train --resume on", "one only"),
        ("curriculum train --fork st", "study/one"),
        ("curriculum train --dopesheet mi", "mine.csv minor"),
        ("curriculum train -d smooth", "smooth smooth-stepped-lr"),
        ("curriculum train --config mi", "misc"),
        ("curriculum experiment mi", "mixed"),
        ("curriculum experiment smooth", "smooth-vs-stepped"),
        ("curriculum tune mi", "mixed"),
        ("curriculum ablate mi", "mine.csv minor"),
        ("curriculum ablate minor w", "warmup-cosine wsd"),
        ("curriculum dopesheet diff minor min", "mine.csv minor"),
        ("curriculum dopesheet check mine.csv mi", "minor"),
        ("curriculum dopesheet convert ws", "wsd"),
        ("curriculum dopesheet copy ws", "wsd"),
        ("curriculum config show mi", "misc"),
        ("curriculum config copy mi", "misc mixed"),
        ("curriculum show --runs elsewhere ", "far"),
        ("curriculum rena", "rename"),
    ],
)
def test_names_are_offered(named, line, offered):
    assert sorted(complete(line)) == sorted(offered.split())


def test_the_folder_of_runs_may_come_from_the_environment(named):
    assert complete("curriculum show ", CURRICULUM_RUNS="elsewhere") == ["far"]


def test_a_broken_folder_offers_nothing_and_says_nothing(named):
    Path("runs/loop").symlink_to("loop")
    Path(os.fsdecode(b"runs/\xff")).mkdir()
    Path(os.fsdecode(b"runs/\xff/run.json")).write_text("")
    Path("configs/dir.yaml").mkdir()
    Path("configs/binary.yaml").write_bytes(b"\xff\xfe")
    assert sorted(complete("curriculum show ")) == ["one", "only", "study/one"]
    assert complete("curriculum show ", CURRICULUM_RUNS="mine.csv") == []
    assert complete("curriculum show ", CURRICULUM_RUNS="mine.csv/runs") == []
    assert complete("curriculum show ", CURRICULUM_RUNS="nowhere") == []
    assert complete("curriculum experiment mi") == ["mixed"]
    shutil.rmtree("configs")
    Path("configs").write_text("")
    assert complete("curriculum experiment smooth") == ["smooth-vs-stepped"]


def test_completion_imports_nothing_large(named):
    code = """
import json, sys
from curriculum.cli.app import main
sys.argv = ["curriculum"]
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in ("torch", "pandas", "numpy", "scipy", "matplotlib", "pyarrow") if name in sys.modules]))
"""
    for line in ("curriculum show o", "curriculum rm ", "curriculum train -d s", "curriculum experiment s"):
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_CURRICULUM_COMPLETE": "complete_bash"}
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, timeout=60, check=True)
        *offered, large = done.stdout.splitlines()
        assert offered
        assert json.loads(large) == []


def test_what_install_completion_writes_completes_in_bash(named):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    home = named / "home"
    home.mkdir()
    # The shell is found by the name of the process that started the command.
    installed = subprocess.run(
        [bash, "-c", f"'{COMMAND}' --install-completion; true"], env={**os.environ, "HOME": str(home)}, capture_output=True, timeout=60
    )
    assert b"completion installed" in installed.stdout, installed.stderr
    script = f"""
source {home}/.bashrc
COMP_WORDS=(curriculum show on)
COMP_CWORD=2
_curriculum_completion '{COMMAND}'
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([bash, "--norc", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "one only\n"
