"""What this machine has, and what a process on it may use."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def gpus_here() -> int:
    """Count the GPUs that processes of this machine may use, without PyTorch, which would reserve memory on them."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([one for one in chosen.split(",") if one.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], check=False, capture_output=True, text=True, timeout=20)
        return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return 0


def thread_variables(cores: int) -> dict[str, str]:
    """Give the variables that keep the libraries of a process to so many threads; each would take all cores for itself."""
    return dict.fromkeys(THREADS, str(cores))
