"""Joint moments of [z, w] of a view: the textbook posterior of stacked loadings."""

import pytest
import torch

from mvlatent.vae.moments import joint_posterior, second_moments


@pytest.fixture
def one_view(double, make_cohort, make_vae):
    """A cohort of one view with gaps, its model, and the closed form of its posterior."""
    cohort = make_cohort({"a": 9}, n=12)
    vae = make_vae(cohort)
    part = vae.part("a")
    loadings = torch.cat([part.decoder.shared, part.decoder.private]).detach()
    scaled = (loadings / part.noise_variance()).detach()
    covariance = torch.linalg.inv(torch.eye(len(loadings)) + scaled @ loadings.T)
    centred = cohort.views["a"].x - part.decoder.intercept.detach()
    return cohort, vae, centred @ scaled.T @ covariance, covariance


@torch.no_grad()
def test_joint_posterior_of_stacked_loadings(one_view):
    cohort, vae, mean, covariance = one_view
    q, evidence = vae.posterior(cohort)
    seen = torch.arange(12) % 3 > 0
    joint = joint_posterior(q.mean, q.covariance, evidence["a"], seen)
    torch.testing.assert_close(joint.mean, mean[seen])
    torch.testing.assert_close(joint.covariance, covariance.expand_as(joint.covariance))


@torch.no_grad()
def test_second_moments_are_sums_over_those_seen(one_view):
    cohort, vae, mean, covariance = one_view
    q, evidence = vae.posterior(cohort)
    joint = joint_posterior(q.mean, q.covariance, evidence["a"], cohort.views["a"].present)
    torch.testing.assert_close(second_moments(joint, None), mean.T @ mean + 12 * covariance)
    weight = (torch.arange(36).reshape(12, 3) % 4 > 0).to(mean.dtype)
    each = second_moments(joint, weight)
    for j, rows in enumerate(weight.T.bool()):
        known = mean[rows].T @ mean[rows] + int(rows.sum()) * covariance
        torch.testing.assert_close(each[j], known)
