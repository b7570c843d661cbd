"""What launchers cost and give: a part of `bench.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path

EXPERIMENT = "smooth-vs-stepped"
COMMAND = [sys.executable, "-m", "curriculum", "experiment", EXPERIMENT]
BLOCKS = 10_000


def bench_launchers(folder: Path) -> dict[str, float]:
    """Compare one process with two, blocks that are launched with bare ones, and time the scheduling of many."""
    found = {}
    with tempfile.TemporaryDirectory(dir=folder) as own:
        place = Path(own)
        (place / "halves.yaml").write_text("block: 32\nworkers: 2\ncores: 1\n")
        seeds = ["--seeds", "0:64", "--runs"]
        launched = ["--launcher-config", str(place / "halves.yaml"), "--launcher"]
        inline = seconds([*COMMAND, *seeds, str(place / "inline"), "--launcher", "inline"])
        local = seconds([*COMMAND, *seeds, str(place / "local"), *launched, "local"])
        print(f"2 x 64 seeds, from the command to the answer: inline {inline:.1f} s, local with 2 workers {local:.1f} s")
        found["ratio"] = inline / local
        print(f"  ratio inline/local {found['ratio']:.2f}")
        one, bare = at_once(place / "one", ["0:64"]), at_once(place / "bare", ["0:32", "32:64"])
        found["ratio_training"] = one / bare
        print(f"training alone: one process {one:.1f} s, two blocks side by side {bare:.1f} s, ratio {one / bare:.2f}")
        for name in ("local", *(["ray", "a Ray that runs already"] if find_spec("ray") else [])):
            command = [*COMMAND, *seeds, str(place / name.replace(" ", "-")), *launched, name if name == "local" else "ray"]
            with running_ray() if name not in ("local", "ray") else nullcontext({}) as environment:
                whole = trained(command, environment)
            found[f"overhead of {name}, s"] = whole - bare
            print(f"  the same two blocks by {name}: {whole:.1f} s, {whole - bare:+.1f} s ({whole / bare - 1:+.0%})")
    return {**found, **bench_scheduling()}


def bench_scheduling() -> dict[str, float]:
    """Schedule many blocks of a launcher that runs nothing."""
    from curriculum.launch.jobs import Ended, Job
    from curriculum.launch.schedule import Blocks, run_jobs

    class Nothing:
        slots, lasting = 100, False

        def __init__(self) -> None:
            self.running, self.done = deque[str](), set[str]()

        def adopt(self, job: Job) -> bool:
            return False

        def start(self, job: Job) -> None:
            self.running.append(job.name)

        def ended(self) -> list[Ended]:
            found = [Ended(name, 0) for name in self.running]
            self.done.update(self.running)
            self.running.clear()
            return found

        def stop(self) -> None: ...

        def close(self) -> None: ...

    jobs = [Job(str(number), ("true",), Path("none"), {}) for number in range(BLOCKS)]
    for traced in (False, True):
        launcher = Nothing()
        blocks = Blocks(lambda job, done=launcher.done: job.name in done, lambda job: False, lambda job: 0)
        if traced:
            tracemalloc.start()
        began = time.process_time()
        run_jobs(jobs, launcher, blocks)
        if not traced:
            spent = time.process_time() - began
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"scheduling {BLOCKS:,} blocks: {spent:.2f} s of processor time, {megabytes:.1f} MB")
    return {"schedule_cpu_s": spent, "schedule_mb": megabytes}


def seconds(command: list[str]) -> float:
    """Run a command to its end; give the seconds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


@contextmanager
def running_ray() -> Iterator[dict[str, str]]:
    """Run a Ray cluster of this machine; give the environment that names it."""
    ray = str(Path(sys.executable).with_name("ray"))
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    start = [ray, "start", "--head", "--node-ip-address=127.0.0.1", "--port=6399", "--include-dashboard=false"]
    subprocess.run(start, check=True, capture_output=True, env={**os.environ, **loopback})
    try:
        yield {"RAY_ADDRESS": "127.0.0.1:6399"}
    finally:
        subprocess.run([ray, "stop", "--force"], check=True, capture_output=True)


def trained(command: list[str], environment: Mapping[str, str]) -> float:
    """Run an experiment; give the seconds until its last block has finished."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stderr is not None
    ended = next(time.perf_counter() - began for line in process.stderr if "2 of 2 blocks finished" in line)
    process.stderr.read()
    if process.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return ended


def at_once(runs: Path, blocks: list[str]) -> float:
    """Train blocks side by side without a launcher; give the seconds until all have ended."""
    began = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*COMMAND, "--block", seeds, "--runs", str(runs)], env=environment, stderr=subprocess.DEVNULL) for seeds in blocks
    ]
    codes = [process.wait() for process in processes]  # of all of them, also where one has failed
    if any(codes):
        raise SystemExit(f"the blocks {', '.join(blocks)} failed")
    return time.perf_counter() - began
