"""What several tests share: the command as a process and in this one, and two short runs to look at."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from typer.testing import CliRunner

from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.files import digest
from curriculum.store.reader import Run
from curriculum.store.writer import RunFolder

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

COMMAND = str(Path(sys.executable).with_name("curriculum"))
STEPS = 40


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    out: str
    err: str


Runner = Callable[..., Outcome]
Tree = dict[str, bytes | None]


def call(*args: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, **more: object) -> Outcome:
    full = {key: value for key, value in os.environ.items() if not key.startswith("CURRICULUM_")} | (env or {})
    done = subprocess.run([COMMAND, *map(str, args)], cwd=cwd, env=full, capture_output=True, text=True, timeout=120, check=False, **more)  # type: ignore[call-overload]
    return Outcome(done.returncode, done.stdout, done.stderr)


def call_here(*args: str | Path) -> Outcome:
    from curriculum.cli.app import app

    handler = signal.getsignal(signal.SIGTERM)
    try:
        result = CliRunner().invoke(app, [str(arg) for arg in args], prog_name="curriculum")
    finally:
        signal.signal(signal.SIGTERM, handler)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def process() -> Runner:
    """Run the installed command as a process."""
    return call


IN_TURN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conftest import call_here
for args in json.loads(sys.argv[2]):
    outcome = call_here(*args)
    print(json.dumps([outcome.code, outcome.out, outcome.err]), flush=True)
"""


def call_in_turn(cwd: Path, commands: Sequence[Sequence[str]]) -> list[Outcome]:
    command = [sys.executable, "-c", IN_TURN, str(Path(__file__).parent), json.dumps([list(args) for args in commands])]
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode().splitlines()
        pytest.fail(f"{' '.join(commands[len(said)])} hangs", pytrace=False)
    assert done.returncode == 0, done.stderr
    return [Outcome(*json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def apart() -> Callable[[Path, Sequence[Sequence[str]]], list[Outcome]]:
    """Run commands in turn in a process that is ended after a minute, so that a command that hangs does not hang the tests."""
    return call_in_turn


@pytest.fixture(scope="session")
def here() -> Runner:
    """Run the command inside this process, which is quicker."""
    return call_here


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Tree]:
    """Read everything below a folder: the bytes of each file, None for each folder."""

    def read(folder: Path) -> Tree:
        paths = sorted(folder.rglob("*"))
        return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}

    return read


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the two shipped sheets for some steps, as runs `a` and `b`; treat them as read-only."""
    folder = tmp_path_factory.mktemp("trained")
    for name, sheet in (("a", "smooth.csv"), ("b", "stepped.csv")):
        made = call_here("train", "--dopesheet", sheet, "--name", name, "--steps", STEPS, "--runs", folder / "runs")
        assert made.code == 0, made.err
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a new, empty folder."""
    for name in [name for name in os.environ if name.startswith("CURRICULUM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(empty: Path, trained: Path) -> Path:
    """Work in a new folder with a copy of the runs `a` and `b`."""
    shutil.copytree(trained / "runs", empty / "runs")
    return empty


EASY = "STEP,lr,loss,smoothing\n0,0.01,1,0.3\n200,,,0\n399,0.001,,\n"
HARD = "STEP,lr,loss,smoothing\n0,0.01,1,0\n399,0.001,,\n"
CLASSIFIER_LOOK = {
    "measures": ["draw_up", "fluctuation"],
    "hypotheses": {"A": {"question": "a better test accuracy", "measures": ["accuracy"]}},
    "plots": [],
    "error_unit": "cross-entropy",
    "scores": {"accuracy": {"better": "higher", "unit": "%", "scale": 100.0, "smallest": 0.5}},
}


def stored_classifier(
    path: Path,
    *,
    accuracy: NDArray[np.float64],
    error: NDArray[np.float64] | None = None,
    curves: NDArray[np.float64] | None = None,
    status: str = "finished",
    sheet: str = EASY,
    look: dict[str, object] | None = None,
    exhibits: dict[str, NDArray[np.float64]] | None = None,
    **manifest: object,
) -> Run:
    """Store a run of a classifier without latents, whose seeds end with an accuracy (0 to 1) and an error `[S]`.

    Both approach their end over 400 steps, with a noise of their own; or `curves` `[F, S]` are those of the error. `look` and
    `manifest` replace parts of the manifest.
    """
    length = 400 if curves is None else len(curves)
    count, steps = len(accuracy), np.arange(length)
    error = 10 ** (0.5 - accuracy) if error is None else error
    seeds = manifest.get("seeds", list(range(count)))
    rng = np.random.default_rng(3)
    progress = np.minimum(1, steps / 300)[:, None] ** 0.3
    noise = rng.normal(size=(length, count))
    scored = 0.1 + progress * (accuracy - 0.1) + 0.002 * noise * (1 - progress)
    lost = np.exp((1 - progress) * np.log(2.3 / error) + 0.01 * rng.normal(size=(length, count))) * error
    lost = lost if curves is None else curves
    document: dict[str, object] = {
        "created": "2026-01-01T00:00:00.000+00:00",
        "task": {"name": "digits.py:Digits", "version": 1, "source": "same"},
        "sheet": "easy.csv" if sheet == EASY else "hard.csv",
        "seeds": seeds,
        "steps": length,
        "sheet_steps": length,
        "parameters": {"weight": [2]},
        "probes": [{"name": "test", "title": "the test data", "uses": ["final", "loss"]}],
        "look": {**CLASSIFIER_LOOK, **(look or {})},
        "hashes": {"sheet": digest(sheet.encode()), "config": digest(b"task: digits\n"), "training": "same", "probes": {"test": "same"}},
        **manifest,
    }
    folder = RunFolder.create(path, document, "task: digits\n", sheet.encode())
    for phase in compile_sheet(parse(sheet.encode(), "sheet")).phases:
        folder.append_event({"event": "phase-start", "step": phase.start, "phase": phase.name})
    table = {"step": np.repeat(steps, count), "seed": np.tile(seeds, length), "total": lost.ravel(), "loss": lost.ravel()}
    folder.append_metrics(pa.table(table))
    found = {"loss.test": lost.astype(np.float32), "score.accuracy.test": scored.astype(np.float32)}
    folder.append_traces({**found, **{f"{name}.steps": steps for name in found}})
    folder.write_model({"weight": np.zeros((count, 2), np.float32)})
    folder.write_exhibits(exhibits or {})
    folder.finish(status, join=True, trained=length)
    folder.release()
    return Run(path)


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Store the runs `easy` and `hard` of 16 seeds each: easy is about one point more accurate. Treat them as read-only."""
    folder = tmp_path_factory.mktemp("classifiers")
    rng = np.random.default_rng(1)
    base = 0.936 + rng.normal(scale=0.004, size=16)
    better = base + rng.normal(0.01, 0.004, size=16)
    return stored_classifier(folder / "easy", accuracy=better), stored_classifier(folder / "hard", accuracy=base, sheet=HARD)
