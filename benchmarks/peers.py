"""Compare `curriculum` with the same training in JAX, side by side in one run: `make bench-peers`.

Both train the color task (config ex-1.6) with one model, and with two sheets of 64 seeds as one stack. They start from the same
weights, draw the same batches by the task's own `batches` (counted on both sides), and store the same numbers in files of the same
formats: the losses of every step, the weights that the video shows, the curves of the probes and the final weights. `curriculum` writes
them while it trains, waits for the disk, and also stores its log, manifest and hashes, what phases end with, and a checkpoint every 30
seconds. The program in JAX, `in_jax.py`, keeps everything in memory and writes it at the end. With many models it is also run with half
of them on each of two devices of XLA, each a thread of its own.

Each way has a process of its own. *Cold* is its first training with empty caches, *new process* the first one of a second process with
the caches that the first one left, *warm* the best of some more trainings there, which the ways do by turns. Loading modules and checking
the inputs is not counted. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

CONFIG, SHEETS = "ex-1.6", ("smooth.csv", "stepped.csv")
CACHES = {"CURRICULUM_CACHE": "curriculum", "TORCHINDUCTOR_CACHE_DIR": "inductor", "JAX_COMPILATION_CACHE_DIR": "jax"}
# XLA spreads even the smallest products over all cores, which makes this training take longer; one thread is its best here.
SETTINGS = {"NPROC": "1", "JAX_PLATFORMS": "cpu", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
NOTEBOOK_STEPS = 2000  # of the notebook's loop, whose steps take the same time from first to last
EARLY = 100  # steps after which rounding has not yet grown
MOST_APART_EARLY, MOST_APART = 1e-4, 0.01  # relative differences of losses after these steps, and of the median final error


@dataclass(frozen=True)
class Way:
    """A way to train, with the overrides of the config that it takes, and the devices that XLA is to make of the processors."""

    name: str
    overrides: tuple[str, ...] = ()
    devices: int = 1


JAX, HALVES = Way("JAX"), Way("JAX, 2 devices", devices=2)
NOTEBOOK, BATCHES = Way("notebook-style loop"), Way("drawing the batches")


@dataclass(frozen=True)
class Spent:
    """Seconds that a training took: on the clock, and of all processors together."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Speed:
    """How long a way took for some steps of some models; only `warm` is known of what nothing is compiled for."""

    models: int
    steps: int
    warm: Spent
    cold: Spent | None = None
    new_process: Spent | None = None

    @property
    def rate(self) -> float:
        """Steps a second, those of all models together."""
        return self.steps * self.models / self.warm.wall


def our_ways() -> list[Way]:
    """List the ways in which `curriculum` can train."""
    return [Way(f"curriculum, compile: {way}", (f"compile={way}",)) for way in ("off", "on")]


def begin(caches: Path, devices: int) -> None:
    """Prepare a process that trains: where its compiler keeps what it has made, and its number of devices."""
    os.environ.update({**SETTINGS, "JAX_NUM_CPU_DEVICES": str(devices)})
    os.environ.update({name: str(caches / own) for name, own in CACHES.items()})
    sys.path.insert(0, str(Path(__file__).parent))


def spent_on(way: Way, models: int, steps: int, folder: Path) -> Spent:
    """Train once in this process, and store each arm in a folder in `folder`."""
    train = prepared(way, models, steps, folder)
    wall, processor = time.perf_counter(), processor_seconds()
    train()
    return Spent(time.perf_counter() - wall, processor_seconds() - processor)


def _check(message: str) -> None:
    if "cannot be compiled" in message:
        raise RuntimeError(message)


