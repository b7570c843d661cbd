"""A Ray cluster of several nodes on 127.0.0.1, in a process of its own, whose nodes and workers can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

QUIET = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}  # the first binds Ray to 127.0.0.1

SERVE = """
import sys
from ray.cluster_utils import Cluster

def add(cores):
    return cluster.add_node(node_ip_address="127.0.0.1", num_cpus=cores, object_store_memory=80 * 2**20, include_dashboard=False)

cluster = Cluster(shutdown_at_exit=True)
add(0)
nodes = [add(1), add(1)]
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(nodes.pop(0), allow_graceful=False)
    nodes.append(add(1))
    print("replaced", flush=True)
cluster.shutdown()
"""


class Nodes:
    """A head without cores, and two nodes with one core each, as a context."""

    def __enter__(self) -> Nodes:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **QUIET},
            text=True,
        )
        self.address = self._line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=60)

    def replace_node(self) -> None:
        """Kill all processes of a node at once, and add a new one."""
        assert self._process.stdin is not None
        self._process.stdin.write("replace\n")
        self._process.stdin.flush()
        assert self._line() == "replaced"

    def workers(self) -> list[int]:
        """List the processes that run a task of ours."""
        return self._below(lambda args: args.startswith("ray::_run"))

    def commands(self) -> list[int]:
        """List the commands that those have started."""
        return self._below(lambda args: "curriculum experiment" in args and "--block" in args)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _below(self, wanted: Callable[[str], bool]) -> list[int]:
        return [pid for pid, args in processes_below(self._process.pid).items() if wanted(args)]


def processes_below(pid: int) -> dict[int, str]:
    """Find what a process has started, and what that has: the arguments by the number of the process."""
    listed = subprocess.run(["ps", "-axo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(row[0]), int(row[1]), row[2]) for row in (line.split(maxsplit=2) for line in listed.splitlines()) if len(row) == 3]
    known = {pid}
    while more := {own for own, parent, _ in rows if parent in known} - known:
        known |= more
    return {own: args for own, _, args in rows if own in known}


def kill(pid: int) -> None:
    """End a process at once, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
