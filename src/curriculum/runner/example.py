"""Make a folder that works out of the examples that come with the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from curriculum.errors import InputError, OutputExistsError
from curriculum.find_file import shipped

EXAMPLE = "digits"  # among the shipped examples


@dataclass(frozen=True)
class Template:
    """What a folder is made of: files of the shipped examples, and what must be installed to use it."""

    about: str
    sources: tuple[tuple[str, tuple[str, ...]], ...]
    requirement: str = "curriculum"
    change: str = "`train.py`"


LOOP = ("annealed.csv", "constant.csv", "digits.csv.gz", "study.yaml")
TASK = ("digits.py", "digits.csv.gz", "early.csv", "late.csv", "study.yaml")
TEMPLATES = {
    "script": Template("a training script in plain PyTorch", (("loop", (*LOOP, "train.py")),)),
    "lightning": Template(
        "a training script with Lightning", (("loop", LOOP), ("with-lightning", ("train.py",))), requirement="curriculum[lightning]"
    ),
    "hf": Template(
        "a training script with Hugging Face's Trainer",
        (("loop", LOOP), ("with-transformers", ("train.py",))),
        requirement="curriculum[transformers]",
    ),
    "task": Template("a task, whose seeds train at once", (("digits", TASK),), change="`digits.py`"),
}
SHEETS = {"task": "`early.csv` and `late.csv`"}

README = """# {name}

Does a schedule help? This folder answers that for {about}. It was made by `curriculum init --template {template}`.

    pip install -r requirements.txt
    curriculum experiment study.yaml              # trains both arms with 16 seeds each, and compares them
    curriculum dopesheet plot {sheet}
    curriculum compare study --full

| file | what it is |
|---|---|
| {change} | what is trained; it reads handwritten digits until you change it |
| {sheets} | the schedules, one row for each key |
| `study.yaml` | the experiment: the arms, the seeds, what is judged |
| `.github/workflows/study.yml` | trains two seeds of each arm whenever something is pushed |

Change the files until they ask your question. Before you train more seeds, say in `study.yaml` what the smallest difference is that
matters to you. `curriculum power study` then estimates how many seeds it takes.
"""

WORKFLOW = """name: study
on: [push]
jobs:
  smoke:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install torch --index-url https://download.pytorch.org/whl/cpu
      - run: pip install -r requirements.txt
      # Two seeds are too few to judge anything: this only shows that everything still runs.
      - run: curriculum experiment study.yaml --seeds 0:2
"""

REQUIREMENTS = """# Or the path of a wheel: curriculum @ file:///path/to/curriculum-0.2.0-py3-none-any.whl
{requirement}
"""


def copy_example(folder: Path) -> list[Path]:
    """Copy the files of the example into a new or empty folder; return their paths.

    Raises `OutputExistsError` if there is anything in it, `InputError` if it cannot be written.
    """
    return _write(folder, {path.name: path.read_bytes() for path in sorted((shipped("examples") / EXAMPLE).iterdir()) if path.is_file()})


def start_study(folder: Path, template: str) -> list[Path]:
    """Make a new or empty folder with an experiment that works, by the name of a template; return the paths of its files.

    Raises `OutputExistsError` if there is anything in it, `InputError` if it cannot be written.
    """
    chosen = TEMPLATES[template]
    sheets = SHEETS.get(template, "`annealed.csv` and `constant.csv`")
    text = README.format(
        name=folder.resolve().name,
        about=chosen.about,
        template=template,
        sheet=sheets.split("`")[1],
        change=chosen.change,
        sheets=sheets,
    )
    files = {name: (shipped("examples") / example / name).read_bytes() for example, names in chosen.sources for name in names}
    written = {
        "README.md": text,
        "requirements.txt": REQUIREMENTS.format(requirement=chosen.requirement),
        ".gitignore": "runs/\ntrainer/\n",
        ".github/workflows/study.yml": WORKFLOW,
    }
    return _write(folder, {**files, **{name: content.encode() for name, content in written.items()}})


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputExistsError(f"{folder} already exists: choose another folder")
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot create {folder}: {error.strerror or error}") from error
    return [folder / name for name in files]