def prepared(way: Way, models: int, steps: int, folder: Path) -> Callable[[], object]:
    """Load what a way needs and check the inputs; return what trains."""
    import torch

    torch.set_num_threads(1)
    if way == NOTEBOOK:
        from bench import notebook_loop

        return lambda: notebook_loop(steps)
    from curriculum.runner.execute import train_stack
    from curriculum.runner.opening import open_stack
    from curriculum.runner.plan import plan
    from curriculum.train.stretch import LONGEST

    sheets, seeds = (SHEETS[:1], "0") if models == 1 else (SHEETS, f"0:{models // 2}")
    plans = [plan(CONFIG, sheet, seeds=seeds, steps=steps, overrides=way.overrides) for sheet in sheets]
    folders = [folder / Path(sheet).stem for sheet in sheets]
    if way == BATCHES:
        chunks = [range(start, min(start + LONGEST, steps)) for start in range(0, steps, LONGEST)]
        return lambda: [own.task.batches(own.schedule, chunk, own.seeds) for chunk in chunks for own in plans]
    if way in (JAX, HALVES):
        import in_jax

        return lambda: in_jax.train(plans, folders)
    return lambda: train_stack(open_stack(plans, folders), figures=False, tell=_check)


def processor_seconds() -> float:
    """Give the seconds of all processors that this process has had, and those it has waited for."""
    return sum(own.ru_utime + own.ru_stime for own in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def measure(ways: Sequence[Way], models: int, steps: int, rounds: int, folder: Path) -> dict[Way, Speed]:
    """Time all ways with so many models; what each stored last stays in `folder`, by the name of the way."""
    cold, first = {}, {}
    for way in ways:
        with processes([way], folder) as submit:
            cold[way] = submit(way, models, steps)
    sizes = {**dict.fromkeys([*ways, BATCHES], (models, steps)), NOTEBOOK: (1, min(steps, NOTEBOOK_STEPS))}
    warm: dict[Way, list[Spent]] = {way: [] for way in sizes}
    with processes([*sizes], folder) as submit:
        for way in ways:
            first[way] = submit(way, models, steps)
        for _ in range(rounds):
            for way, size in sizes.items():
                warm[way].append(submit(way, *size))
    return {way: Speed(*size, best(warm[way]), cold.get(way), first.get(way)) for way, size in sizes.items()}


@contextmanager
def processes(ways: Sequence[Way], folder: Path) -> Iterator[Callable[[Way, int, int], Spent]]:
    """Start a process for each way; yield what trains in that of a way and waits for it."""
    with ExitStack() as stack:
        pools = {}
        for way in ways:
            # A way finds what it has left in an earlier process; a compiler does not take a path with a space.
            caches = folder / "caches" / re.sub(r"\W+", "-", way.name)
            pools[way.name] = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), begin, (caches, way.devices)))

        def submit(way: Way, models: int, steps: int) -> Spent:
            own = folder / way.name
            shutil.rmtree(own, ignore_errors=True)
            own.mkdir(parents=True)
            return pools[way.name].submit(spent_on, way, models, steps, own).result()

        yield submit


def best(times: Sequence[Spent]) -> Spent:
    """Take the shortest times: any pause makes one longer."""
    return Spent(min(own.wall for own in times), min(own.processor for own in times))


@dataclass(frozen=True)
class Agreement:
    """How near the losses of a way are to those of JAX, relative: after a few steps, and at the end.

    `median` and `largest` are of the models' own errors on the vivid hues, `medians` is that of the median error of the models itself,
    which is `error`.
    """

    early: float
    error: float
    medians: float
    median: float
    largest: float

    @property
    def holds(self) -> bool:
        return self.early < MOST_APART_EARLY and self.medians < MOST_APART


