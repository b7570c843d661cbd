"""Run jobs as tasks of a Ray cluster, each a process of our own command on the worker."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from curriculum.errors import CurriculumError, InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import thread_variables
from curriculum.launch.shared_folder import TIED
from curriculum.processes import cores_here
from curriculum.runner.signals import Terminated

if TYPE_CHECKING:
    from curriculum.config.launching import LauncherSettings

GRACE = 30.0  # seconds that the jobs have to store a checkpoint in
PATIENCE = 10.0  # seconds that a cluster has to answer in; Ray itself would try for minutes
STORE = 80 * 2**20  # bytes for objects, of which there are none; Ray would reserve a third of the memory
LONGEST = 500  # characters of what Ray says
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SILENT = {"RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}  # else Ray prints to our output which workers have died
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # else Ray takes the machine's outer address for 127.0.0.1


class RayCluster:
    """Runs as many tasks at a time as the cluster has room for. Tasks end with this process."""

    lasting = False

    def __init__(self, settings: LauncherSettings, threads: int):
        """Connect to a cluster, or start one on this machine.

        Raises `InputError` where Ray is not installed, where there is no cluster at the address, and where no node of it has what a
        worker needs.
        """
        address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
        with _set(_variables(address)):
            try:
                import ray
            except ImportError:
                raise InputError("the launcher ray needs Ray: install it with pip install 'curriculum[ray]'") from None
            self._ray: Any = ray
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
            raise InputError(f"no node of the Ray cluster has what a worker needs ({wanted}); there are: {_text(nodes)}")
        self.slots = settings.workers or room
        kept = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
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
        return [self._end_of(self._running.pop(reference), reference) for reference in ready]

    def _end_of(self, name: str, reference: Any) -> Ended:
        try:
            return Ended(name, self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            return Ended(name, None, f"its Ray worker could not run it: {_said(error.cause or error)}")
        except self._ray.exceptions.RayError as error:
            return Ended(name, None, f"its Ray worker is gone ({type(error).__name__})")

    def stop(self) -> None:
        """Cancel all tasks; their processes store checkpoints."""
        for reference in self._running:
            with suppress(Exception):
                self._ray.cancel(reference)
        if self._running:
            with suppress(Exception):
                self._ray.wait(list(self._running), num_returns=len(self._running), timeout=GRACE)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


def _variables(address: str) -> dict[str, str]:
    """Give the environment in which Ray is imported and started. Raises `InputError` for what is no address of a cluster.

    A cluster that is started here listens on 127.0.0.1 only, and to nobody without a token that no file has.
    """
    if address == "local":
        token = {} if "RAY_AUTH_MODE" in os.environ else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        return {**SILENT, **LOOPBACK_ONLY, **token}
    if address.startswith("ray://"):
        raise InputError(f"{address} is an address of Ray Client, which has limits that this launcher avoids: use HOST:6379")
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal()):
        raise InputError(f"{address} is no address of a Ray cluster: write HOST:PORT, such as 10.0.0.1:6379, or leave it out to start one")
    return {**SILENT, **(LOOPBACK_ONLY if host.strip("[]") in LOOPBACK else {})}


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _connect(ray: Any, address: str) -> None:
    host, _, port = address.rpartition(":")
    here: dict[str, Any] = {}
    if address == "local":
        here = {"include_dashboard": False, "num_cpus": cores_here(), "object_store_memory": STORE}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if host:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        with _own_signals():
            ray.init(address=address, log_to_driver=False, configure_logging=False, **here)
    except (OSError, OverflowError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise InputError(f"cannot reach a Ray cluster at {address}: {_said(error)}") from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handler of SIGTERM, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise Terminated from None
    finally:
        signal.signal(signal.SIGTERM, handler)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


def _room(node: Mapping[str, float], needs: Mapping[str, Any]) -> int:
    """Count the workers that fit a node."""
    has = {"num_cpus": node.get("CPU", 0), "num_gpus": node.get("GPU", 0), "memory": node.get("memory", 0)}
    return min(int(has[name] // amount) for name, amount in needs.items() if amount)


def _text(nodes: Sequence[Mapping[str, float]]) -> str:
    shown = [f"{node.get('CPU', 0):g} core(s), {node.get('GPU', 0):g} GPU(s), {node.get('memory', 0) / 2**30:.1f}G" for node in nodes]
    return "; ".join(shown) or "no nodes"


def _run(command: Sequence[str], environment: Mapping[str, str], folder: str, log: str) -> int:
    """Run a command on a Ray worker, and give its exit code. If the worker is killed, the command notices: its input closes."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    where = folder if os.path.isdir(folder) else None
    try:
        # A folder that is not shared is for the command to find out.
        with open(log if os.path.isdir(os.path.dirname(log)) else os.devnull, "ab") as output:
            process = subprocess.Popen(
                list(command),
                env={**own, **environment},
                cwd=where,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
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
