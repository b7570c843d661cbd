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

import pytest
from typer.testing import CliRunner

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
