"""A Slurm of two nodes on this machine, which listens on the loopback alone: `with slurm_here() as slurm`, or run a command in it.

python tests/cluster/slurm_here.py curriculum experiment smooth-vs-stepped --launcher slurm
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
PACKAGES = ("slurm-wlm", "munge")
NODES = ("n1", "n2")
CORES, MEGABYTES = 2, 3000  # that a node claims to have
APART = ("unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')
PATIENCE = 60.0  # seconds until the nodes must be idle

CONF = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
BatchStartTimeout=2
KillWait=5
MinJobAge=600
InactiveLimit=0
ReturnToService=2
"""


@dataclass
class SlurmHere:
    """A Slurm that runs: its folder, and the environment in which its commands find it."""

    folder: Path
    environment: dict[str, str]
    unshared: Path | None  # a folder of which the last node has another than the rest of this machine; None where that needs rights
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def call(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands, and give what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


def install() -> None:
    """Install Slurm with apt-get where it is missing."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    if all(shutil.which(name, path=path) for name in (*DAEMONS, *COMMANDS)):
        return
    if shutil.which("apt-get") is None:
        sys.exit(f"this needs Slurm ({', '.join(DAEMONS)}), and there is no apt-get here to install it with: install Slurm and MUNGE")
    root = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run([*root, "apt-get", "install", "--yes", "-qq", "--no-install-recommends", *PACKAGES], check=True, env=quiet)


@contextmanager
def slurm_here() -> Iterator[SlurmHere]:
    """Start a Slurm of two nodes; stop it, and whatever it still runs, in the end. Its files are in a folder that is thrown away."""
    install()
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, ExitStack() as stack:
        folder = Path(name)
        for own in ("state", "unshared", *NODES):
            (folder / own).mkdir()
        (folder / "slurm.conf").write_text(_conf(folder))
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
        may = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
        slurm = SlurmHere(folder, environment, folder / "unshared" if may else None)
        munged = [f"--{option}={folder}/munge.{option.partition('-')[0]}" for option in ("key-file", "log-file", "pid-file", "seed-file")]
        _start(slurm, stack, "munged", ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munged])
        _wait(slurm, (folder / "munge.socket").exists)
        _start(slurm, stack, "slurmctld", ["slurmctld", "-D", "-i"])
        for node in NODES:
            apart = [*APART, str(slurm.unshared)] if slurm.unshared and node == NODES[-1] else []
            _start(slurm, stack, node, [*apart, "slurmd", "-D", "-N", node])
        _wait(slurm, lambda: slurm.call("sinfo", "--noheader", "--format=%D %t", check=False).split() == [str(len(NODES)), "idle"])
        stack.callback(_cancel, slurm)
        yield slurm


def _conf(folder: Path) -> str:
    ports = _free_ports(1 + len(NODES))
    user = subprocess.run(["id", "--user", "--name"], capture_output=True, text=True, check=True).stdout.strip()
    lines = [
        f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} CPUs={CORES} RealMemory={MEGABYTES}"
        for node, port in zip(NODES, ports[1:], strict=True)
    ]
    lines.append(f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP")
    return CONF.format(folder=folder, host=socket.gethostname(), ports=ports, user=user) + "\n".join(lines) + "\n"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(slurm: SlurmHere, stack: ExitStack, name: str, command: list[str]) -> None:
    """Start a daemon, with its output in a file."""
    with (slurm.folder / f"{name}.out").open("wb") as output:
        daemon = subprocess.Popen(command, env=slurm.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    slurm.daemons[name] = daemon
    stack.callback(_stop, daemon)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _cancel(slurm: SlurmHere) -> None:
    """Cancel what is still in the queue, and wait for it."""
    slurm.call("scancel", "--me", check=False)
    _wait(slurm, lambda: not slurm.call("squeue", "--noheader").strip())


def _wait(slurm: SlurmHere, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():
        ended = [name for name, daemon in slurm.daemons.items() if daemon.poll() is not None]
        if ended or time.monotonic() > until:
            said = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(slurm.folder.glob("*.[ol][uo][tg]")))
            raise RuntimeError(f"{', '.join(ended) or 'Slurm'} did not start:\n{said}")
        time.sleep(0.1)


def main() -> int:
    """Run a command with a Slurm of its own, and give its exit code."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} COMMAND ...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with slurm_here() as slurm:
        return subprocess.run(sys.argv[1:], env=slurm.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
