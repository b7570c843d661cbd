"""Measure speed as ratios, each pair timed in one run: `make bench`.

Every part prints what it measured; nothing here is a test. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from busy import bench_busy
from compiled import bench_compiled
from denormal import bench_denormal
from launchers import bench_launchers
from page import bench_page
from scaling import bench_scaling

SHEET = "smooth.csv"
IN_MEMORY = 150  # frames of 1600x900


def notebook_loop(steps: int, seed: int = 0) -> float:
    """Train as a notebook does, one seed; return the seconds.

    A DataLoader with a batch sampler and a collate function, `torch.optim.Adam` as it comes, `.item()` for
    every term, a cloned state dict each step, the schedule read by name.
    """
    import torch
    from torch.utils.data import DataLoader, Dataset, Sampler

    from curriculum.play.sheets import load_sheet
    from curriculum.runner.inputs import load_config
    from curriculum.sheet.schedule import compile_sheet
    from curriculum.tasks.color.colors import sampling_weights, scaled
    from curriculum.tasks.color.task import ColorTask
    from curriculum.train.batch import Batch, SheetRow
    from curriculum.train.make import make_task

    task, row = make_task(load_config("ex-1.6")), SheetRow((), torch.empty(0))
    assert isinstance(task, ColorTask)
    schedule = compile_sheet(load_sheet(SHEET)[0])
    torch.manual_seed(seed)
    model = task.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-8)
    focus = np.ones(len(task.colors["full"]))

    class Colors(Dataset):
        def __init__(self, name: str):
            self.colors = task.colors[name]

        def __len__(self) -> int:
            return len(self.colors)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
            return self.colors[index], float(focus[index]) if len(self.colors) == len(focus) else 1.0

    class Focused(Sampler):
        def __iter__(self):
            generator = np.random.default_rng(seed)
            while True:
                weights = sampling_weights(focus * task.bias)
                yield generator.choice(len(weights), size=32, p=weights / weights.sum()).tolist()

    class Everything(Sampler):
        def __iter__(self):
            while True:
                yield list(range(6))

    def collate(samples):
        colors, weights = zip(*samples, strict=True)
        own = torch.tensor(weights)
        return torch.stack(colors), own / own.sum() / len(own)

    loaders = {
        "primary": iter(DataLoader(Colors("primary"), batch_sampler=Everything(), collate_fn=collate)),
        "full": iter(DataLoader(Colors("full"), batch_sampler=Focused(), collate_fn=collate)),
    }
    history: list[dict[str, float]] = []
    snapshots: list[dict[str, torch.Tensor]] = []
    references: dict[str, torch.Tensor] = {}
    began = time.perf_counter()
    for step in range(steps):
        phase = schedule.phase_at(step)
        colors, weights = next(loaders[task.settings.phases[phase.name].train])
        values = schedule.at(step)
        if "anchor" in schedule.actions_at(step):
            with torch.no_grad():
                references = task.capture("anchor", model)
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        vibrant, hues = (np.array([[values[name]]]) for name in ("data-vibrancies", "data-hues"))
        focus = (scaled(task.vibrancy, vibrant) * scaled(task.primary_focus, hues))[0]
        for group in optimizer.param_groups:
            group["lr"] = values["lr"]
        active = [name for name in task.terms if values[name] and (name != "reg-anchor" or references)]
        optimizer.zero_grad()
        terms = task.losses(model, Batch({"colors": colors, "shares": weights}, row, references, tuple(active)))
        total = sum(values[name] * term for name, term in terms.items())
        total.backward()
        optimizer.step()
        history.append({"total": total.item(), **{name: term.item() for name, term in terms.items()}})
    return time.perf_counter() - began


def our_loop(steps: int, folder: Path, seeds: str = "0") -> float:
    """Train with everything stored, as `curriculum train` does but for the figures; return the seconds."""
    from curriculum.runner.execute import execute, new_path
    from curriculum.runner.plan import plan

    checked = plan("ex-1.6", SHEET, seeds=seeds, steps=steps)
    began = time.perf_counter()
    execute(checked, new_path(folder, None, checked), figures=False)
    return time.perf_counter() - began


def bench_training(steps: int, folder: Path) -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    our_loop(50, folder)
    ours = our_loop(steps, folder)
    theirs = notebook_loop(steps)
    print(f"training, 1 seed, {steps:,} steps, metrics and snapshots of every step stored:")
    print(f"  notebook-style loop  {steps / theirs:8,.0f} steps/s")
    print(f"  curriculum           {steps / ours:8,.0f} steps/s   ratio {theirs / ours:.1f}  (target: at least 3)")
    return {"notebook_steps_per_s": steps / theirs, "steps_per_s": steps / ours, "ratio": theirs / ours}


def bench_seeds(steps: int, folder: Path) -> dict[str, float]:
    """Train 64 seeds of both sheets as one stack with everything stored, then compare them."""
    import torch

    from curriculum.measure.comparison import compare
    from curriculum.runner.execute import execute_all
    from curriculum.runner.plan import plan

    torch.set_num_threads(1)
    plans = [plan("ex-1.6", sheet, seeds="0:64", steps=steps) for sheet in ("smooth.csv", "stepped.csv")]
    began = time.perf_counter()
    runs = [result.run for result in execute_all(plans, [folder / "a", folder / "b"], figures=False)]
    ours = 128 * steps / (time.perf_counter() - began)
    few = min(steps, 3000)
    theirs = few / notebook_loop(few)
    began = time.perf_counter()
    compare(runs)
    compared = time.perf_counter() - began
    size = sum(file.stat().st_size for file in (folder / "a").rglob("*")) / 2**20
    print(f"training, 64 seeds x 2 sheets as one stack, {steps:,} steps, everything stored ({size:,.0f} MiB a sheet):")
    print(f"  notebook-style loop  {theirs:8,.0f} seed-steps/s")
    print(f"  curriculum           {ours:8,.0f} seed-steps/s   ratio {ours / theirs:.0f}  (target: at least 100)")
    print(f"  comparing the two    {compared:8.1f} s")
    return {"notebook_steps_per_s": theirs, "seed_steps_per_s": ours, "ratio": ours / theirs, "compare_s": compared, "mib": size}


def bench_general(steps: int) -> dict[str, float]:
    """Train the color task without its hand-written gradient, as any task is that has none: autograd mapped over the stack."""
    import torch

    from curriculum.runner.execute import execute
    from curriculum.runner.plan import plan
    from curriculum.tasks.color.task import ColorTask

    class General(ColorTask):
        stacked_gradients = None
        stacked_observe = None

    torch.set_num_threads(1)
    theirs = steps / notebook_loop(steps)
    print(f"training on the general path, {steps:,} steps, nothing stored:")
    print(f"  notebook-style loop  {theirs:8,.0f} steps/s")
    found = {"notebook_steps_per_s": theirs}
    for seeds, count in (("0", 1), ("0:64", 64)):
        checked = plan("ex-1.6", SHEET, seeds=seeds, steps=steps)
        began = time.perf_counter()
        execute(replace(checked, task=General(checked.config.task)), None)
        ours = count * steps / (time.perf_counter() - began)
        print(f"  {count:2} seed{'s' if count > 1 else ' '}             {ours:8,.0f} seed-steps/s   ratio {ours / theirs:.1f}")
        found[f"ratio_{count}"] = ours / theirs
    return found


def bench_stack(steps: int) -> dict[str, float]:
    """Train one and eight seeds of the images' task by turns; the best of six each, since any pause makes a time longer."""
    from curriculum.runner.execute import run

    best: dict[str, float] = {}
    for _ in range(6):
        for seeds in ("0", "0:8"):
            seconds = run("e2c-plane", "e2c-small", seeds=seeds, steps=steps).seconds
            best[seeds] = min(best.get(seeds, seconds), seconds)
    ratio = best["0:8"] / best["0"]
    print(f"training e2c-plane, 8 seeds as one stack vs 1 seed, {steps:,} steps:")
    print(f"  1 seed               {steps / best['0']:8,.0f} steps/s")
    print(f"  8 seeds              {steps / best['0:8']:8,.0f} steps/s   time ratio {ratio:.2f}  (target: at most 3)")
    return {"one_s": best["0"], "eight_s": best["0:8"], "ratio": ratio}


