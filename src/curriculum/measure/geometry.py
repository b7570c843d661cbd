"""Turn a plane of latents to lie as what they stand for: rotation, reflection and scale of latents are arbitrary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def orientation(latents: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Find the rotation or reflection `[2, 2]` by which latents `[N, 2]` lie most like their targets `[N, 2]`.

    It is multiplied from the right. Source: the orthogonal Procrustes problem (Schoenemann 1966). Where the latents are
    not finite, nothing is turned.
    """
    from scipy.linalg import orthogonal_procrustes

    apart = latents - latents.mean(0)
    if not np.isfinite(apart).all():
        return np.eye(2)
    turn, _ = orthogonal_procrustes(apart.astype(np.float64), targets - targets.mean(0))
    return np.asarray(turn)
