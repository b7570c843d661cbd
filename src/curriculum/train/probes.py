"""What models are evaluated on and shown with: probes, observations and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
