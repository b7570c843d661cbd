"""Random numbers inside a task's losses, such as dropout: a pure function of the seed, the step and the place of the call.

PyTorch's generators hold a state that a stack of seeds cannot share. Here each random number is a hash of a key, which comes from
the seed and the step, and of a counter; so a seed gets the same noise alone, in a stack, and after it was resumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from curriculum.errors import InputError

Words = NDArray[np.uint64]


def _mixed(words: Words) -> Words:
    """Scramble words of 64 bits; sums and products wrap around. Source: splitmix64 (Steele, Lea & Flood 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _signed(value: int) -> int:
    """Read the low 32 bits of a number as a signed one."""
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def keys(seeds: Sequence[int], steps: range) -> Tensor:
    """Give the keys of some steps: `[C, S, 2]`, int32."""
    found = _mixed(_mixed(np.array(seeds, dtype=np.uint64)) ^ np.asarray(steps, dtype=np.uint64)[:, None])
    halves = np.stack([found & np.uint64(0xFFFFFFFF), found >> np.uint64(32)], axis=-1)
    return torch.from_numpy(halves.astype(np.uint32).view(np.int32))


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift the bits of int32 numbers to the right, with zeros from the left."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)


class Noise(TorchFunctionMode):
    """Makes the random functions of PyTorch draw from `key` `[2]` while it is entered.

    These are dropout in all its forms but those of attention and alpha dropout, `rand`, `randn`, `randint`, `randperm`, their `_like`
    forms, and `bernoulli`. Others are left as they are.
    """

    def __init__(self, key: Tensor):
        super().__init__()
        self.key = key
        self.calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        own = _OWN.get(func)
        if own is None:
            return func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():
            return own(self, *args, **(kwargs or {}))

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw numbers from 0 to below 1, multiples of 2^-24."""
        self.calls += 1
        salt = int(_mixed(np.array([self.calls], dtype=np.uint64))[0])
        x = torch.arange(math.prod(shape), dtype=torch.int32, device=self.key.device) * _signed(0x9E3779B1) + (self.key[0] ^ _signed(salt))
        # The mixer is `lowbias32` (Wellons 2018), with the second half of the key between its rounds.
        x = (x ^ _shifted(x, 16)) * 0x21F0AAAD
        x = x ^ self.key[1] ^ _signed(salt >> 32)
        x = (x ^ _shifted(x, 15)) * _signed(0xD35A2D97)
        x = x ^ _shifted(x, 15)
        return (_shifted(x, 8).float() * 2.0**-24).reshape(tuple(shape))

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw numbers of mean 0 and variance 1. Source: Box & Muller 1958."""
        radius = (-2 * torch.log1p(-self.uniform(shape))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(shape))

    def dropout(self, x: Tensor, p: float | Tensor = 0.5, training: bool = True, inplace: bool = False, whole: int = 0) -> Tensor:
        """Set each element to 0 with probability `p`, and scale the others; `whole` axes at the end are dropped together."""
        if not training or (not isinstance(p, Tensor) and p == 0):
            return x
        if not isinstance(p, Tensor) and not 0 <= p <= 1:
            raise InputError(f"the probability of dropout must be 0 to 1, not {p!r}")
        shape = [*x.shape[: x.ndim - whole], *[1] * whole]
        kept = self.uniform(shape).to(x.device) >= p
        scale = 1 / (1 - p).clamp_min(1e-7) if isinstance(p, Tensor) else 1 / max(1 - p, 1e-7)
        return x * (kept * scale).to(x.dtype)


def _shape(size: Sequence[Any]) -> list[int]:
    return [int(length) for length in (size[0] if len(size) == 1 and not isinstance(size[0], int) else size)]


def _placed(noise: Noise, value: Tensor, dtype: Any = None, device: Any = None, **ignored: Any) -> Tensor:
    return value.to(device or noise.key.device, dtype or value.dtype)


def _rand(noise: Noise, *size: Any, **more: Any) -> Tensor:
    return _placed(noise, noise.uniform(_shape(size or (more.pop("size"),))), **more)


def _randn(noise: Noise, *size: Any, **more: Any) -> Tensor:
    return _placed(noise, noise.normal(_shape(size or (more.pop("size"),))), **more)


def _like(draw: Callable[[Noise, Sequence[int]], Tensor]) -> Callable[..., Tensor]:
    def like(noise: Noise, x: Tensor, dtype: Any = None, **ignored: Any) -> Tensor:
        return draw(noise, list(x.shape)).to(x.device, dtype or x.dtype)

    return like


def _randint(noise: Noise, *bounds: Any, dtype: Any = torch.int64, **more: Any) -> Tensor:
    size = more.pop("size", None)
    values = list(bounds) if size is not None else list(bounds[:-1])
    low, high = (more.pop("low", 0), more.pop("high")) if not values else (0, values[0]) if len(values) == 1 else values
    drawn = low + (noise.uniform(_shape([size if size is not None else bounds[-1]])) * (high - low)).floor()
    return _placed(noise, drawn, dtype, **more)


def _randperm(noise: Noise, n: int, dtype: Any = torch.int64, **more: Any) -> Tensor:
    return _placed(noise, noise.uniform([n]).argsort(stable=True), dtype, **more)


def _bernoulli(noise: Noise, probability: Tensor, p: float | None = None, **ignored: Any) -> Tensor:
    return (noise.uniform(probability.shape).to(probability.device) < (probability if p is None else p)).to(probability.dtype)


def _dropout(whole: int | None) -> Callable[..., Tensor]:
    def dropout(noise: Noise, input: Tensor, p: float | Tensor = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return noise.dropout(input, p, training, inplace, whole or 0)

    return dropout


_OWN: Mapping[Callable[..., Any], Callable[..., Any]] = {
    F.dropout: _dropout(0),
    torch.dropout: lambda noise, input, p, train: noise.dropout(input, p, train),
    F.dropout1d: _dropout(1),
    F.dropout2d: _dropout(2),
    F.dropout3d: _dropout(3),
    torch.rand: _rand,
    torch.randn: _randn,
    torch.rand_like: _like(Noise.uniform),
    torch.randn_like: _like(Noise.normal),
    torch.randint: _randint,
    torch.randperm: _randperm,
    torch.bernoulli: _bernoulli,
    Tensor.bernoulli: _bernoulli,
}
