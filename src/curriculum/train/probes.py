"""What models are evaluated on and shown with: probes, observations, scores and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

PERCENT = ("accuracy", "precision", "recall", "f1")  # scores that are shares of samples, by how their names begin or end


@dataclass(frozen=True)
class Probe:
    """A fixed set of inputs `[N, ...]` on which models are compared; never sampled.

    `labels` `[N, ...]` are what the outputs should be, if that is not the inputs. `uses` lists its purposes: `loss` (followed over
    all steps; one probe), `final` (the error at the end) and `motion` (how its latents move; one probe). It is evaluated every
    `every` steps.
    """

    name: str
    title: str
    inputs: Tensor
    uses: frozenset[str] = frozenset()
    every: int = 1
    labels: Tensor | None = None


@dataclass(frozen=True)
class Observation:
    """The results of a model on some inputs: `outputs` `[N, ...]`, and `latents` `[N, L]` where the task has any.

    Of a stack of models, each has the axis `[S, ...]` in front.
    """

    outputs: Tensor
    latents: Tensor | None = None


@dataclass(frozen=True)
class Score:
    """A number by which models are judged besides their loss: whether `higher` or `lower` is better, and how it is written.

    A value is shown as `scale` times the value, in `unit`. `smallest` is the smallest difference that matters, before scaling;
    without it, only the direction of a difference is judged.
    """

    better: Literal["higher", "lower"]
    unit: str = ""
    scale: float = 1.0
    smallest: float | None = None


def score_of(name: str, declared: str | Score) -> Score:
    """Give the full form of a declared score: a share of samples is shown in percent."""
    if isinstance(declared, Score):
        return declared
    percent = any(name.startswith(known) or name.endswith(known) for known in PERCENT)
    better: Literal["higher", "lower"] = "higher" if declared == "higher" else "lower"
    return Score(better, "%", 100.0) if percent else Score(better)


@dataclass(frozen=True)
class Picture:
    """What a task's latent space is shown with: inputs `[N, ...]`, each a point.

    `circles` are the radii of circles about the origin, drawn where the task wants the latents to be. `edges` `[E, 2]` are
    pairs of points that are joined by a line. Where `targets` `[N, 2]` say where the points truly are, a plane of latents is
    turned and reflected to lie as they do: two runs are then shown the same way round. `probe` names the probe with these
    inputs, if there is one: where its motion is recorded, no weights are needed for the picture. `traced` are the points whose
    paths are drawn of every seed.
    """

    inputs: Tensor
    circles: tuple[float, ...] = ()
    edges: Tensor | None = None
    targets: Tensor | None = None
    probe: str | None = None
    traced: tuple[int, ...] = ()
