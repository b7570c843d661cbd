"""Gaussians through locally linear dynamics, against `torch.distributions` and against draws."""

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from curriculum.tasks.e2c.dynamics import Local, kl_to_encoding, kl_to_standard, log_square, rollout, transform

SIZES = [1, 2, 3, 8]


def dynamics(size: int, batch: int = 50, actions: int = 2, seed: int = 0, turned: bool = False):
    """Random dynamics, the same at every place; with `turned` the determinant 1 + v.r is negative."""
    rng = torch.Generator().manual_seed(seed)
    v, r, offset = (torch.randn(batch, size, generator=rng, dtype=torch.float64) for _ in range(3))
    if turned:
        r = -(1 + torch.rand(batch, 1, generator=rng, dtype=torch.float64)) * v / v.square().sum(-1, keepdim=True)
    return Local(v, r, torch.randn(batch, size, actions, generator=rng, dtype=torch.float64), offset)


def state(size: int, batch: int = 50, steps: int = 1, actions: int = 2, seed: int = 1):
    rng = torch.Generator().manual_seed(seed)
    mean, log_sigma, noise = (torch.randn(batch, size, generator=rng, dtype=torch.float64) for _ in range(3))
    fresh = torch.randn(batch, steps, size, generator=rng, dtype=torch.float64)
    return mean, 0.3 * log_sigma - 1, noise, fresh, torch.randn(batch, steps, actions, generator=rng, dtype=torch.float64)


def matrix(local: Local) -> torch.Tensor:
    return torch.eye(local.v.shape[-1], dtype=torch.float64) + local.v[..., :, None] * local.r[..., None, :]


