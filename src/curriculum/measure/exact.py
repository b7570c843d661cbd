"""Exact tests and limits, and how small a p can get."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_EXACT = 10**8  # additions in an exact test, beyond which a normal approximation is as good


def sign_flip_p(differences: Array) -> float:
    """Compute the exact two-sided p of whole differences `[N]`: the share of all 2^N sign flips with a sum as far from 0.

    Source: Fisher 1935. Without a nonzero difference it is 1. For many pairs or large differences it is the normal approximation.
    """
    from scipy.stats import norm

    if not differences.any():
        return 1.0
    if len(differences) * np.abs(differences).sum() > MOST_EXACT:
        return float(2 * norm.sf(abs(differences.sum()) / np.sqrt((differences**2).sum())))
    sizes = np.abs(differences[differences != 0]).astype(np.int64)
    observed, total = abs(int(differences.sum())), int(sizes.sum())
    # The chance of each sum of the sizes that keep a positive sign; the sum of all differences is twice that less the total.
    chance = np.ones(1)
    for size in sizes:
        longer = np.zeros(len(chance) + size)
        longer[: len(chance)] += chance / 2
        longer[size:] += chance / 2
        chance = longer
    far = np.abs(2 * np.arange(total + 1) - total) >= observed
    return min(1.0, float(chance[far].sum()))


def signed_rank_p(differences: Array) -> float:
    """Compute the two-sided p of a Wilcoxon signed-rank test of differences `[N]`, with Pratt's zeros.

    It is exact, also with zeros and ties; of more than 460 pairs it is the normal approximation.
    """
    from scipy.stats import rankdata

    # Ranks carry the signs: an infinite difference is only the largest. Ties have halves.
    return sign_flip_p(2 * rankdata(np.abs(differences)) * np.sign(differences))


def smallest_p(pairs: int, tests: float) -> float:
    """Give the smallest p that so many pairs can reach as one of so many tests, after Holm's correction.

    It is reached where all pairs differ in the same direction: two of the 2^pairs ways to flip their signs. At one look of several,
    `tests` is their number divided by the share of the error that it may spend.
    """
    return min(1.0, tests * 2.0 ** (1 - pairs))


def pairs_needed(tests: float, alpha: float = 0.05) -> int:
    """Give the smallest number of pairs of which so many tests can decide anything at all."""
    return next(pairs for pairs in range(1, 1100) if smallest_p(pairs, tests) <= alpha)


def most_often(seen: int, n: int, level: float) -> float:
    """Give the upper limit of a share that was `seen` in some of n, at a level of confidence (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(seen, n).proportion_ci(level, method="exact").high)
