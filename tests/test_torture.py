"""The torture bench itself, in small; `make torture` does all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tortured(*args: str) -> str:
    command = [sys.executable, ROOT / "benchmarks" / "torture.py", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "losses: 0" in done.stdout
    return done.stdout


@pytest.mark.slow
def test_a_few_broken_trainings_lose_nothing():
    out = tortured("--kills", "2", "--stops", "1", "--share", "0", "--damaged", "4", "--inputs", "0")
    assert "| SIGKILL at a random moment" in out


@pytest.mark.slow
def test_many_broken_trainings_lose_nothing():
    tortured("--seed", "1", "--kills", "40", "--stops", "10", "--share", "0.1", "--damaged", "60", "--inputs", "500")
