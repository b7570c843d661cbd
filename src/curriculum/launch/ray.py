"""Run jobs as tasks of a Ray cluster, each a process of our own command on the worker."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from curriculum.config.launching import LauncherSettings
from curriculum.errors import CurriculumError, InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import thread_variables
from curriculum.launch.shared_folder import TIED

GRACE = 30.0  # seconds that the jobs have to store a checkpoint in
NEEDED = ("PATH", "PYTHONPATH", "HOME", "LANG")  # of the environment here, that the jobs get; the rest is the workers' own


class RayCluster:
    """Runs as many tasks at a time as the cluster has room for. Tasks end with this process."""

    def __init__(self, settings: LauncherSettings, threads: int):
        """Connect to a cluster, or start one on this machine.

        Raises `InputError` where Ray is not installed, where there is no cluster at the address, and where no node of it has what a
        worker needs.
        """
        try:
            import ray
        except ImportError:
            raise InputError("the launcher ray needs Ray: install it with pip install 'curriculum[ray]'") from None
        self._ray: Any = ray
        address = settings.address or os.environ.get("RAY_ADDRESS") or None
        if address and address.startswith("ray://"):
            raise InputError(f"{address} is an address of Ray Client, which has limits that this launcher avoids: use HOST:6379")
        self._started = not ray.is_initialized()
        if self._started:
            _connect(ray, address)
        cores = settings.cores or threads
        self._needs: dict[str, Any] = {"num_cpus": cores, "num_gpus": settings.gpus}
        if settings.megabytes:
            self._needs["memory"] = settings.megabytes * 2**20
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = sum(_room(node, self._needs) for node in nodes)
        if not room:
            self.close()
            wanted = f"{cores} core(s), {settings.gpus} GPU(s){f', {settings.memory}' if settings.memory else ''}"
            raise InputError(f"no node of the Ray cluster has what a worker needs ({wanted}): it has {_text(nodes)}")
        self.slots = settings.workers or room
        kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
        self._environment = {**kept, **thread_variables(cores), TIED: "1", **settings.environment}
        self._task = ray.remote(max_retries=0, **self._needs)(_run)
        self._running: dict[Any, str] = {}

    def adopt(self, job: Job) -> bool:
        """Adopt none: tasks end with the process that submitted them."""
        return False

    def start(self, job: Job) -> None:
        """Submit the task of a job; Ray finds a place for it."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        reference = self._task.remote(job.command, {**self._environment, **job.environment}, os.getcwd(), str(job.log))
        self._running[reference] = job.name

    def ended(self) -> Sequence[Ended]:
        """List the tasks that ended, or whose worker or node is gone."""
        if not self._running:
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        found = []
        for reference in ready:
            name = self._running.pop(reference)
            try:
                found.append(Ended(name, self._ray.get(reference)))
            except (self._ray.exceptions.RayTaskError, self._ray.exceptions.RayError) as error:
                found.append(Ended(name, None, f"its Ray worker is gone ({type(error).__name__})"))
        return found

    def stop(self) -> None:
        """Cancel all tasks; their processes store checkpoints."""
        for reference in self._running:
            with suppress(Exception):
                self._ray.cancel(reference)
        with suppress(Exception):
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=GRACE)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._started:
            self._ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    here: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False, **here)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot reach a Ray cluster at {address or 'this machine'}: {why}") from None


def _room(node: Mapping[str, float], needs: Mapping[str, Any]) -> int:
    """Count the workers that fit a node."""
    has = {"num_cpus": node.get("CPU", 0), "num_gpus": node.get("GPU", 0), "memory": node.get("memory", 0)}
    return min(int(has[name] // amount) for name, amount in needs.items() if amount)


def _text(nodes: Sequence[Mapping[str, float]]) -> str:
    shown = [f"{node.get('CPU', 0):g} core(s), {node.get('GPU', 0):g} GPU(s), {node.get('memory', 0) / 2**30:.1f}G" for node in nodes]
    return "; ".join(shown) or "no nodes"


def _run(command: Sequence[str], environment: Mapping[str, str], folder: str, log: str) -> int:
    """Run a command on a Ray worker, and give its exit code. If the worker is killed, the command notices: its input closes."""
    own = {name: value for name, value in os.environ.items() if name == "CUDA_VISIBLE_DEVICES"}
    where = folder if os.path.isdir(folder) else None
    try:
        # A folder that is not shared is for the command to find out.
        with open(log if os.path.isdir(os.path.dirname(log)) else os.devnull, "ab") as output:
            process = subprocess.Popen(
                list(command), env={**environment, **own}, cwd=where, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
    except OSError as error:
        raise CurriculumError(f"cannot start {command[0]}: {error.strerror or error}") from error
    try:
        while (code := process.poll()) is None:
            time.sleep(0.05)  # not wait: a cancelled task is interrupted only between operations of Python
        return code
    except BaseException:
        process.terminate()
        process.wait()
        raise
