"""Random streams that can be entered at any step: counter-based, so that nothing depends on what was drawn before."""

from __future__ import annotations

import numpy as np


def generator(seed: int, stream: int, step: int) -> np.random.Generator:
    """Enter the stream of a seed at a step.

    The key of Philox (Salmon et al. 2011) is the seed and the stream, its counter the step: each step has 2^64
    blocks of its own.
    """
    key, counter = np.array([seed, stream], dtype=np.uint64), np.array([0, step, 0, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