def bench_memory(steps: int, folder: Path) -> dict[str, float]:
    """Train 64 seeds of both sheets as one stack, and compare them, each in a process of its own: what each needs at most."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        loaded, training = pool.submit(_memory_of_training, steps, folder).result()
        comparing = pool.submit(_memory_of_comparing, folder).result()
    stored = sum(file.stat().st_size for arm in "ab" for file in (folder / arm).rglob("*")) / 2**20
    print(f"memory, 64 seeds x 2 sheets as one stack, {steps:,} steps, everything stored:")
    print(f"  with torch loaded    {loaded:8,.0f} MiB peak")
    print(f"  training             {training:8,.0f} MiB peak")
    print(f"  comparing the two    {comparing:8,.0f} MiB peak  (target: at most 4,096)")
    print(f"  stored               {stored:8,.0f} MiB, both sheets  (target: at most 500 a sheet)")
    return {"loaded_mib": loaded, "training_mib": training, "comparing_mib": comparing, "stored_mib": stored}


def _memory_of_training(steps: int, folder: Path) -> tuple[float, float]:
    from curriculum.runner.execute import execute_all
    from curriculum.runner.plan import plan

    plans = [plan("ex-1.6", sheet, seeds="0:64", steps=steps) for sheet in ("smooth.csv", "stepped.csv")]
    loaded = _peak_memory()
    execute_all(plans, [folder / "a", folder / "b"], figures=False)
    return loaded, _peak_memory()


def _memory_of_comparing(folder: Path) -> float:
    from curriculum.measure.comparison import compare
    from curriculum.store.reader import Run

    compare([Run(folder / arm) for arm in "ab"])
    return _peak_memory()


def _peak_memory() -> float:
    """Give the largest resident size of this process so far, in MiB; that of the process that started it, if it was larger."""
    # The system counts in KiB, but on macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def bench_rendering(frames: int, folder: Path) -> dict[str, float]:
    import matplotlib as mpl
    from matplotlib.animation import FFMpegWriter, FuncAnimation

    from curriculum.draw.ffmpeg import CODECS, encode, ffmpeg
    from curriculum.draw.film import Look
    from curriculum.draw.video import animate, make_scene, render
    from curriculum.runner.execute import run

    runs = [run("ex-1.6", sheet, folder=folder).run for sheet in ("smooth.csv", "stepped.csv")]
    scene = make_scene(runs, Look())
    all_frames = list(scene.frames)
    scene.frames = all_frames[:: max(1, len(all_frames) // frames)]
    columns = [np.searchsorted(all_frames, scene.frames)] * len(runs)
    for column, rows in zip(scene.columns, columns, strict=True):
        column.panel.latents = column.panel.latents[rows]

    # The encoder alone is given frames that are drawn already, as many as fit into memory, as often as that makes all of them.
    kept = [bytes(frame) for index, frame in enumerate(render(scene)) if index < IN_MEMORY]
    own = range(len(scene.frames) // len(kept))
    times: dict[str, list[float]] = {"ours": [], "encoder": []}
    for _ in range(2):
        began = time.perf_counter()
        animate(scene, folder / "ours.mp4")
        times["ours"].append((time.perf_counter() - began) / len(scene.frames))
        began = time.perf_counter()
        for _ in own:
            encode(map(memoryview, kept), folder / "alone.mp4", scene.look.width, scene.look.height, 30)
        times["encoder"].append((time.perf_counter() - began) / (len(own) * len(kept)))
    ours, alone = min(times["ours"]), min(times["encoder"])
    del kept
    pixels = {i: np.frombuffer(frame, np.uint8).copy() for i, frame in enumerate(render(scene)) if i % (len(scene.frames) // 5) == 0}

    for artist in scene.moving:
        artist.set_animated(False)
    few = range(0, len(scene.frames), max(1, len(scene.frames) // 40))
    mpl.rcParams["animation.ffmpeg_path"] = ffmpeg()
    writer = FFMpegWriter(fps=30, codec="libx264", extra_args=CODECS[".mp4"][2:])
    animation = FuncAnimation(scene.figure, lambda index: scene.show(index), frames=few, repeat=False, cache_frame_data=False)
    began = time.perf_counter()
    animation.save(folder / "theirs.mp4", writer=writer, dpi=100)
    theirs = (time.perf_counter() - began) / len(few)

    worst = 0
    for index, frame in pixels.items():
        scene.show(index)
        scene.figure.canvas.draw()
        full = np.frombuffer(memoryview(scene.figure.canvas.buffer_rgba()).cast("B"), np.uint8)
        worst = max(worst, int(np.abs(full.astype(int) - frame.astype(int)).max()))
    print(f"rendering, two runs, 1600x900, encoded as .mp4 ({len(scene.frames)} frames, FuncAnimation {len(few)} of them):")
    print(f"  FuncAnimation.save   {1 / theirs:8.1f} frames/s")
    print(f"  curriculum           {1 / ours:8.1f} frames/s  ratio {theirs / ours:.1f}  (target: at least 10)")
    print(f"  largest pixel difference: {worst}/255  (target: at most 1)")
    print(f"  the encoder alone    {1 / alone:8.1f} frames/s  ratio {ours / alone:.2f}  (target: at most 1.5)")
    return {"funcanimation_fps": 1 / theirs, "fps": 1 / ours, "ratio": theirs / ours, "largest_difference": worst, "encoder_fps": 1 / alone}


def bench_control(updates: int, folder: Path) -> dict[str, float]:
    """Time updates of control: one seed of one rule, each kind of gradient, and a stack of 16 seeds of three rules, all with one thread."""
    import torch

    from curriculum.runner.execute import execute_all
    from curriculum.runner.plan import plan
    from curriculum.train.ensemble import Ensemble

    def timed(rules: Sequence[str], seeds: str) -> float:
        plans = [plan("control-cartpole-easy", f"control-{rule}.csv", seeds=seeds, steps=updates) for rule in rules]
        began = time.perf_counter()
        execute_all(plans, [None] * len(plans))
        return (time.perf_counter() - began) / updates * 1e3

    three = ("regular", "stopped", "combined")
    alone = {rule: min(timed([rule], "0") for _ in range(3)) for rule in three}
    by_graph, by_adjoint = _differentiated("control-combined.csv", Ensemble, torch)
    stack = timed(three, "0:16")
    print(f"control, one pole in 25 steps, batches of 32, milliseconds for an update ({updates} of them):")
    for rule, own in alone.items():
        print(f"  one seed, {rule:9}      {own:8.1f}")
    print(f"  16 seeds of all three    {stack:8.1f}  {stack / alone['regular']:.1f} x one seed of the regular one, for 48 times the models")
    print(f"  gradients of one seed    {by_adjoint:8.1f}  by the adjoint recursion, {by_graph:.1f} by automatic differentiation")
    return {**{f"{rule}_ms": own for rule, own in alone.items()}, "stack_ms": stack, "adjoint_ms": by_adjoint, "graph_ms": by_graph}


def _differentiated(sheet: str, kind: type, torch: Any) -> tuple[float, float]:
    """Time the combined gradient of one seed by automatic differentiation of its losses, and by the adjoint recursion: in ms."""
    from curriculum.runner.plan import plan
    from curriculum.train.state import initial_state
    from curriculum.train.stretch import draw, read_plan

    torch.set_num_threads(1)
    checked = plan("control-cartpole-easy", sheet, seeds="0")
    state = initial_state(checked.task, [(checked.schedule, (0,))], checked.config.optimizer)
    stretch = draw(checked.task, state)
    steps = read_plan(checked.task, state.arms, stretch.steps, 0, checked.config.optimizer, state.flat.device)
    now, models = steps.at(0), kind(checked.task)
    given = state.layout.views(state.flat), steps.batch(stretch.batch(0), now), now.weights, now.keys
    return tuple(_best(lambda call=call: call(*given), 10) * 1e3 for call in (models.differentiate, models.gradients))  # type: ignore[return-value]


def bench_track(steps: int, folder: Path) -> dict[str, float]:
    """Time a loop that does nothing but go through the steps and log three numbers, and what storing them takes at the end."""
    import torch

    from curriculum import track

    sheet = folder / "track.csv"
    sheet.write_text(f"STEP,lr\n0,0.01\n{steps - 1},0.001\n")
    loss, before = torch.tensor(0.5), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with track(folder / "tracked", sheet=str(sheet)) as run:
        began = time.perf_counter()
        for step, now in run.steps():
            run.log(loss=loss, accuracy=0.5, rate=now["lr"] + step)
        logged = time.perf_counter() - began
        began = time.perf_counter()
    ended = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"a tracked loop, {steps:,} steps, three numbers logged at each:")
    print(f"  {1e6 * logged / steps:.1f} microseconds a step (target: at most 20), {ended:.2f} s at the end, {grown:.0f} MiB more memory")
    return {"microseconds_per_step": 1e6 * logged / steps, "end_s": ended, "memory_mib": grown}


def bench_startup() -> dict[str, float]:
    from curriculum.find_file import SHEETS, find_file
    from curriculum.sheet.parse import parse
    from curriculum.sheet.schedule import compile_sheet

    sheet = parse(find_file(SHEET, SHEETS).read_text())
    compiled = _best(lambda: compile_sheet(sheet), 20) * 1e3
    program = Path(sys.executable).with_name("curriculum")
    helped = _best(lambda: subprocess.run([program, "--help"], capture_output=True, check=True), 5)
    shown = _best(lambda: subprocess.run([program, "dopesheet", "show", SHEET], capture_output=True, check=True), 5)
    print("waiting:")
    print(f"  compiling 10,001 x 8        {compiled:6.2f} ms  (target: at most 10)")
    print(f"  curriculum --help           {helped:6.2f} s   (target: at most 0.3)")
    print(f"  curriculum dopesheet show   {shown:6.2f} s   (target: at most 0.6)")
    return {"compile_ms": compiled, "help_s": helped, "show_s": shown}


def bench_sequential(experiments: int) -> dict[str, float]:
    """Simulate experiments without any difference that are looked at while they grow; count those that find one at any look.

    Three measures in 128 pairs: one of normal log ratios, one with heavy tails, one of counts. They are judged by `compare`'s own
    functions: as looks that were planned, as looks that each take all of the allowed error, and so every 4 pairs from 8 to 32.
    """
    from curriculum.measure import stats, verdicts
    from curriculum.measure.effects import pair_effects
    from curriculum.measure.exact import sign_flip_p, signed_rank_p
    from curriculum.measure.judging import estimated
    from curriculum.measure.looks import plan_looks
    from curriculum.measure.measuring import Measured
    from curriculum.measure.pairing import Pairing
    from curriculum.measure.verdicts import ALPHA, SmallestEffect

    stats.RESAMPLES = 199  # the tests decide here, and are exact
    rng, most, tests = np.random.default_rng(0), 128, 3
    planned = {look.seeds: look.alpha / ALPHA for look in plan_looks(16, most, tests)}
    ways = {
        "planned looks": planned,
        "the same looks, naive": dict.fromkeys(planned, 1.0),
        "every 4 pairs from 8 to 32, naive": dict.fromkeys(range(8, 33, 4), 1.0),
    }

    def different(samples: list[tuple[Any, Any, bool]], pairs: int, share: float) -> bool:
        places = tuple(range(pairs))
        pairing = Pairing(0, 1, places, places, paired=True, tested=True)
        # What no test finds is not found by a verdict: its intervals need not be computed.
        effects = [(pair_effects(*pairing.pick((a, b)), "difference" if counts else "ratio"), counts) for a, b, counts in samples]
        p = [sign_flip_p(own) if counts else signed_rank_p(own) for own, counts in effects]
        if min(stats.holm(p)) > ALPHA * share:
            return False
        family = []
        for number, (first, other, counts) in enumerate(samples):
            what = {"title": "", "unit": "", "better": "lower", "window": "whole", "needs": ""}
            effect = "difference" if counts else "ratio"
            row = Measured(0, 1, f"m{number}", effect=effect, values=(first, other), value=1.0, judged=True, counts=counts, **what)
            family.append(estimated(row, pairing, SmallestEffect(), tests, share))
        return any(verdict.is_decided for verdict in verdicts.correct(family, share))

    false = dict.fromkeys(ways, 0)
    for _ in range(experiments):
        shapes = (rng.normal(size=(2, most)), rng.standard_t(2, size=(2, most)).clip(-50, 50))
        samples = [(*(10.0**shape), False) for shape in shapes] + [(*rng.poisson(0.7, (2, most)).astype(float), True)]
        for way, looks in ways.items():
            false[way] += any(different(samples, pairs, share) for pairs, share in looks.items())
    print(f"{experiments:,} experiments without a difference, {tests} measures, up to {most} pairs: a difference is found in")
    for way, count in false.items():
        print(f"  {count / experiments:6.1%}  {way}: {', '.join(map(str, ways[way]))} pairs")
    return {way: count / experiments for way, count in false.items()}


def _best(call: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10001, help="training steps")
    parser.add_argument("--frames", type=int, default=400, help="frames to render")
    parser.add_argument(
        "--only",
        choices=[
            "training",
            "seeds",
            "general",
            "stack",
            "memory",
            "rendering",
            "startup",
            "control",
            "track",
            "sequential",
            "page",
            "launchers",
            "busy",
            "denormal",
            "compiled",
            "scaling",
        ],
    )
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.only in (None, "stack"):
            found["stack"] = bench_stack(200)
        if args.only in (None, "memory"):
            # First, while this process is small itself; what it stores is not needed any more.
            with tempfile.TemporaryDirectory(dir=folder) as own:
                found["memory"] = bench_memory(args.steps, Path(own))
        if args.only in (None, "startup"):
            found["startup"] = bench_startup()
        if args.only in (None, "training"):
            found["training"] = bench_training(args.steps, folder)
        if args.only in (None, "seeds"):
            found["seeds"] = bench_seeds(args.steps, folder)
        if args.only in (None, "general"):
            found["general"] = bench_general(min(args.steps, 2000))
        if args.only in (None, "control"):
            found["control"] = bench_control(100, folder)
        if args.only in (None, "track"):
            found["track"] = bench_track(200_000, folder)
        if args.only in (None, "sequential"):
            found["sequential"] = bench_sequential(2000)
        if args.only in (None, "rendering"):
            found["rendering"] = bench_rendering(args.frames, folder)
        if args.only in (None, "page"):
            found["page"] = bench_page(folder)
        if args.only in (None, "launchers"):
            found["launchers"] = bench_launchers(folder)
        if args.only in (None, "busy"):
            found["busy"] = bench_busy(150, folder)
        if args.only in (None, "denormal"):
            found["denormal"] = bench_denormal(60)
        if args.only in (None, "compiled"):
            found["compiled"] = bench_compiled(args.steps, folder)
        if args.only in (None, "scaling"):
            found["scaling"] = bench_scaling(folder)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
