"""The color task as a program in JAX, for `peers.py`: `vmap` over the models, `scan` over the steps, the models over all devices.

It trains what `curriculum` trains, from the same initial weights and with the same batches, and stores the same numbers. All arrays of
one model have features before samples, `[D, B]`, which is the faster order here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from curriculum.measure.trace import FINAL_SHARE
from curriculum.runner.plan import Plan
from curriculum.runner.recorded import snapshot_steps
from curriculum.store.files import to_parquet, to_safetensors
from curriculum.store.names import METRICS, MODEL, SNAPSHOTS, STEPS, TRACES
from curriculum.tasks.color.model import SEPARATE_EPS
from curriculum.tasks.color.task import ColorTask
from curriculum.train.stack import initial_parameters

# Steps of a call, and of each of its parts, which begins with the probes that are seldom looked at. The sheets change their data and
# fire their action at multiples of the first; a last call is filled up with steps that change nothing, so that it needs no other program.
CHUNK, GROUP = 250, 10
AHEAD = 2  # chunks that may wait to be trained or gathered
Array = jax.Array


class Weights(NamedTuple):
    """The parameters of a model, in the order of the model in PyTorch."""

    w1: Any
    b1: Any
    w2: Any
    b2: Any
    w3: Any
    b3: Any
    w4: Any
    b4: Any


class State(NamedTuple):
    """The models before step `step`, with the running means of Adam; each array is `[S, ...]`."""

    weights: Weights
    mean: Weights
    square: Weights
    step: Any


class Steps(NamedTuple):
    """Some steps in groups: batches `[G, C, S, B, ...]`, weights of the terms `[G, C, S, K]`, rates `[G, C, S]`."""

    colors: Any
    shares: Any
    scales: Any
    rates: Any


class Colors(NamedTuple):
    """The colors of the anchor and the probes: `[N, 3]` each."""

    primary: Any
    hues: Any
    grid: Any
    g5: Any


class Found(NamedTuple):
    """What some groups of steps give.

    `total` `[G, C, S]` are the losses, `terms` `[G, C, S, K]` their terms, `weights` those before each step, `hues` `[G, C, S]` the errors
    on the vivid hues. Of each group's first step are `grid` `[G, S]`, the errors on the RGB grid, and the latents `g5` `[G, S, N, L]`.
    """

    total: Any
    terms: Any
    weights: Weights
    hues: Any
    grid: Any
    g5: Any


def gelu(x: Array) -> Array:
    """Compute x times the normal distribution's function of it; that of JAX goes by `erfc`, which takes longer."""
    return 0.5 * x * (1 + jax.lax.erf(x * math.sqrt(0.5)))


def encode(w: Weights, colors: Array) -> Array:
    """Compute the latents `[L, B]` of colors `[B, 3]`."""
    return w.w2 @ gelu(w.w1 @ colors.T + w.b1[:, None]) + w.b2[:, None]


def decode(w: Weights, z: Array) -> Array:
    """Compute the colors `[B, 3]` of latents `[L, B]`."""
    return jax.nn.sigmoid(w.w4 @ gelu(w.w3 @ z + w.b3[:, None]) + w.b4[:, None]).T


def terms_of(w: Weights, now: Steps, colors: Colors, anchor: Array, active: tuple[str, ...]) -> Array:
    """Compute the active terms `[K]` of one model at one step."""
    z = encode(w, now.colors)

    def shared(each: Array) -> Array:
        return (now.shares * each).sum()

    def term(name: str) -> Array:
        if name == "loss-recon":
            return shared(jnp.square(decode(w, z) - now.colors).mean(1))
        if name == "reg-norm":
            return shared(jnp.square(jnp.linalg.norm(z, axis=0) - 1))
        if name == "reg-planar":
            return shared(jnp.square(z[2:]).sum(0))
        if name == "reg-anchor":
            return jnp.square(encode(w, colors.primary) - anchor).mean()
        assert name == "reg-separate"
        apart = jnp.square(z[:2, :, None] - z[:2, None]).sum(0)
        others = ~jnp.eye(z.shape[1], dtype=bool)
        return jnp.where(others, 1 / (apart + SEPARATE_EPS), 0).sum() / others.size

    return jnp.stack([term(name) for name in active])


def error_of(w: Weights, colors: Array) -> Array:
    """Compute the mean squared error of a model on colors `[N, 3]`."""
    return jnp.square(decode(w, encode(w, colors)) - colors).mean()


