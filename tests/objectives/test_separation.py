"""Dependence measures against naive sums, and on data whose dependence is known."""

from itertools import permutations

import numpy as np
import pytest
import torch

from mvlatent.objectives import Separation
from mvlatent.objectives.base import Scene
from mvlatent.objectives.separation import SEPARATIONS, dependence

kinds = pytest.mark.parametrize("kind", SEPARATIONS)


def everyone(n):
    return torch.ones(n, dtype=torch.bool)


def matrices(x, kind):
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    if kind == "dcor":
        return np.sqrt(squared)
    n = len(x)
    width = squared.sum() / (n * (n - 1))
    return np.exp(-squared / width) * (1 - np.eye(n))


def unbiased(a, b):
    """Unbiased HSIC of two matrices as a sum over tuples of different patients (Song et al.)."""
    n = len(a)
    total = 0.0
    for i, j in permutations(range(n), 2):
        total += a[i, j] * b[i, j] / (n * (n - 1))
    for i, j, q in permutations(range(n), 3):
        total -= 2 * a[i, j] * b[i, q] / (n * (n - 1) * (n - 2))
    for i, j, q, r in permutations(range(n), 4):
        total += a[i, j] * b[q, r] / (n * (n - 1) * (n - 2) * (n - 3))
    return total


@kinds
def test_against_sums_over_tuples_of_patients(double, kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 3))
    y = np.c_[x[:, :1] ** 2, rng.standard_normal((9, 1))]
    a, b = matrices(x, kind), matrices(y, kind)
    known = unbiased(a, b) / np.sqrt(unbiased(a, a) * unbiased(b, b))
    found = dependence(torch.from_numpy(x), torch.from_numpy(y), everyone(9), kind)
    assert float(found) == pytest.approx(known, rel=1e-4)


@kinds
def test_independence_is_zero_on_average_and_dependence_is_seen(double, kind):
    generator = torch.Generator().manual_seed(0)

    def normal(d):
        return torch.randn(100, d, generator=generator)

    independent = [float(dependence(normal(8), normal(4), everyone(100), kind)) for _ in range(60)]
    assert abs(np.mean(independent)) < 3 * np.std(independent) / 60**0.5 + 1e-3
    assert np.std(independent) < 0.05
    x = normal(2)
    ring = x.square() + 0.1 * normal(2)  # dependent without any correlation
    assert float(dependence(x, ring, everyone(100), kind)) > 0.1
    assert float(dependence(x, -2 * x + 1, everyone(100), kind)) == pytest.approx(1.0, abs=1e-6)


@kinds
def test_patients_without_the_view_do_not_count(double, kind):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 40, 3, generator=generator)
    y = x + y
    rows = torch.arange(40) % 4 > 0
    known = dependence(x[rows], y[rows], everyone(30), kind)
    y[~rows] = 1e3
    torch.testing.assert_close(dependence(x, y, rows, kind), known)
    few = dependence(x, y, torch.arange(40) < 3, kind)
    assert float(few) == 0.0


@kinds
def test_equal_rows_have_finite_gradients(kind):
    x = torch.zeros(10, 2, requires_grad=True)
    y = torch.randn(10, 2)
    dependence(x, y, everyone(10), kind).backward()
    assert bool(x.grad.isfinite().all())


@kinds
def test_descent_moves_the_private_latent_away(double, kind):
    torch.manual_seed(0)
    z = torch.randn(80, 2)
    w = (z + 0.3 * torch.randn(80, 2)).requires_grad_()
    optimizer = torch.optim.Adam([w], lr=0.05)
    before = float(dependence(z, w.detach(), everyone(80), kind))
    for _ in range(150):
        optimizer.zero_grad()
        dependence(z, w, everyone(80), kind).backward()
        optimizer.step()
    assert before > 0.6 and float(dependence(z, w.detach(), everyone(80), kind)) < 0.1 * before


def test_the_draw_of_z_is_detached(make_cohort, make_vae):
    cohort = make_cohort(n=20, absent=0.2)
    vae = make_vae(cohort, encoder="linear")
    q, evidence = vae.posterior(cohort)
    z = q.rsample()
    value = Separation().value(Scene(vae, cohort, evidence, {"z": z}), None)
    private, shared = vae.part("a").expert.to_private.weight, vae.part("a").expert.to_shared.weight
    through_z, through_w = torch.autograd.grad(value, [shared, private], allow_unused=True)
    assert through_z is None and bool((through_w != 0).any())