def compare(ours: Path, theirs: Path) -> Agreement:
    """Compare what two ways stored. Raises `AssertionError` where they did not store the same rows, columns and steps."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from safetensors.numpy import load_file

    early, ends = [], []
    for arm in sorted(path.name for path in theirs.iterdir()):
        a, b = (pq.read_table(folder / arm / "metrics.parquet") for folder in (ours, theirs))
        assert a.schema == b.schema
        assert a.select(["step", "seed"]) == b.select(["step", "seed"])
        assert all(a[name].is_valid() == b[name].is_valid() for name in a.column_names)
        first = [table.filter(pc.less(table["step"], EARLY))["total"].to_numpy() for table in (a, b)]
        early.append(apart(*first).max())
        for file in ("traces", "snapshots", "model"):
            one, other = (load_file(folder / arm / f"{file}.safetensors") for folder in (ours, theirs))
            assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in other.items()}
            assert all((value == other[name]).all() for name, value in one.items() if name.endswith("steps"))
            if file == "traces":
                ends.append([own["loss.hues"][-1] for own in (one, other)])
    mine, others = np.concatenate(ends, 1)
    each, medians = apart(mine, others), [np.median(errors) for errors in (mine, others)]
    return Agreement(*map(float, (max(early), medians[0], apart(*medians), np.median(each), each.max())))


def apart(a: Any, b: Any) -> Any:
    """Compute relative differences."""
    return np.abs(a - b) / np.abs(b)


def table(found: Mapping[Way, Speed]) -> str:
    """Write times and ratios as text; each time on the clock, and in parentheses that of the processors."""
    loop, jax = found[NOTEBOOK].rate, found[JAX].rate
    lines = [f"  {'':26}{'cold':>16}{'new process':>16}{'warm':>16}{'seed-steps/s':>14}{'x JAX':>8}{'x notebook':>12}"]
    for way, own in found.items():
        times = "".join(f"{f'{t.wall:.1f} s ({t.processor:.1f})' if t else '':>16}" for t in (own.cold, own.new_process, own.warm))
        ratios = "" if way == BATCHES else f"{own.rate:14,.0f}{own.rate / jax:8.2f}{own.rate / loop:12.1f}"
        lines.append(f"  {way.name:26}{times}{ratios}")
    return "\n".join(lines)


def sentences(way: Way, models: int, own: Agreement) -> str:
    """Say how near a way and JAX are."""
    first = f"  {way.name} and JAX: the losses of the first {EARLY} steps are within {own.early:.0e} of each other, relative; at the end"
    whose = f"is {own.error:.3e}, the same to {digits(own.medians)} digits"
    if models == 1:
        return f"{first}\n    the error {whose}"
    return f"{first}\n    the median error {whose}; those of each model are within {own.largest:.0e}, half of them within {own.median:.0e}"


def digits(difference: float) -> int:
    """Say to how many digits two numbers agree that are so far apart, relative."""
    return 7 if difference < 1e-7 else math.floor(-math.log10(difference))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10001, help="training steps")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 128], help="1, or an even number: half of them for each of two sheets")
    parser.add_argument("--rounds", type=int, default=3, help="warm trainings of each way")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    if any(models < 1 or (models > 1 and models % 2) for models in args.models):
        parser.error("--models takes 1 and even numbers")
    ours = our_ways()
    results: dict[str, Any] = {}
    held = True
    for models in args.models:
        others = [*ours, HALVES] if models > 1 else ours
        with tempfile.TemporaryDirectory() as name:
            found = measure([*others, JAX], models, args.steps, args.rounds, Path(name))
            agreements = {way: compare(Path(name) / way.name, Path(name) / JAX.name) for way in others}
        print(f"{models} model{'s' if models > 1 else ''}, {args.steps:,} steps, everything stored; in parentheses the processors' time:")
        print(table(found))
        for way, own in agreements.items():
            print(sentences(way, models, own))
        held = held and all(own.holds for own in agreements.values())
        speeds = {way.name: {**asdict(own), "rate": own.rate} for way, own in found.items()}
        results[str(models)] = {"speeds": speeds, "agreement": {way.name: asdict(own) for way, own in agreements.items()}}
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    if not held:
        sys.exit("error: the two did not end at the same errors")


if __name__ == "__main__":
    main()