def update(state: State, gradient: Weights, rates: Array, betas: tuple[float, float], eps: float) -> State:
    """Do a step of Adam with a learning rate for each model, `[S]`."""
    (beta1, beta2), step = betas, state.step + 1
    mean = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.mean, gradient)
    square = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, state.square, gradient)
    # 1 - beta^step, without the error of subtracting two nearly equal numbers
    first, second = (-jnp.expm1(step * math.log(beta)) for beta in betas)

    def moved(w: Array, m: Array, v: Array) -> Array:
        return w - rates.reshape(-1, *[1] * (w.ndim - 1)) * (m / first) / (jnp.sqrt(v / second) + eps)

    return State(jax.tree.map(moved, state.weights, mean, square), mean, square, step)


@partial(jax.jit, static_argnames=("active", "betas", "eps"))
def train_chunk(
    state: State,
    steps: Steps,
    final: Array,
    colors: Colors,
    anchors: Array,
    *,
    active: tuple[str, ...],
    betas: tuple[float, float],
    eps: float,
) -> tuple[State, Found]:
    """Train some groups of steps; the grid is looked at before those that are `final` `[G]`. Each set of active terms is a program."""

    def loss(w: Weights, now: Steps, anchor: Array) -> tuple[Array, Array]:
        found = terms_of(w, now, colors, anchor, active)
        return (found * now.scales).sum(), found

    loss_and_gradient = jax.vmap(jax.value_and_grad(loss, has_aux=True))

    def step(state: State, now: Steps) -> tuple[State, tuple[Array, Array, Weights, Array]]:
        (total, terms), gradient = loss_and_gradient(state.weights, now, anchors)
        hues = jax.vmap(error_of, (0, None))(state.weights, colors.hues)
        return update(state, gradient, now.rates, betas, eps), (total, terms, state.weights, hues)

    def grid_of(weights: Weights) -> Array:
        return jax.vmap(error_of, (0, None))(weights, colors.grid)

    def group(state: State, given: tuple[Steps, Array]) -> tuple[State, Found]:
        steps, final = given
        grid = jax.lax.cond(final, grid_of, lambda weights: jnp.zeros(weights.b1.shape[0]), state.weights)
        g5 = jax.vmap(encode, (0, None))(state.weights, colors.g5).mT
        state, found = jax.lax.scan(step, state, steps)
        return state, Found(*found, grid, g5)

    return jax.lax.scan(group, state, (steps, final))


def train(plans: Sequence[Plan], folders: Sequence[Path]) -> None:
    """Train the arms of an experiment as one stack, and store each in its folder."""
    task, optimizer = plans[0].task, plans[0].config.optimizer
    assert isinstance(task, ColorTask)
    length = len(plans[0].schedule)
    layout, flat = initial_parameters(task, [seed for own in plans for seed in own.seeds])
    weights = Weights(*(view.numpy() for view in layout.views(flat).values()))
    zeros = jax.tree.map(np.zeros_like, weights)
    state = placed(State(weights, zeros, zeros, np.float32(0)), 0)
    colors = placed(Colors(*(task.colors[name].numpy() for name in ("primary", "hues", "rgb", "g5"))))
    anchors = placed(np.zeros((len(flat), task.settings.latent_dim, len(colors.primary)), np.float32), 0)
    tapes = [Tape(own, tuple(layout.shapes), rows, layout.size) for own, rows in zip(plans, rows_of(plans), strict=True)]
    with ThreadPoolExecutor(1) as background:
        stored: deque[Future[None]] = deque()
        for start in range(0, length, CHUNK):
            steps = range(start, min(start + CHUNK, length))
            if any(action == start for own in plans for action, _ in own.schedule.actions):
                anchors = jax.vmap(encode, (0, None))(state.weights, colors.primary)
            active = active_terms(plans, steps)
            drawn = draw(plans, steps, active)
            firsts = start + GROUP * np.arange(CHUNK // GROUP)
            final = firsts >= min(math.floor((1 - FINAL_SHARE) * length), (length - 1) // GROUP * GROUP)
            settings = {"active": active, "betas": optimizer.betas, "eps": optimizer.eps}
            # It returns at once: XLA computes while the next batches are drawn, and what is to be stored is gathered.
            state, found = train_chunk(state, placed(drawn, 2), placed(final), colors, anchors, **settings)
            stored += [background.submit(tape.add, steps, active, drawn.scales, found, final) for tape in tapes]
            while len(stored) > AHEAD * len(tapes):
                stored.popleft().result()
        for done in stored:
            done.result()
    final_weights = Weights(*map(np.asarray, state.weights))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda tape, folder: tape.store(folder, final_weights), tapes, folders))


