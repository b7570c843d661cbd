"""docs/your-task.md holds: its files are the example's, and every snippet of it runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from curriculum.store.reader import Run
from test_docs import ROOT, code_blocks

PAGE = ROOT / "docs" / "your-task.md"
EXAMPLE = ROOT / "examples" / "digits"


def files_of_the_page() -> dict[str, str]:
    """Collect the blocks that a line with nothing but a file's name stands above."""
    found = re.findall(r"^`([\w.-]+)`:\n\n((?:    .*\n|\n)+)", PAGE.read_text(), re.MULTILINE)
    return {name: re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for name, block in found}


def classes_of_the_page() -> dict[str, str]:
    """Collect the blocks that extend the page's task, each with the names of the tasks that it defines."""
    blocks = [block for block in code_blocks(PAGE) if re.match(r"(class|def) ", block)]
    return {re.findall(r"^class (\w+)\((?:Digits|Sparse)\)", block, re.MULTILINE)[0]: block for block in blocks}


@pytest.fixture(autouse=True)
def no_digits_yet(monkeypatch):
    """Forget the modules of another test's folder: a process has one of each name."""
    for name in ("digits", "surgery", "my_package", "my_package.digits"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def digits(empty: Path) -> Path:
    """Work in a new folder with the files of the page, and its data."""
    for name, text in files_of_the_page().items():
        (empty / name).write_text(text)
    (empty / "digits.csv.gz").write_bytes((EXAMPLE / "digits.csv.gz").read_bytes())
    return empty


def test_the_files_of_the_page_are_those_of_the_example_and_few_lines():
    found = files_of_the_page()
    assert set(found) == {"digits.py", "early.csv", "late.csv", "study.yaml"}
    for name, text in found.items():
        assert text == (EXAMPLE / name).read_text(), name
    assert len(found["digits.py"].splitlines()) <= 40


def test_the_example_can_be_copied_and_its_experiments_run(empty, here):
    made = here("new", "mine")
    assert made.code == 0, made.err
    assert {path.name for path in EXAMPLE.iterdir() if path.is_file()} == {path.name for path in (empty / "mine").iterdir()}
    os.chdir(empty / "mine")
    for study in ("study.yaml", "surgery.yaml"):
        ended = here("experiment", study, "--steps", 15, "--seeds", "0:2")
        assert ended.code == 0, ended.err
    os.chdir(empty)
    again = here("new", "mine")
    assert again.code == 1
    assert "mine already exists: choose another folder" in again.err


@pytest.mark.parametrize("name", classes_of_the_page())
def test_every_snippet_of_the_page_trains(digits, here, name):
    blocks = classes_of_the_page()
    before = [blocks["Sparse"]] if name == "Balanced" else []
    (digits / "more.py").write_text(
        "import curriculum\nimport torch.nn.functional as F\nfrom digits import Digits\nfrom torch import nn\n\n\n"
        + "\n\n".join([*before, blocks[name]])
    )
    columns = {"EasyFirst": "share", "Sparse": "sparsity", "Balanced": "sparsity"}.get(name, "smoothing")
    (digits / "a.csv").write_text(f"STEP,lr,loss,dropout,{columns}\n0,0.01,1,0.5,0.1\n20,0.01,1,0,0.2\n")
    (digits / "own.yaml").write_text(f"task: {{name: ./more.py:{name}}}\nseeds: 0:2\n" + "stack: off\n" * (name == "Reading"))
    ended = here("train", "--config", "own.yaml", "--dopesheet", "a.csv", "--name", "a")
    assert ended.code == 0, ended.err
    assert Run(Path("runs/a")).trained_steps == 21
    if name == "Timed":
        assert Path("runs/a/figures/accuracy.png").is_file()
        assert "measure.speed" in Run(Path("runs/a")).exhibits


def test_the_pages_mistake_reads_as_it_says(digits, here):
    (said,) = [block for block in code_blocks(PAGE) if block.startswith("error: ")]
    text = (digits / "digits.py").read_text().replace('batch.sheet["smoothing"]', 'batch.sheet["smoothin"]')
    (digits / "digits.py").write_text(text)
    found = here("experiment", "study.yaml")
    assert found.code == 2
    line = next(number for number, line in enumerate(text.splitlines(), 1) if 'smoothin"' in line)
    assert found.err.strip() == said.strip()
    assert f"digits.py:{line}:" in said
    assert not Path("runs").exists()


def test_an_entry_point_names_a_task(digits, here, monkeypatch):
    (written,) = [block for block in code_blocks(PAGE) if block.startswith("[project.entry-points")]
    (digits / "my_package").mkdir()
    (digits / "my_package" / "__init__.py").write_text("")
    for name in ("digits.py", "digits.csv.gz"):
        (digits / name).rename(digits / "my_package" / name)
    group, entry = re.search(r'"([\w.]+)"\]\n(.*)', written).groups()
    info = digits / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(digits))
    (digits / "study.yaml").write_text((digits / "study.yaml").read_text().replace("./digits.py:Digits", "digits"))
    ended = here("experiment", "study.yaml", "--steps", 12, "--seeds", "0:2")
    assert ended.code == 0, ended.err


@pytest.mark.slow
def test_from_an_installed_wheel_in_an_empty_folder_to_a_verdict_on_accuracy(tmp_path):
    """The whole promise: 40 lines, 2 arms of 16 seeds, a verdict, nothing about latents, little on disk."""
    site = tmp_path / "site"
    build = ["--disable-pip-version-check", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", *build, "--target", str(site), str(source)], check=True)
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", "from curriculum.cli.app import main; main()"]
    subprocess.run([*command, "new", "."], check=True, cwd=work, env=environment)
    ended = subprocess.run([*command, "experiment", "study.yaml"], cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    documented = re.search(r"accuracy on the test data: early (.*)", PAGE.read_text())[0]
    shape = re.sub(r"\d[\d.]*", "#", documented)
    assert shape in re.sub(r"\d[\d.]*", "#", ended.stdout)
    assert re.search(r"accuracy on the test data: early \+0\.[1-5]\d* points against late \[\+.*: supported", ended.stdout)
    document = json.loads(next((work / "runs" / "comparisons").glob("*/compare.json")).read_text())
    text = ended.stdout + json.dumps(document)
    assert not re.search(r"latent|drift|jitter|colors|hue", text, re.IGNORECASE)
    figures = {path.name for path in (work / "runs").rglob("*.png")}
    assert figures == {"losses.png", "timeline.png", "bands.png", "effects.png", "schedules.png"}
    assert sum(path.stat().st_size for path in (work / "runs").rglob("*") if path.is_file()) < 20 * 2**20
