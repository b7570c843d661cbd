"""docs/your-training.md holds: its files are the example's, its snippets run, and few lines of the script change."""

import difflib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from curriculum.config import yaml as configs
from curriculum.runner.commands import CommandSettings
from curriculum.store.reader import Run
from test_docs import ROOT, code_blocks

PAGE = ROOT / "docs" / "your-training.md"
EXAMPLE = ROOT / "examples" / "loop"


def files_of_the_page() -> dict[str, str]:
    """Collect the blocks that a line with nothing but a file's name stands above."""
    found = re.findall(r"^`([\w.-]+)`:\n\n((?:    .*\n|\n)+)", PAGE.read_text(), re.MULTILINE)
    return {name: re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for name, block in found}


@pytest.fixture
def page(empty: Path) -> Path:
    """Work in a new folder with the files of the page, and its data; training is short."""
    for name, text in files_of_the_page().items():
        (empty / name).write_text(text.replace("\n599,", "\n59,"))
    (empty / "digits.csv.gz").write_bytes((EXAMPLE / "digits.csv.gz").read_bytes())
    return empty


def test_the_files_of_the_page_are_those_of_the_example():
    found = files_of_the_page()
    assert set(found) == {"annealed.csv", "constant.csv", "train.py", "study.yaml"}
    for name, text in found.items():
        assert text == (EXAMPLE / name).read_text(), name


def test_at_most_ten_lines_of_the_script_change():
    before, after = ([line.strip() for line in (EXAMPLE / name).read_text().splitlines()[1:]] for name in ("before.py", "train.py"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+ ") and line[2:]]
    assert len(changed) == 9, changed
    assert "nine lines are new or changed" in PAGE.read_text().replace("\n", " ")


@pytest.mark.slow
def test_the_experiment_of_the_page_gives_a_verdict(page, here):
    done = here("experiment", "study.yaml", "--seeds", "0:2")
    assert done.code == 0, done.err
    assert "accuracy" in done.out
    for arm in ("annealed", "constant"):
        run = Run(Path("runs/study") / arm)
        assert run.seeds == (0, 1)
        assert run.metrics["total"].notna().all()
        assert run.traces["score.accuracy.logged.steps"].tolist() == [49]


def test_the_script_can_be_started_by_hand(page, here):
    subprocess.run([sys.executable, "train.py", "--seed", "3"], check=True, capture_output=True)
    assert Run(Path("runs/digits")).seeds == (3,)
    assert "digits" in here("runs").out


def test_the_lines_that_resume_do(page):
    (block,) = [block for block in code_blocks(PAGE) if block.startswith("with run:")]
    script = (
        "import torch\nfrom curriculum import track\ntorch.manual_seed(0)\nmodel = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\ncount = 0\n\n\ndef train_step(now):\n    global count\n"
        "    count += 1\n    assert count < 40 or __name__ == 'whole'\n    now.apply(optimizer)\n"
        "    loss = model(torch.randn(4, 2)).square().mean()\n    optimizer.zero_grad()\n    loss.backward()\n"
        "    optimizer.step()\n    return loss\n\n\n"
    )
    opened = 'run = track("runs/{}", sheet="constant.csv", checkpoint_every=10)\n'
    exec(compile(script + opened.format("whole") + block, "whole", "exec"), {"__name__": "whole"})
    with pytest.raises(AssertionError):
        exec(compile(script + opened.format("cut") + block, "cut", "exec"), {"__name__": "cut"})
    exec(compile(script + opened.format("cut") + block, "rest", "exec"), {"__name__": "rest"})
    assert Run(Path("runs/cut")).metrics.equals(Run(Path("runs/whole")).metrics)


def test_every_setting_of_an_experiment_by_a_command_is_documented():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(rows) == set(CommandSettings.model_fields)
    configs.load_as(CommandSettings, (EXAMPLE / "study.yaml").read_text(), "study.yaml")