def rho(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize("turned", [False, True], ids=["any determinant", "a negative one"])
@pytest.mark.parametrize("size", SIZES)
def test_the_divergence_is_that_of_the_full_gaussians(size, turned):
    local = dynamics(size, turned=turned)
    mean, log_sigma, noise, fresh, actions = state(size)
    found = rollout(lambda z: local, mean, log_sigma, noise, fresh, rho(1), actions)
    a = matrix(local)
    if turned:
        assert (1 + (local.v * local.r).sum(-1) < 0).all()
    expected_mean = (a @ mean[..., None] + local.action @ actions[:, 0, :, None])[..., 0] + local.offset
    predicted = MultivariateNormal(expected_mean, a @ torch.diag_embed((2 * log_sigma).exp()) @ a.mT)
    encoded, encoded_log_sigma = mean.flip(0), log_sigma.flip(0)
    target = MultivariateNormal(encoded, torch.diag_embed((2 * encoded_log_sigma).exp()))
    apart = kl_to_encoding(found.means[:, 0], found.variances[:, 0], found.log_determinants[:, 0], encoded, encoded_log_sigma)
    torch.testing.assert_close(apart, kl_divergence(predicted, target), atol=1e-8, rtol=1e-8)


def test_the_divergence_over_several_steps_is_exact_too():
    places = [dynamics(3, seed=seed) for seed in range(4)]
    mean, log_sigma, noise, fresh, actions = state(3, steps=4)
    waiting = iter(places)
    found = rollout(lambda z: next(waiting), mean, log_sigma, noise, fresh, rho(0.5), actions)
    covariance, expected = torch.diag_embed((2 * log_sigma).exp()), mean
    for step, local in enumerate(places):
        a = matrix(local)
        expected = (a @ expected[..., None] + local.action @ actions[:, step, :, None])[..., 0] + local.offset
        covariance = a @ covariance @ a.mT
        target = MultivariateNormal(mean.flip(0), torch.diag_embed((2 * log_sigma.flip(0)).exp()))
        gaussian = MultivariateNormal(expected, (covariance + covariance.mT) / 2)
        parts = (found.means[:, step], found.variances[:, step], found.log_determinants[:, step])
        apart = kl_to_encoding(*parts, mean.flip(0), log_sigma.flip(0))
        torch.testing.assert_close(apart, kl_divergence(gaussian, target), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_equal_gaussians_do_not_diverge(size):
    mean, log_sigma, *_ = state(size)
    nothing = kl_to_encoding(mean, (2 * log_sigma).exp(), 2 * log_sigma.sum(-1), mean, log_sigma)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing), atol=1e-12, rtol=0)
    expected = kl_divergence(Normal(mean, log_sigma.exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(-1)
    torch.testing.assert_close(kl_to_standard(mean, log_sigma), expected)


def test_the_logarithm_of_the_determinant_is_exact_and_stays_finite_at_0():
    g = torch.tensor([-3.0, -0.01, 0.01, 2.0], dtype=torch.float64)
    torch.testing.assert_close(log_square(g), g.square().log(), atol=1e-14, rtol=0)
    near = torch.tensor([0.0, 1e-9, -1e-4, 1e-3, 1.1e-3], requires_grad=True)
    log_square(near).sum().backward()
    assert log_square(near).isfinite().all()
    assert near.grad.isfinite().all()
    assert log_square(near.detach()).diff()[[0, 2, 3]].min() >= 0  # it grows with |g|, also across the tangent


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_with_rho_1_the_sample_itself_is_transformed(size, steps):
    places = [dynamics(size, seed=seed) for seed in range(steps)]
    mean, log_sigma, noise, fresh, actions = state(size, steps=steps)
    waiting = iter(places)
    found = rollout(lambda z: next(waiting), mean, log_sigma, noise, fresh, rho(1), actions)
    z = mean + log_sigma.exp() * noise
    for step, local in enumerate(places):
        z = (matrix(local) @ z[..., None] + local.action @ actions[:, step, :, None])[..., 0] + local.offset
        torch.testing.assert_close(found.samples[:, step], z, atol=1e-10, rtol=1e-10)


def test_the_dynamics_are_asked_for_at_the_samples():
    asked = []
    local = dynamics(2)

    def at(z):
        asked.append(z)
        return local

    mean, log_sigma, noise, fresh, actions = state(2, steps=2)
    found = rollout(at, mean, log_sigma, noise, fresh, rho(0.3), actions)
    torch.testing.assert_close(asked[0], mean + log_sigma.exp() * noise)
    torch.testing.assert_close(asked[1], found.samples[:, 0])


@pytest.mark.parametrize("mixture", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_law_of_the_sample_is_the_predicted_gaussian_for_every_rho(mixture, steps):
    draws = 60_000
    local = Local(*(part[:1].expand(draws, *part.shape[1:]) for part in dynamics(2, seed=3)))
    rng = torch.Generator().manual_seed(4)
    noise, fresh = (torch.randn(draws, *shape, generator=rng, dtype=torch.float64) for shape in ((2,), (steps, 2)))
    mean, log_sigma = torch.tensor([0.4, -0.2], dtype=torch.float64), torch.tensor([-0.7, -0.1], dtype=torch.float64)
    actions = torch.ones(draws, steps, 2, dtype=torch.float64)
    found = rollout(lambda z: local, mean.expand(draws, -1), log_sigma.expand(draws, -1), noise, fresh, rho(mixture), actions)
    last, a = found.samples[:, -1], torch.matrix_power(matrix(local)[0], steps)
    expected = a @ torch.diag((2 * log_sigma).exp()) @ a.T
    torch.testing.assert_close(torch.cov(last.T), expected, atol=0.02 * float(expected.abs().max()), rtol=0.02)
    torch.testing.assert_close(last.mean(0), found.means[0, -1], atol=0.02 * float(expected.max()) ** 0.5, rtol=0)
    torch.testing.assert_close(found.variances[0, -1], expected.diagonal())


@pytest.mark.parametrize("mixture", [0.0, 0.6, 1.0])
def test_the_covariance_of_the_step_is_its_closed_form(mixture):
    draws = 100_000
    local = Local(*(part[:1].expand(draws, *part.shape[1:]) for part in dynamics(2, seed=5)))
    rng = torch.Generator().manual_seed(6)
    noise, fresh = torch.randn(2, draws, 1, 2, generator=rng, dtype=torch.float64)
    mean, log_sigma = torch.zeros(draws, 2, dtype=torch.float64), torch.tensor([-0.7, -0.1], dtype=torch.float64).expand(draws, 2)
    found = rollout(lambda z: local, mean, log_sigma, noise[:, 0], fresh, rho(mixture), torch.zeros(draws, 1, 2, dtype=torch.float64))
    step = found.samples[:, 0] - (mean + log_sigma.exp() * noise[:, 0])
    a, sigma = matrix(local)[0], torch.diag((2 * log_sigma[0]).exp())
    expected = sigma + a @ sigma @ a.T - mixture * (a @ sigma + sigma @ a.T)
    assert float(torch.cov(step.T).trace()) == pytest.approx(float(expected.trace()), rel=0.02)
    if mixture == 1:
        closed = (local.r[0].square() * sigma.diagonal()).sum() * local.v[0].square().sum()
        torch.testing.assert_close(expected.trace(), closed)


def test_a_step_that_depends_on_no_place_does_not_vary_when_it_is_reparameterized():
    draws = 1000
    local = Local(*(part[:1].expand(draws, *part.shape[1:]) for part in dynamics(2)))
    local = local._replace(v=torch.zeros_like(local.v))
    mean, log_sigma, noise, fresh, actions = state(2, batch=draws)
    same, drawn = mean[:1].expand(draws, -1), actions[:1].expand(draws, -1, -1)
    lengths = []
    for mixture in (1.0, 0.0):
        found = rollout(lambda z: local, same, log_sigma[:1].expand(draws, -1), noise, fresh, rho(mixture), drawn)
        step = found.samples[:, 0] - (same + log_sigma[:1].exp() * noise)
        lengths.append(float(torch.linalg.vector_norm(step, dim=-1).var()))
    assert lengths[0] < 1e-24
    assert lengths[1] > 0.01


def test_a_matrix_is_applied_without_being_built():
    local = dynamics(8)
    w = state(8)[0]
    torch.testing.assert_close(transform(local.v, local.r, w), (matrix(local) @ w[..., None])[..., 0])
