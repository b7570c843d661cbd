"""The benchmarks run, in small: they follow the code that they measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["training", "seeds", "general"])
def test_a_benchmark_prints_and_stores_its_ratios(part: str, tmp_path: Path):
    command = [sys.executable, ROOT / "benchmarks" / "bench.py", "--only", part, "--steps", "40", "--json", tmp_path / "found.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ratio" in done.stdout
    ratios = [value for name, value in json.loads((tmp_path / "found.json").read_text())[part].items() if "ratio" in name]
    assert ratios
    assert all(ratio > 0 for ratio in ratios)
