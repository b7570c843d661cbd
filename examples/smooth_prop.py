"""Draw how `SmoothProp` moves: five starts to one target, and one value after changing targets.

Run it with: python examples/smooth_prop.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

from curriculum import SmoothProp
from curriculum.draw import style

STARTS = [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0), (2.0, -2.0), (1.0, 5.0)]  # value, velocity in units per duration
TARGETS = {0: 0.5, 40: 0.75, 60: 0.0, 120: 1.0}
ROWS = ("value", "velocity", "acceleration")


def follow(prop: SmoothProp, targets: dict[int, float], steps: int) -> np.ndarray:
    """Record value, velocity and acceleration at steps 0 to `steps`: `[steps + 1, 3]`."""
    states = []
    for step in range(steps + 1):
        if step in targets:
            prop.value = targets[step]
        states.append((prop.value, prop.velocity, prop.acceleration))
        prop.step()
    return np.array(states)


def draw(curves: dict[str, np.ndarray], targets: dict[int, float], title: str, path: Path) -> None:
    with style.themed(style.LIGHT):
        figure = style.figure(7, 6)
        rows = figure.subplots(3, 1, sharex=True)
        for index, (label, states) in enumerate(curves.items()):
            for row, axes in enumerate(rows):
                axes.plot(states[:, row], color=style.LIGHT.palette[index], label=label)
        ends = [*list(targets)[1:], len(states) - 1]
        for (step, target), end in zip(targets.items(), ends, strict=True):
            rows[0].plot([step, end], [target, target], color=style.LIGHT.faint, lw=1, ls="--", zorder=1)
        for axes, name in zip(rows, ROWS, strict=True):
            axes.set_ylabel(name)
        if len(curves) > 1:
            rows[0].legend(ncols=2)
        rows[-1].set_xlabel("step")
        figure.suptitle(title, x=0.13, ha="left", fontweight="bold")
        figure.align_ylabels(rows)
    style.save(figure, path)
    print(path)


def main(folder: Path) -> None:
    starts = {
        f"from {value:g}, moving {velocity:g}": follow(SmoothProp(value, 100, velocity=velocity / 100), {0: 1.0}, 120)
        for value, velocity in STARTS
    }
    draw(starts, {0: 1.0}, "Every start arrives at 1 at step 100, at rest", folder / "smooth-prop-starts.png")
    moved = follow(SmoothProp(0.1, 50), TARGETS, 190)
    draw({"value": moved}, TARGETS, "Targets that move before they are reached", folder / "smooth-prop-targets.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
