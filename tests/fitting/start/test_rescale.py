"""Latents back on the scale of their prior, with nothing else changed."""

import torch

from mvlatent.fitting.start.rescale import rescale_latents


def moment(q) -> torch.Tensor:
    return q.covariance.mean(0) + q.mean.T @ q.mean / len(q.mean)


def test_rescaling_brings_second_moments_to_one_and_keeps_the_subspace(make_cohort, make_vae):
    cohort = make_cohort({"a": 30, "b": 20}, n=200, absent=0.2)
    vae = make_vae(cohort, n_shared=2, n_private=1)
    with torch.no_grad():
        for _, part in vae.items:
            part.decoder.shared *= 0.3  # too small: posterior means have to be too large
            part.decoder.private *= 0.3
    before = {name: part.decoder.shared.detach().clone() for name, part in vae.items}
    distance = torch.dist(moment(vae.posterior(cohort)[0]), torch.eye(2))
    rescale_latents(vae, cohort)
    q, _ = vae.posterior(cohort)
    assert torch.dist(moment(q), torch.eye(2)) < 0.5 * distance
    for name, part in vae.items:
        span = torch.cat([before[name], part.decoder.shared.detach()])
        values = torch.linalg.svdvals(span)
        assert values[2] < 1e-4 * values[0]  # four rows, still two directions


def test_latents_of_networks_are_left_alone(make_cohort, make_vae):
    cohort = make_cohort(n=30)
    vae = make_vae(cohort, decoder="mlp")
    before = {k: v.clone() for k, v in vae.state_dict().items()}
    rescale_latents(vae, cohort)
    assert all(torch.equal(v, before[k]) for k, v in vae.state_dict().items())
