"""The network that steers a system, for one model and for a stack of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from curriculum.train.batch import Tensors

Rows = slice | Sequence[int]


class Perceptron(nn.Module):
    """Layers with tanh between them, from a state `[..., D]` to a control `[..., C]`."""

    def __init__(self, size: int, hidden: Sequence[int], controls: int, still: bool):
        """Build it with Glorot-uniform weights and biases of 0; a network that is `still` has an output of 0 until it learns."""
        super().__init__()
        widths = [size, *hidden, controls]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in zip(widths[:-1], widths[1:], strict=True))
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if still:
            nn.init.zeros_(self.layers[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers[-1](self.hidden(x))
        return found

    def hidden(self, x: Tensor) -> Tensor:
        """Compute the last hidden layer `[..., H]`."""
        for layer in self.layers[:-1]:
            x = layer(x).tanh()
        return x


class Stack(NamedTuple):
    """The weights `[S, O, I]` and biases `[S, 1, O]` of each layer of a stack of perceptrons."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]

    @classmethod
    def of(cls, parameters: Tensors) -> Stack:
        """Take them from parameters by name."""
        count = len(parameters) // 2
        return cls(
            [parameters[f"layers.{i}.weight"] for i in range(count)], [parameters[f"layers.{i}.bias"].unsqueeze(1) for i in range(count)]
        )

    def part(self, rows: Rows) -> Stack:
        """Take some models of the stack."""
        return Stack([weight[rows] for weight in self.weights], [bias[rows] for bias in self.biases])

    def steer(self, x: Tensor) -> list[Tensor]:
        """Compute every layer for states `[S, B, D]`; the last is the control `[S, B, C]`."""
        layers = []
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight.mT)
            x = x if place == len(self.weights) - 1 else x.tanh()
            layers.append(x)
        return layers

    def pull(self, layers: Sequence[Tensor], gradient: Tensor) -> list[Tensor]:
        """Take a gradient `[S, N, C]` by the control back through the layers, as `steer` gave them.

        Gives the gradients by what goes into each layer, before its tanh: the last is the one given, the first is before layer 0.
        """
        found = [gradient]
        for place in range(len(self.weights) - 1, 0, -1):
            gradient = torch.ops.aten.tanh_backward(torch.bmm(gradient, self.weights[place]), layers[place - 1])
            found.insert(0, gradient)
        return found

    def pull_input(self, gradient: Tensor) -> Tensor:
        """Take a gradient by what goes into layer 0 back to the state `[S, N, D]`."""
        return torch.bmm(gradient, self.weights[0])

    def pull_weights(self, inputs: Tensor, layers: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """Take the gradients that `pull` gave back to the parameters: `[S, P]`, summed over N. `inputs` are the states `[S, N, D]`."""
        parts = []
        for before, gradient in zip([inputs, *layers[:-1]], gradients, strict=True):
            parts += [torch.bmm(gradient.mT, before).flatten(1), gradient.sum(1)]
        return torch.cat(parts, 1)
