"""The network that steers a system, for one model and for a stack of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from curriculum.train.batch import Tensors

Rows = slice | Sequence[int]
Patches = Sequence[Tensor | None]
KERNEL, STRIDE = 3, 2  # of each convolution


class Network(nn.Module):
    """Linear layers with tanh between them, from a state `[..., D]` to a control `[..., C]`.

    A layer with a patch `[L, I]` is a convolution: it is applied at L places, to the I features with these numbers at each.
    """

    def __init__(self, layers: Sequence[nn.Linear], patches: Patches):
        super().__init__()
        self.layers, self.patches = nn.ModuleList(layers), patches

    def forward(self, x: Tensor) -> Tensor:
        return self.activations(x)[-1]

    def activations(self, x: Tensor) -> list[Tensor]:
        """Compute every layer; the last is the control."""
        found = []
        for place, (layer, patch) in enumerate(zip(self.layers, self.patches, strict=True)):
            x = layer(x) if patch is None else layer(x[..., patch.to(x.device)]).flatten(-2)
            x = x if place == len(self.layers) - 1 else x.tanh()
            found.append(x)
        return found


def perceptron(size: int, hidden: Sequence[int], controls: int, still: bool) -> Network:
    """Build dense layers with Glorot-uniform weights and biases of 0; with `still`, the output is 0 until the network learns."""
    widths = [size, *hidden, controls]
    layers = [_layer(before, after, before + after) for before, after in itertools.pairwise(widths)]
    if still:
        nn.init.zeros_(layers[-1].weight)
    return Network(layers, [None] * len(layers))


def convolutional(points: int, channels: Sequence[int], controls: int, still: bool) -> Network:
    """Build two convolutions and a dense layer for states of two parts, each with so many points.

    The first has the fans of a two-dimensional convolution over both parts, as in the authors' code.
    """
    first, second = channels
    length = _places(points)
    layers = [
        _layer(2 * KERNEL, first, 2 * KERNEL * (1 + first)),
        _layer(KERNEL * first, second, KERNEL * (first + second)),
        _layer(_places(length) * second, controls, _places(length) * second + controls),
    ]
    if still:
        nn.init.zeros_(layers[-1].weight)
    inputs = torch.arange(2 * points).view(2, points).T
    return Network(layers, [_patch(inputs), _patch(torch.arange(length * first).view(length, first)), None])


def _layer(before: int, after: int, fans: int) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.uniform_(layer.weight, -math.sqrt(6 / fans), math.sqrt(6 / fans))
    nn.init.zeros_(layer.bias)
    return layer


def _places(points: int) -> int:
    return (points - KERNEL) // STRIDE + 1


def _patch(features: Tensor) -> Tensor:
    """Number the features at each place of a convolution, from those of each point `[points, channels]`."""
    return features.unfold(0, KERNEL, STRIDE).flatten(1)


class Stack(NamedTuple):
    """The weights `[S, O, I]` and biases `[S, 1, O]` of each layer of a stack of networks, and the layers' patches."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    patches: Patches

    @classmethod
    def of(cls, parameters: Tensors, patches: Patches) -> Stack:
        """Take them from parameters by name."""
        weights = [parameters[f"layers.{i}.weight"] for i in range(len(patches))]
        biases = [parameters[f"layers.{i}.bias"].unsqueeze(1) for i in range(len(patches))]
        return cls(weights, biases, [None if patch is None else patch.to(weights[0].device) for patch in patches])

    def part(self, rows: Rows) -> Stack:
        """Take some models of the stack."""
        return Stack([weight[rows] for weight in self.weights], [bias[rows] for bias in self.biases], self.patches)

    def steer(self, x: Tensor) -> list[Tensor]:
        """Compute every layer for states `[S, B, D]`; the last is the control `[S, B, C]`."""
        layers = []
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            patched = torch.baddbmm(bias, self._patched(place, x), weight.mT)
            x = patched if self.patches[place] is None else patched.view(*x.shape[:2], -1)
            x = x if place == len(self.weights) - 1 else x.tanh()
            layers.append(x)
        return layers

    def pull(self, layers: Sequence[Tensor], gradient: Tensor) -> list[Tensor]:
        """Take a gradient `[S, N, C]` by the control back through the layers, as `steer` gave them.

        Gives the gradients by what goes into each layer, before its tanh: the last is the one given, the first is before layer 0.
        """
        found = [gradient]
        for place in range(len(self.weights) - 1, 0, -1):
            gradient = torch.ops.aten.tanh_backward.default(self._back(place, gradient, layers[place - 1]), layers[place - 1])
            found.insert(0, gradient)
        return found

    def pull_input(self, gradient: Tensor, state: Tensor) -> Tensor:
        """Take a gradient by what goes into layer 0 back to the state `[S, N, D]`."""
        return self._back(0, gradient, state)

    def pull_weights(self, inputs: Tensor, layers: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """Take the gradients that `pull` gave back to the parameters: `[S, P]`, summed over N. `inputs` are the states `[S, N, D]`."""
        parts = []
        for place, (before, gradient) in enumerate(zip([inputs, *layers[:-1]], gradients, strict=True)):
            flat = self._flat(place, gradient)
            parts += [torch.bmm(flat.mT, self._patched(place, before)).flatten(1), flat.sum(1)]
        return torch.cat(parts, 1)

    def _patched(self, place: int, x: Tensor) -> Tensor:
        """Spread features `[S, N, F]` out to what a layer is applied to: `[S, N L, I]`."""
        patch = self.patches[place]
        return x if patch is None else x[..., patch].flatten(1, 2)

    def _flat(self, place: int, gradient: Tensor) -> Tensor:
        """Split what goes into a layer's tanh `[S, N, L O]` into its places: `[S, N L, O]`."""
        return gradient if self.patches[place] is None else gradient.reshape(len(gradient), -1, self.weights[place].shape[1])

    def _back(self, place: int, gradient: Tensor, before: Tensor) -> Tensor:
        """Take a gradient `[S, N, L O]` by what goes into a layer's tanh back to its features, which are `before` `[S, N, F]`."""
        found, patch = torch.bmm(self._flat(place, gradient), self.weights[place]), self.patches[place]
        return found if patch is None else torch.zeros_like(before).index_add(2, patch.flatten(), found.view(*before.shape[:2], -1))
