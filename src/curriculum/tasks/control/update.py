"""What becomes of the gradients before the optimizer: the combined update, and the clipping of its norm.

Source: Schnell & Thuerey 2024, Stabilizing Backpropagation Through Time to Learn Complex Physics.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def clipped(gradient: Tensor, largest: Tensor) -> Tensor:
    """Scale gradients `[..., P]` so that no norm is larger than `largest` `[...]`; the norm is computed in float64.

    In float32 the square of a norm overflows from 1.8e19 on, which gradients through time reach.
    """
    norm = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)
    scale: Tensor = (largest / norm).clamp(max=1).to(gradient.dtype).unsqueeze(-1)
    return gradient * scale
