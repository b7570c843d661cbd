"""What a second thread gives and costs, with and without another busy process: a part of `bench.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = [sys.executable, "-m", "curriculum", "train", "--config", "e2c-plane", "--dopesheet", "e2c-small", "--seeds", "0:8", "--json"]
SPINNING = {"GOMP_SPINCOUNT": "300000"}  # what GNU's OpenMP does unless told otherwise: threads wait for 10 ms before they sleep
WAYS: dict[str, tuple[int, Mapping[str, str]]] = {"one thread": (1, {}), "two threads": (2, {}), "two that spin": (2, SPINNING)}


def bench_busy(steps: int, folder: Path, turns: int = 3) -> dict[str, float]:
    """Train a task whose config has two threads with one and with two, alone and beside a process that computes all the time."""
    best: dict[tuple[str, bool], float] = {}
    for turn in range(turns):
        for busy in (False, True):
            for way, (threads, environment) in WAYS.items():
                other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
                try:
                    spent = _seconds(threads, steps, folder / f"busy-{turn}", environment)
                finally:
                    if other is not None:
                        other.kill()
                        other.wait()
                best[way, busy] = min(best.get((way, busy), spent), spent)
    print(f"e2c-plane, 8 seeds, {steps} steps, the best of {turns} (load of the machine {os.getloadavg()[0]:.1f}):")
    for way in WAYS:
        alone, beside = best[way, False], best[way, True]
        print(f"  {way:<14} alone {alone:5.1f} s, beside another process {beside:5.1f} s, ratio {beside / alone:.1f}")
    return {f"{way}{', busy' if busy else ''}, s": spent for (way, busy), spent in best.items()}


def _seconds(threads: int, steps: int, runs: Path, environment: Mapping[str, str]) -> float:
    """Train once; give the seconds that the command says it took."""
    command = [*COMMAND, "--steps", str(steps), "--set", f"threads={threads}", "--runs", str(runs)]
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**kept, **environment})
    seconds: float = json.loads(done.stdout)["seconds"]
    return seconds
