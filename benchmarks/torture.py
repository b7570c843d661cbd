"""Inject faults into trainings, resume them, and compare the results with uninterrupted trainings: `make torture`.

Prints the table in the README's section on reliability. The same seed injects the same faults. A trial is lost if its result
differs from the uninterrupted one in any byte, a folder can no longer be read, an error is a traceback, or a checkpoint is
missing.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,0.1,0,0,0
30,All hues,anchor,,,,0.5,0,0
60,,ease,,,,,1,1
{last},,,0.001,,,,,
"""
ONE_LIBRARY = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm
0,Primary & secondary,,0.01,1,0.1
60,,ease,,,
110,,,0.001,,
"""
HOOKS = "from curriculum import Retarget\ndef ease(event):\n    return Retarget('reg-norm', 0.3, 60)\n"
RECORD = "record: {checkpoint_every: 50, snapshot_every: 7}\nhooks:\n  - {on: 'action:ease', call: 'torture_hooks:ease'}\n"
STUDY = "config: torture.yaml\nseeds: 0:2\narms: {first: one.csv, second: two.csv}\n"
TRAIN = ("train", "-c", "torture.yaml", "-d", "one.csv", "--seeds", "0:3", "--name", "run")
ONE = ("train", "-c", "torture.yaml", "-d", "one.csv", "--name", "run")
ARMS = ("experiment", "torture-study.yaml")
COMPILED = ("--set", "compile=on")
SHORT = ("train", "-c", "torture.yaml", "-d", "short.csv", "--name", "run", *COMPILED)
SHARE_COMPILED = 0.2  # of the trials in which any training is as good
CHANGES = {"os.rename", "os.remove", "os.truncate", "os.link", "os.mkdir", "os.rmdir", "os.chmod"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EITHER = (TRAIN, ONE, ARMS)
Fault = Callable[[str, str], None]


def compiled(args: tuple[str, ...]) -> tuple[str, ...]:
    """Give the command with compiled steps, of which the result has other bytes."""
    return (*args, *COMPILED)


def prepare(folder: Path) -> None:
    (folder / "one.csv").write_text(SHEET.format(last=110))
    (folder / "two.csv").write_text(SHEET.format(last=110).replace("60,", "70,"))
    (folder / "short.csv").write_text(ONE_LIBRARY)
    (folder / "torture_hooks.py").write_text(HOOKS)
    (folder / "torture.yaml").write_text("task: {name: color}\n" + RECORD)
    (folder / "torture-study.yaml").write_text(STUDY)


def start(folder: Path, args: Sequence[str], fault: Fault | None = None, libraries: Path | None = None) -> int:
    """Run the command in a process of its own that is forked, which saves its start; return its id.

    With `libraries`, a folder, its compiled steps are kept there and not where those of all trials are, and it leads a group of
    processes, of which one is that which builds.
    """
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        if libraries is not None:
            os.environ["CURRICULUM_CACHE"] = str(libraries)
            os.setsid()
        os.chdir(folder)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["curriculum", *args]
        if fault is not None:
            inject(folder / "runs", fault)
        from curriculum.cli import app, experiment
        from curriculum.runner import execute

        # Figures and comparisons come after all that is tried here, and would take most of the time.
        execute.draw_run = lambda run: None
        experiment.compare_and_print = lambda *args, **more: None
        app.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int) -> int:
    """Wait for a process: its exit code, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ended(child: int) -> bool:
    """Tell whether a process has ended; it can be waited for all the same."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def attempt(folder: Path, args: Sequence[str], fault: Fault | None = None, libraries: Path | None = None) -> int:
    return wait(start(folder, args, fault, libraries))


def inject(below: Path, fault: Fault) -> None:
    """Call `fault(operation, path)` before every change to a file below a folder."""
    place = str(below)
    busy = False

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal busy
        if busy or not (event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & WRITING)):
            return
        path = args[0]
        if isinstance(path, os.PathLike | str | bytes) and os.path.abspath(os.fsdecode(path)).startswith(place):
            busy = True
            try:
                fault(event, os.path.abspath(os.fsdecode(path)))
            finally:
                busy = False

    sys.addaudithook(hook)


def counting(out: Path) -> Fault:
    """Write down every change, one in each line."""

    def fault(event: str, path: str) -> None:
        with out.open("a") as file:
            file.write(event + "\n")

    return fault


def at(number: int, act: Callable[[str, str], None]) -> Fault:
    """Act at the change of this number, counted from 1."""
    count = 0

    def fault(event: str, path: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            act(event, path)

    return fault


def die(event: str, path: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_half_way(event: str, path: str) -> None:
    """Leave half of what would be written there, as a loss of power does, and die."""
    if event == "open":
        with open(path, "ab") as file:
            file.write(b'{"event": "phase-st' if path.endswith(".jsonl") else b"PAR1\x15\x00")
    die(event, path)


def full(event: str, path: str) -> None:
    if event != "os.remove":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def read_only(event: str, path: str) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


RESULTS = (
    "metrics.parquet",
    "snapshots.safetensors",
    "traces.safetensors",
    "phase-ends.safetensors",
    "model.safetensors",
    "exhibits.safetensors",
)


def events(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def differs(folder: Path, whole: Path) -> str:
    """Say what of the runs in a folder is not as in the unbroken ones; nothing where all is."""
    for reference in sorted(path.parent for path in (whole / "runs").rglob("run.json")):
        run = folder / reference.relative_to(whole)
        if not (run / "run.json").is_file():
            return f"{run} is missing"
        if json.loads((run / "run.json").read_text())["status"] != "finished":
            return f"{run} is not finished"
        for name in RESULTS:
            if (run / name).read_bytes() != (reference / name).read_bytes():
                return f"{run / name} differs"
        if events(run) != events(reference):
            return f"the events of {run} differ"
    return ""


class Torture:
    """Counts what was tried, and keeps what was lost."""

    def __init__(self, seed: int, folder: Path):
        self.random = random.Random(seed)
        self.folder = folder
        self.rows: list[tuple[str, int, int]] = []
        self.lost: list[str] = []
        self.whole: dict[tuple[str, ...], tuple[Path, float]] = {}
        os.environ.setdefault("CURRICULUM_CACHE", str(folder / "libraries"))
        for args in (*EITHER, *map(compiled, EITHER), SHORT):
            if COMPILED[1] in args:
                attempt(self.new(), args)  # builds what is not built yet, which must not count as time to train
            whole = self.new()
            began = time.perf_counter()
            code = attempt(whole, args)
            if code:
                raise SystemExit(f"the uninterrupted training failed: {(whole / 'log').read_text()}")
            self.whole[args] = whole, time.perf_counter() - began

    def new(self) -> Path:
        """Make a folder to train in."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        prepare(folder)
        return folder

    def choose(self) -> tuple[str, ...]:
        """Choose a command to break."""
        args = self.random.choice(EITHER)
        return compiled(args) if self.random.random() < SHARE_COMPILED else args

    def check(self, what: str, folder: Path, args: tuple[str, ...], libraries: Path | None = None) -> int:
        """Run a command that was broken once more, to its end; count a loss where the result is not that of the unbroken one."""
        code = attempt(folder, args, None, libraries)
        if code == 1 and "already exists" in (folder / "log").read_text():
            code = 0  # it had come to its end after all
        problem = f"exit code {code}: {(folder / 'log').read_text()[-300:]}" if code else differs(folder, self.whole[args][0])
        if problem:
            self.lose(f"{what}: {problem} (kept in {folder})")
            return 1
        shutil.rmtree(folder)
        return 0

    def clean_error(self, what: str, folder: Path, code: int, codes: Sequence[int] = (1, 2, 3)) -> int:
        """Count a loss where a command did not end with an error that a person can read."""
        log = (folder / "log").read_text()
        if code in codes and "error: " in log and "Traceback" not in log and "bug in curriculum" not in log:
            return 0
        self.lose(f"{what}: exit code {code}: {log[-300:]} (kept in {folder})")
        return 1

    def lose(self, what: str) -> None:
        print(f"  LOST {what}", flush=True)
        self.lost.append(what)

    def row(self, what: str, tried: int, lost: int) -> None:
        self.rows.append((what, tried, lost))
        print(f"  {what}: {tried:,} trials, {lost} lost", flush=True)

    def kills(self, count: int) -> None:
        """Kill at random instants, also while going on, until so many were killed."""
        killed = lost = 0
        while killed < count:
            args = self.choose()
            folder = self.new()
            for _ in range(self.random.randint(1, 3)):
                child = start(folder, args)
                time.sleep(self.random.uniform(0, 1.1 * self.whole[args][1]))
                os.kill(child, signal.SIGKILL)
                killed += wait(child) == -signal.SIGKILL
            lost += self.check(f"kill {killed}", folder, args)
        self.row("SIGKILL at a random moment", killed, lost)

    def stops(self, count: int) -> None:
        """Stop by Ctrl-C and SIGTERM, some after SIGUSR1, some with a second signal that leaves at once."""
        stopped = lost = 0
        while stopped < count:
            args, number = self.choose(), self.random.choice([signal.SIGINT, signal.SIGTERM])
            folder = self.new()
            child = start(folder, args)
            made = next(path.parent for path in sorted(self.whole[args][0].rglob("run.json"))).relative_to(self.whole[args][0])
            while not (folder / made).is_dir():
                time.sleep(0.005)
            time.sleep(self.random.uniform(0.01, 0.5 * self.whole[args][1]))
            twice = self.random.random() < 0.3
            os.kill(child, number)
            if twice:
                time.sleep(self.random.uniform(0, 0.005))
                os.kill(child, number)
            code = wait(child)
            stopped += code != 0
            if code not in (0, 128 + number) or "Traceback" in (folder / "log").read_text():
                lost += 1
                self.lose(f"{number!r}: exit code {code}: {(folder / 'log').read_text()[-300:]}")
            lost += self.check(f"{number!r}", folder, args)
        self.row("Ctrl-C or SIGTERM, once or twice", stopped, lost)

    def builds(self, count: int) -> None:
        """Kill or stop while a library is built; what goes on builds it again. Ctrl-C reaches the process that builds it, too."""
        began = time.perf_counter()
        attempt(self.new(), SHORT, None, self.new())
        building = time.perf_counter() - began
        killed = lost = 0
        while killed < count:
            folder = self.new()
            libraries = folder / "libraries"
            child = start(folder, SHORT, None, libraries)
            while not list(libraries.rglob("step.json")) and not ended(child):
                time.sleep(0.005)
            time.sleep(self.random.uniform(0, 0.9 * building))
            number, end = self.random.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]), self.random.choice([os.kill, os.killpg])
            killed += not ended(child) and not list(libraries.rglob("loop.so"))
            end(child, number)
            wait(child)
            lost += self.check(f"{number!r} by {end.__name__} while building", folder, SHORT, libraries)
        self.row("SIGKILL, Ctrl-C or SIGTERM while steps are compiled", killed, lost)

    def faults(self, what: str, act: Callable[[str, str], None], share: float) -> None:
        """Break at a share of all changes of files, one in each training, also of those of a training that goes on."""
        tried = lost = 0
        for args in (TRAIN, ARMS, compiled(TRAIN), compiled(ARMS)) if share else ():
            own = share * SHARE_COMPILED if COMPILED[1] in args else share
            for again in (False, True):
                for number, event in enumerate(self.changes(args, again), 1):
                    # A half needs something that is written, and to remove a file takes no room.
                    pointless = (act is die_half_way and event != "open") or (act is full and event == "os.remove")
                    if pointless or self.random.random() >= own:
                        continue
                    folder = self.begun(args, again)
                    code = attempt(folder, args, at(number, act))
                    tried += 1
                    if act is full and code:
                        lost += self.clean_error(f"{what} {number}", folder, code, (1,))
                    lost += self.check(f"{what} at change {number} of {args[0]}{', resuming' if again else ''}", folder, args)
        self.row(what, tried, lost)

    def begun(self, args: tuple[str, ...], again: bool) -> Path:
        """Make a folder to train in, where that was begun already if `again`."""
        folder = self.new()
        if again:
            attempt(folder, args, at(int(0.6 * len(self.changes(args, False))), die))
        return folder

    def changes(self, args: tuple[str, ...], again: bool) -> list[str]:
        """List the changes of files that a training makes."""
        key = (*args, str(again))
        if key not in self._changes:
            folder = self.begun(args, again)
            attempt(folder, args, counting(folder / "count"))
            self._changes[key] = (folder / "count").read_text().splitlines()
            shutil.rmtree(folder)
        return self._changes[key]

    _changes: dict[tuple[str, ...], list[str]] = {}

    def locked_out(self) -> None:
        """Let a folder be read-only for whoever goes on with it."""
        lost = 0
        for args in (TRAIN, ARMS):
            folder = self.begun(args, True)
            lost += self.clean_error("read-only", folder, attempt(folder, args, read_only), (1,))
            lost += self.check("read-only", folder, args)
        self.row("read-only folder", 2, lost)

    def damage(self, count: int) -> None:
        """Cut or flip a bit of a stored file: of an unfinished run, which goes on then, and of a finished one."""
        tried = {"truncated": 0, "flipped": 0}
        lost = dict(tried)
        begun = self.begun(TRAIN, True)
        whole = self.whole[TRAIN][0]
        for number in range(count):
            how = self.random.choice(["truncated", "flipped"])
            finished = self.random.random() < 0.5
            source = whole if finished else begun
            folder = self.folder / f"damaged-{number}"
            shutil.copytree(source, folder)
            path = self.random.choice([path for path in sorted((folder / "runs" / "run").iterdir()) if path.is_file()])
            before = path.read_bytes()
            if not before:
                shutil.rmtree(folder)
                continue
            place = self.random.randrange(len(before.rstrip()))  # a last line break says nothing
            flipped = before[:place] + bytes([before[place] ^ 1 << self.random.randrange(8)]) + before[place + 1 :]
            path.write_bytes(before[:place] if how == "truncated" else flipped)
            tried[how] += 1
            what = f"{path.name} {how} at byte {place}"
            if finished:
                lost[how] += self.clean_error(what, folder, attempt(folder, ("verify", "run")))
                shutil.rmtree(folder, ignore_errors=True)
                continue
            code = attempt(folder, TRAIN)
            if code:
                lost[how] += self.clean_error(what, folder, code)
                path.write_bytes(before)  # nothing else may have suffered
            lost[how] += self.check(what, folder, TRAIN) if code else self.same(what, folder)
        for how, number in tried.items():
            self.row({"truncated": "stored file truncated", "flipped": "bit flipped in a stored file"}[how], number, lost[how])

    def same(self, what: str, folder: Path) -> int:
        problem = differs(folder, self.whole[TRAIN][0])
        if problem:
            self.lose(f"{what}: {problem} (kept in {folder})")
            return 1
        shutil.rmtree(folder)
        return 0

    def fuzz(self, seed: int, inputs: int) -> None:
        """Feed the sheet parser, the config loader and the run reader what a stranger may have written."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", "tests/test_fuzz.py"]
        done = subprocess.run(
            command,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "FUZZ_EXAMPLES": str(inputs)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.lose(f"fuzzing: {done.stdout[-2000:]}")
        self.row("hostile sheets, configs and run folders", 3 * inputs, int(done.returncode != 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--builds", type=int, default=8, help="kills while training steps are compiled")
    parser.add_argument("--share", type=float, default=1.0, help="share of file changes at which a fault is injected")
    parser.add_argument("--damaged", type=int, default=400)
    parser.add_argument("--inputs", type=int, default=20_000, help="number of inputs per fuzz target")
    options = parser.parse_args()
    began = time.perf_counter()
    # Imported once, here: a child that is forked need not do it again. Nothing is computed, so that there are no threads yet.
    import torch._inductor
    import torch.fx.experimental.proxy_tensor  # noqa: F401

    import curriculum.cli.app
    import curriculum.draw.video
    import curriculum.measure.comparison
    import curriculum.runner.again
    import curriculum.runner.arms
    import curriculum.runner.execute
    import curriculum.store.verify  # noqa: F401
    from curriculum import plugins

    for kind in plugins.KINDS:
        for name in plugins.names(kind):
            plugins.find(kind, name)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        torture = Torture(options.seed, Path(folder))
        torture.kills(options.kills)
        torture.stops(options.stops)
        torture.builds(options.builds)
        torture.faults("SIGKILL at each file change", die, options.share)
        torture.faults("SIGKILL with a half-written file", die_half_way, options.share)
        torture.faults("full disk at each file change", full, options.share)
        torture.locked_out()
        torture.damage(options.damaged)
        if options.inputs:
            torture.fuzz(options.seed, options.inputs)
        width = max(len(what) for what, _, _ in torture.rows)
        print(f"\n| fault | trials | lost |\n|{'-' * (width + 2)}|---|---|")
        for what, tried, lost in torture.rows:
            print(f"| {what:{width}} | {tried:,} | {lost} |")
        print(f"\nseed {options.seed}, {time.perf_counter() - began:.0f} s; losses: {len(torture.lost)}")
        for loss in torture.lost:
            print(loss)
        if torture.lost:
            sys.exit(1)


if __name__ == "__main__":
    main()
