"""Predictors kept as factors give what the multiplied-out ones do."""

import pytest
import torch

from mvlatent.vae.affine import Affine, Residual
from mvlatent.vae.likelihoods import Normal


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
@pytest.mark.parametrize("far", [0.0, 50.0])
def test_residuals(double, lead, far):
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(*lead, 6, 2, generator=generator).requires_grad_()
    loadings = torch.randn(2, 5, generator=generator).requires_grad_()
    intercept = (far + torch.randn(5, generator=generator)).requires_grad_()
    x, weight = far + torch.randn(6, 5, generator=generator), torch.rand(5, generator=generator)
    eta, dense = Affine(factors, loadings, intercept), factors @ loadings + intercept
    torch.testing.assert_close(eta.dense(), dense)
    assert eta.shape == dense.shape
    found = Residual(x, eta).weighted_squares(weight)
    known = ((x - dense).square() * weight).sum(-1)
    torch.testing.assert_close(found, known)
    matrix = torch.randn(5, 3, generator=generator)
    torch.testing.assert_close(Residual(x, eta) @ matrix, (x - dense) @ matrix)
    named = (factors, loadings, intercept)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), named),
        torch.autograd.grad(known.square().sum(), named),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_density_in_single_precision_far_from_zero():
    generator = torch.Generator().manual_seed(1)
    likelihood = Normal(400)
    with torch.no_grad():
        likelihood.log_scale.fill_(-2.0)
        factors, loadings = (torch.randn(*s, generator=generator) for s in ((8, 3), (3, 400)))
        intercept = 10 + torch.randn(400, generator=generator)
        eta = Affine(factors, loadings, intercept)
        x = eta.dense() + 0.15 * torch.randn(8, 400, generator=generator)
        found = likelihood.log_prob(x, eta, None)
        exact = likelihood.double().log_prob(x.double(), eta.dense().double(), None)
    torch.testing.assert_close(found.double(), exact, atol=0.1, rtol=1e-3)
