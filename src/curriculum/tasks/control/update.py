"""What becomes of the gradients before the optimizer: the combined update, and the clipping of its norm.

Source: Schnell & Thuerey 2024, Stabilizing Backpropagation Through Time to Learn Complex Physics.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

SKETCH = 256  # numbers that stand for a direction
SIGNS = 23  # stream of random numbers


def combine(modified: Tensor, regular: Tensor) -> Tensor:
    """Keep the components of a modified gradient `[..., P]` whose sign agrees with the regular gradient's; the others are 0."""
    # The sign of NaN is 0, so that two of them would agree.
    agree = (modified.sign() == regular.sign()) & modified.isfinite() & regular.isfinite()
    return torch.where(agree, modified, 0)


def mixed(modified: Tensor, regular: Tensor, agree: Tensor) -> Tensor:
    """Mix a gradient `[..., P]` with its agreeing part by `agree` `[...]`, 0 to 1.

    Where either gradient is not finite, neither is the result: a rule that leaves such components out must gain nothing by it.
    """
    share = agree.unsqueeze(-1)
    found = torch.where(share == 0, modified, torch.lerp(modified, combine(modified, regular), share))
    sound = (modified.isfinite() & (regular.isfinite() | (share == 0))).all(-1, keepdim=True)
    return torch.where(sound, found, torch.nan)


def sketch(gradient: Tensor, size: int = SKETCH) -> Tensor:
    """Hash gradients `[..., P]` to directions `[..., size]`, whose cosines are those of the gradients, but for noise of 1 / sqrt(size).

    Each component is added, with a random sign, to one of `size` sums. Source: Weinberger et al. 2009, Feature Hashing.
    """
    length = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True, dtype=torch.float64)
    unit = (gradient / length.clamp_min(torch.finfo(torch.float64).tiny)).to(gradient.dtype)
    signs = np.random.default_rng(SIGNS).integers(0, 2, gradient.shape[-1], dtype=np.int8) * 2 - 1
    signed = unit * torch.from_numpy(signs).to(unit)
    return nn.functional.pad(signed, (0, -gradient.shape[-1] % size)).reshape(*gradient.shape[:-1], -1, size).sum(-2)


def clipped(gradient: Tensor, largest: Tensor) -> Tensor:
    """Scale gradients `[..., P]` so that no norm is larger than `largest` `[...]`; the norm is computed in float64.

    In float32 the square of a norm overflows from 1.8e19 on, which gradients through time reach.
    """
    norm = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)
    scale: Tensor = (largest / norm).clamp(max=1).to(gradient.dtype).unsqueeze(-1)
    return gradient * scale
