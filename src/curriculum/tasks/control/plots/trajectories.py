"""Where the test states go under the network: before training, halfway, and after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from curriculum.draw import style
from curriculum.draw.motion import task_of
from curriculum.store.reader import Run
from curriculum.tasks.control.systems import System
from curriculum.tasks.control.systems.cartpole import CartPole
from curriculum.tasks.control.systems.guidance import Guidance
from curriculum.tasks.control.systems.quantum import Quantum
from curriculum.tasks.control.task import ControlTask

DRAWN = 24  # test states
EIGENSTATES = 6
Array = NDArray[np.float32]


def draw(run: Run, seed_index: int, theme: style.Theme = style.LIGHT) -> Figure:
    """Draw a column for each moment of training; without snapshots there is only the last."""
    task = task_of(run)
    assert isinstance(task, ControlTask)
    moments = [(f"after step {run.schedule.last_step:,}", {name: value[seed_index] for name, value in run.model.items()})]
    if len(stored := run.snapshots.steps):
        for step in dict.fromkeys((int(stored[len(stored) // 2]), int(stored[0]))):
            found = run.snapshots.select([step], seed_index)
            moments.insert(0, (f"before step {step:,}", {name: value[0] for name, value in found.items()}))
    rows = _rows(task.system)
    with style.themed(theme):
        figure = style.figure(3.6 * len(moments) + 0.6, 0.9 + 2.4 * len(rows) * (1.4 if len(rows) == 1 else 1))
        grid = figure.subplots(len(rows), len(moments), squeeze=False, sharex="row", sharey="row")
        for column, (title, parameters) in enumerate(moments):
            own = {name: torch.from_numpy(np.ascontiguousarray(value))[None] for name, value in parameters.items()}
            states = task.steered(own, task.tested[:DRAWN])[0].numpy()
            _draw(task.system, list(grid[:, column]), states, theme)
            grid[0, column].set_title(title, loc="left")
        for axes, label in zip(grid[:, 0], rows, strict=True):
            axes.set_ylabel(label)
        height = figure.get_figheight()
        title = f"{run.name}, seed {run.seeds[seed_index]}: {DRAWN} test states"
        figure.suptitle(title, x=0.02, y=1 - 0.12 / height, ha="left", fontsize="large", fontweight="bold")
        figure.subplots_adjust(left=0.8 / figure.get_figwidth(), right=0.97, top=1 - 0.75 / height, bottom=0.5 / height, wspace=0.08)
    return figure


def _rows(system: System) -> tuple[str, ...]:
    if isinstance(system, CartPole):
        return ("height of the tips", "place of the cart (m)")
    return ("y",) if isinstance(system, Guidance) else ("probability",)


def _draw(system: System, rows: Sequence[Axes], states: Array, theme: style.Theme) -> None:
    """Draw states `[T + 1, N, D]` into the panels of one column."""
    if isinstance(system, CartPole):
        time = np.arange(len(states)) * system.dt
        for pole in range(system.poles):
            color = theme.palette[pole % len(theme.palette)]
            rows[0].plot(time, np.cos(states[..., 1 + pole]), color=color, lw=0.8, alpha=0.6)
        rows[1].plot(time, states[..., 0], color=theme.ink, lw=0.8, alpha=0.6)
        rows[1].set_xlabel("time (s)")
    elif isinstance(system, Guidance):
        places = states[..., : states.shape[-1] // 2].reshape(*states.shape[:2], -1, 2)
        for thing in range(system.objects):
            color = theme.palette[1] if thing < system.drivers else theme.palette[0]
            rows[0].plot(places[:, :3, thing, 0], places[:, :3, thing, 1], color=color, lw=0.8, alpha=0.7)
            rows[0].plot(places[-1, :3, thing, 0], places[-1, :3, thing, 1], "o", color=color, ms=3)
        rows[0].plot([0], [0], "+", color=theme.ink, ms=10)
        # A driver that has left for good is not followed.
        reach = max(4.0, 1.3 * float(np.nanquantile(np.abs(places), 0.9)))
        rows[0].set_xlim(-reach, reach)
        rows[0].set_ylim(-reach, reach)
        rows[0].set_aspect("equal")
        rows[0].set_xlabel("x")
    elif isinstance(system, Quantum):
        time = np.arange(len(states)) * system.dt
        real, imaginary = (half @ system.basis[:EIGENSTATES].T for half in np.split(states, 2, axis=-1))
        mean = (real**2 + imaginary**2).mean(1)
        for number in range(EIGENSTATES):
            rows[0].plot(time, mean[:, number], color=theme.palette[number], lw=1.4, label=f"{number + 1}")
        rows[0].set_xlabel("time")
        rows[0].set_ylim(0, 1)
        rows[0].legend(title="eigenstate", loc="upper right")
