"""Blocks on a Ray cluster: the same bytes as in one process, whatever is killed meanwhile."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import COMMAND, call
from ray_nodes import Nodes, kill, processes_below

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
LISTENS = "0A"
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}  # of IPv4, and two of IPv6
FILES = ("metrics.parquet", "model.safetensors", "traces.safetensors")
STUDY = ["experiment", "smooth-vs-stepped", "--set", "record.checkpoint_every=20"]
SMALL = [*STUDY, "--seeds", "0:4", "--steps", "40"]


@pytest.fixture(scope="module")
def nodes():
    with Nodes() as cluster:
        yield cluster


def stored(runs: Path) -> dict[str, bytes]:
    return {f"{arm}/{name}": (runs / "smooth-vs-stepped" / arm / name).read_bytes() for arm in ("smooth", "stepped") for name in FILES}


def settings(**more: object) -> str:
    path = Path("ray.yaml")
    path.write_text("".join(f"{name}: {value}\n" for name, value in {"block": 2, **more}.items()))
    return str(path)


def inline(command: list[str]) -> dict[str, bytes]:
    done = call(*command, "--launcher", "inline", "--launcher-config", settings(), "--runs", "inline")
    assert done.code == 0, done.err
    return stored(Path("inline"))


def begin(command: list[str], **more: object) -> "subprocess.Popen[str]":
    full = [COMMAND, *command, "--launcher", "ray", "--launcher-config", settings(**more)]
    return subprocess.Popen(full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(found, process, seconds=60):
    until = time.monotonic() + seconds
    while not (seen := found()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return seen


def only_ours(lines: str) -> bool:
    return all(line.startswith(("smooth-vs-stepped: ", "warning: with 4 seeds")) for line in lines.splitlines())


@pytest.mark.slow
@needs_ray
def test_two_nodes_give_the_bytes_of_one_process(empty, nodes):
    done = call(*SMALL, "--launcher", "ray", "--launcher-config", settings(address=nodes.address))
    assert done.code == 0, done.err
    assert only_ours(done.err), done.err
    assert stored(Path("runs")) == inline(SMALL)
    logs = sorted(Path("runs/smooth-vs-stepped/launch").glob("*.log"))
    assert [log.stem for log in logs] == ["0-1", "2-3"]
    assert all(log.read_text().strip().endswith("the block is finished") for log in logs)
    assert {path.name for path in empty.iterdir()} == {"ray.yaml", "runs", "inline"}


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into /proc")
def test_a_ray_of_its_own_listens_on_this_machine_only_and_leaves_nothing(empty):
    process = begin(SMALL)
    wait_for(lambda: list(Path("runs").glob("*/launch/*.log")), process)
    found = listening(process.pid)
    assert found
    assert found <= LOOPBACK
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert only_ours(err), err
    assert stored(Path("runs")) == inline(SMALL)
    assert {path.name for path in empty.iterdir()} == {"ray.yaml", "runs", "inline"}


def listening(pid: int) -> set[str]:
    """The addresses at which a process, or what it has started, can be reached, as the kernel writes them."""
    sockets = set()
    for own in processes_below(pid):
        for file in Path(f"/proc/{own}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(os.readlink(file))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == LISTENS and f"socket:[{row[9]}]" in sockets}


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


@needs_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:PORT", "cannot reach a Ray cluster at 127.0.0.1:{port}: [Errno 111] Connection refused"),
        ("ray://10.0.0.1:10001", "is an address of Ray Client"),
        ("somewhere", "somewhere is no address of a Ray cluster: write HOST:PORT"),
    ],
)
def test_no_cluster_at_the_address(empty, address, said):
    port = free_port()
    began = time.monotonic()
    done = call(*SMALL, "--launcher", "ray", "--launcher-config", settings(address=address.replace("PORT", str(port))))
    assert done.code == 2
    assert said.format(port=port) in done.err
    assert time.monotonic() - began < 15
    assert not Path("runs").exists()


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("more", [{"gpus": 1}, {"cores": 2, "memory": "9000G"}])
def test_more_than_any_node_has(empty, nodes, more):
    done = call(*SMALL, "--launcher", "ray", "--launcher-config", settings(address=nodes.address, **more))
    assert done.code == 2
    assert "no node of the Ray cluster has what a worker needs" in done.err
    assert "0 core(s), 0 GPU(s)" in done.err
    assert not Path("runs").exists()


def test_ray_that_is_not_installed(empty):
    code = "import sys; sys.modules['ray'] = None; from curriculum.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *SMALL, "--launcher", "ray"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'curriculum[ray]'" in done.stderr
    assert not Path("runs").exists()


@pytest.mark.slow
@needs_ray
def test_a_folder_that_is_not_shared(empty, nodes):
    process = begin(SMALL, address=nodes.address)
    token = Path("runs/smooth-vs-stepped/launch/token")
    wait_for(token.exists, process)
    token.write_text("0" * 32)  # what a worker with a folder of its own would see
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, (out, err)
    assert "is not shared" in err
    assert not list(Path("runs").glob("*/*/blocks/*/metrics*"))


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_experiment_stores_checkpoints_and_goes_on(empty, nodes, number, code):
    process = begin(SMALL, address=nodes.address)
    wait_for(lambda: list(Path("runs").glob("*/smooth/blocks/*/checkpoint-*")), process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "every block has stored a checkpoint" in err
    assert not nodes.commands()
    again = call(*SMALL)
    assert again.code == 0, again.err
    assert stored(Path("runs")) == inline(SMALL)


@needs_ray
@pytest.mark.slow
@pytest.mark.cluster
def test_twenty_kills_and_two_lost_nodes_change_nothing(empty, nodes):
    long = [*STUDY, "--seeds", "0:12", "--steps", "1500"]
    rng = random.Random(5)
    process = begin(long, address=nodes.address, retries=50)
    killed = 0
    while killed < 20 and process.poll() is None:
        if pids := [*nodes.workers(), *nodes.commands()]:
            kill(rng.choice(pids))
            killed += 1
            if killed in (4, 9):
                nodes.replace_node()
        time.sleep(rng.uniform(1, 5))
    assert killed >= 10  # on a fast machine the experiment ends before all of them
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "sent again" in err
    assert "raylet" not in out + err
    assert out.startswith("smooth against stepped")
    assert stored(Path("runs")) == inline(long)
