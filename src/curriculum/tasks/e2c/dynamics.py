"""Latent dynamics that are linear at each place: z' = A z + B u + o with A = I + v r^T.

Gaussians go through them in closed form. Source: Watter et al. 2015 (Embed to Control).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

SMALLEST_DETERMINANT = 1e-3  # |1 + v.r| below which its logarithm goes on as a tangent, to stay finite


class Local(NamedTuple):
    """The dynamics at one place: `v`, `r` and `offset` `[..., L]`, and `action` `[..., L, A]`, the matrix B."""

    v: Tensor
    r: Tensor
    action: Tensor
    offset: Tensor


class Rollout(NamedTuple):
    """Predicted Gaussians over K steps: `means`, `variances` (the covariance's diagonal) and `samples` `[..., K, L]`.

    `log_determinants` `[..., K]` are those of the covariances.
    """

    means: Tensor
    variances: Tensor
    log_determinants: Tensor
    samples: Tensor


def transform(v: Tensor, r: Tensor, w: Tensor) -> Tensor:
    """Compute A w for A = I + v r^T, without building A: `[..., L]`."""
    return w + v * (r * w).sum(-1, keepdim=True)


def shift(local: Local, action: Tensor) -> Tensor:
    """Compute B u + o for actions `[..., A]`: `[..., L]`."""
    return (local.action @ action[..., None])[..., 0] + local.offset


def log_square(g: Tensor) -> Tensor:
    """Compute log g^2, exactly but near 0, where its tangent in g^2 keeps value and gradient finite."""
    square, least = g.square(), SMALLEST_DETERMINANT**2
    safe = square.clamp_min(least)
    return safe.log() + (square - safe) / least


def rollout(
    at: Callable[[Tensor], Local], mean: Tensor, log_sigma: Tensor, noise: Tensor, fresh: Tensor, rho: Tensor, actions: Tensor
) -> Rollout:
    """Carry q(z) = N(mean, sigma^2) through K steps of the dynamics `at` each sampled place.

    `mean`, `log_sigma` and `noise` are `[..., L]`, `fresh` `[..., K, L]`, `actions` `[..., K, A]` and `rho` `[..., 1]`. The sample of
    step i has the noise rho noise + sqrt(1 - rho^2) fresh_i: with rho = 1 it is the transformed first sample
    (re-parameterized), with rho = 0 a new one from the same Gaussian (re-sampled). For fixed A, B and o its law is
    N(m, C) for every rho.
    """
    sigma = log_sigma.exp()
    several = actions.shape[-2] > 1
    factor = torch.diag_embed(sigma) if several else sigma  # C = F F^T; one step needs only C's diagonal
    log_determinant = 2 * log_sigma.sum(-1)
    fresh_share = (1 - rho.square()).clamp_min(0).sqrt()
    sample = mean + sigma * noise
    steps = []
    for step in range(actions.shape[-2]):
        local = at(sample)
        moved = shift(local, actions[..., step, :])
        mean = transform(local.v, local.r, mean) + moved
        mixed = rho * noise + fresh_share * fresh[..., step, :]
        log_determinant = log_determinant + log_square(1 + (local.v * local.r).sum(-1))
        if step == 0:
            sample = mean + transform(local.v, local.r, sigma * mixed)
            variance = sigma.square() * (1 + 2 * local.v * local.r) + local.v.square() * (local.r * sigma).square().sum(-1, keepdim=True)
        if several:
            factor = factor + local.v[..., :, None] * (local.r[..., None, :] @ factor)
        if step > 0:
            sample = mean + (factor @ mixed[..., None])[..., 0]
            variance = factor.square().sum(-1)
        steps.append((mean, variance, log_determinant, sample))
    means, variances, log_determinants, samples = zip(*steps, strict=True)
    return Rollout(torch.stack(means, -2), torch.stack(variances, -2), torch.stack(log_determinants, -1), torch.stack(samples, -2))


def kl_to_standard(mean: Tensor, log_sigma: Tensor) -> Tensor:
    """Compute KL(N(mean, sigma^2) || N(0, I)) in nats: `[..., L]` to `[...]`."""
    return 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(-1)


def kl_to_encoding(mean: Tensor, variance: Tensor, log_determinant: Tensor, encoded: Tensor, encoded_log_sigma: Tensor) -> Tensor:
    """Compute KL(N(mean, C) || N(encoded, sigma'^2)) in nats: `[..., L]` to `[...]`.

    Of C only the diagonal `variance` and the logarithm of its determinant are needed, by the matrix determinant lemma
    2 sum(log sigma) + log (1 + v.r)^2 after one step.
    """
    precision = (-2 * encoded_log_sigma).exp()
    inner = (variance + (encoded - mean).square()) * precision + 2 * encoded_log_sigma - 1
    return 0.5 * (inner.sum(-1) - log_determinant)