def placed(tree: Any, models: int | None = None) -> Any:
    """Put arrays on the devices: each has a part of the models, which are the axis `models`, or all of an array without it."""
    mesh = jax.make_mesh((jax.device_count(),), ("models",))

    def put(array: Any) -> Array:
        split = models is not None and np.ndim(array) > models
        return jax.device_put(array, NamedSharding(mesh, P(*[None] * models, "models") if split else P()))

    return jax.tree.map(put, tree)


def rows_of(plans: Sequence[Plan]) -> list[slice]:
    """List the rows of the stack that each plan has."""
    ends = np.cumsum([0, *(len(own.seeds) for own in plans)]).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]


def active_terms(plans: Sequence[Plan], steps: range) -> tuple[str, ...]:
    """List the terms that have a weight in some of the steps, and what they need."""
    task, own = plans[0].task, slice(steps.start, steps.stop)
    fired = {name for one in plans for step, name in one.schedule.actions if step < steps.stop}
    known = (name for name in task.terms if task.needs.get(name) in (None, *fired))
    return tuple(name for name in known if any(one.schedule.column(name)[own].any() for one in plans))


def draw(plans: Sequence[Plan], steps: range, active: Sequence[str]) -> Steps:
    """Draw the batches of some steps and read the schedules, as groups of steps, filled up to a chunk with steps that change nothing."""
    own, seeds = slice(steps.start, steps.stop), [len(one.seeds) for one in plans]
    batches = [one.task.batches(one.schedule, steps, one.seeds) for one in plans]
    columns = [np.stack([one.schedule.column(name)[own] for name in ("lr", *active)], 1).astype(np.float32) for one in plans]
    values = np.repeat(np.stack(columns, 1), seeds, 1)
    drawn = Steps(
        *(np.concatenate([part[name].numpy() for part in batches], 1) for name in ("colors", "shares")), values[..., 1:], values[..., 0]
    )
    missing = CHUNK - len(steps)

    def grouped(array: Any) -> Any:
        filled = np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array
        return filled.reshape(-1, GROUP, *array.shape[1:])

    return Steps(*map(grouped, drawn))


class Tape:
    """Gathers what is stored of one arm, and stores it at the end."""

    def __init__(self, checked: Plan, names: Sequence[str], rows: slice, size: int):
        self.terms, self.seeds, self.names, self.rows = checked.task.terms, np.asarray(checked.seeds), names, rows
        self.shown = np.asarray(snapshot_steps(checked, size))
        self.tables: list[pa.Table] = []
        self.snapshots: list[dict[str, Any]] = []
        self.curves: list[dict[str, Any]] = []

    def add(self, steps: range, active: Sequence[str], scales: Any, found: Found, final: Any) -> None:
        """Take what a chunk found."""
        count, groups = len(steps), -(-len(steps) // GROUP)

        def own(values: Any) -> Any:
            return np.asarray(values).reshape(-1, *values.shape[2:])[:count, self.rows]

        terms, absent = own(found.terms), own(scales) == 0
        columns = {"step": np.repeat(steps, len(self.seeds)), "seed": np.tile(self.seeds, count), "total": own(found.total).ravel()}
        for name in self.terms:
            if name in active:
                place = active.index(name)
                columns[name] = pa.array(terms[..., place].ravel(), mask=absent[..., place].ravel())
            else:
                columns[name] = pa.nulls(len(columns["step"]), pa.float32())
        self.tables.append(pa.table(columns))
        shown = self.shown[(self.shown >= steps.start) & (self.shown < steps.stop)]
        weights = zip(self.names, found.weights, strict=True)
        self.snapshots.append({STEPS: shown, **{name: own(values)[shown - steps.start] for name, values in weights}})
        firsts = steps.start + GROUP * np.arange(groups)
        last = final[:groups]
        curves = {
            "loss.hues": (np.asarray(steps), own(found.hues).copy()),
            "loss.grid": (firsts[last], np.asarray(found.grid)[:groups, self.rows][last]),
            "latents.g5": (firsts, np.asarray(found.g5)[:groups, self.rows].copy()),
        }
        self.curves.append(
            {f"{name}{end}": array for name, pair in curves.items() for end, array in zip((f".{STEPS}", ""), pair, strict=True)}
        )

    def store(self, folder: Path, weights: Weights) -> None:
        """Write the files of a run that hold numbers of its training."""
        folder.mkdir()
        (folder / METRICS).write_bytes(to_parquet(pa.concat_tables(self.tables).combine_chunks()))
        (folder / SNAPSHOTS).write_bytes(to_safetensors(joined(self.snapshots)))
        (folder / TRACES).write_bytes(to_safetensors(joined(self.curves)))
        own = zip(self.names, weights, strict=True)
        (folder / MODEL).write_bytes(to_safetensors({name: values[self.rows] for name, values in own}))


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join arrays by name along their first axis."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
