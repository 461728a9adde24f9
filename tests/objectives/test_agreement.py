"""Agreement against torch's divergence of multivariate normals, and the views' shares."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from mvlatent.objectives import Agreement
from mvlatent.objectives.base import Scene


def normal(q, i):
    return MultivariateNormal(q.mean[i], q.covariance[i])


@pytest.mark.parametrize("holes", [(), ("a",)], ids=["patterns", "one a patient"])
@pytest.mark.parametrize("encoder", ["exact", "mlp"])
def test_divergence_of_precision_normals(double, make_cohort, make_vae, holes, encoder):
    cohort = make_cohort(n=8, absent=0.3, holes=holes)
    scene = Scene(vae := make_vae(cohort, encoder=encoder), cohort, vae.evidence(cohort))
    for q in scene.alone.values():
        for left, right in ((scene.together, q), (q, scene.together), (q, q)):
            found = kl_divergence(left, right)
            known = [kl_divergence(normal(left, i), normal(right, i)) for i in range(8)]
            torch.testing.assert_close(found, torch.stack(known), rtol=1e-8, atol=1e-8)


def test_value_is_the_share_weighted_sum(double, make_cohort, make_vae):
    cohort = make_cohort(n=8, absent=0.3, n_sites=2)
    vae = make_vae(cohort)
    scene = Scene(vae, cohort, vae.evidence(cohort))
    total = 0.0
    for i in range(8):
        seen = [n for n in vae.names if cohort.views[n].present[i]]
        if len(seen) < 2:
            continue
        alone = {n: normal(scene.alone[n], i) for n in seen}
        resolved = {n: 1 - q.variance.mean() for n, q in alone.items()}
        joint = normal(vae.posterior(cohort)[0], i)
        for n in seen:
            share = resolved[n] / sum(resolved.values())
            total -= float((share * kl_divergence(joint, alone[n])).detach())
    assert float(Agreement().value(scene, None).detach()) == pytest.approx(total / 8, rel=1e-8)
    assert total < 0


def test_a_view_that_knows_nothing_of_z_does_not_count(double, make_cohort, make_vae):
    """Without loadings of its own a view is far from the joint posterior, and has no share."""
    cohort = make_cohort(n=8)
    vae = make_vae(cohort)
    without = replace(cohort, views={k: v for k, v in cohort.views.items() if k != "c"})
    with torch.no_grad():
        vae.part("c").decoder.shared.zero_()
    found = Agreement().value(Scene(vae, cohort, vae.evidence(cohort)), None)
    small = make_vae(without)
    for name in "ab":
        small.part(name).load_state_dict(vae.part(name).state_dict())
    known = Agreement().value(Scene(small, without, small.evidence(without)), None)
    torch.testing.assert_close(found, known, rtol=1e-5, atol=1e-6)


def test_shares_are_held_while_gradients_are_taken(double, make_cohort, make_vae):
    """Two copies of one view: the shares are equal whatever the loadings, and it shows."""
    cohort = make_cohort({"a": 5, "b": 5}, n=10)
    twin = replace(cohort, views={"a": cohort.views["a"], "b": cohort.views["a"]})
    vae = make_vae(twin)
    vae.part("b").load_state_dict(vae.part("a").state_dict())
    scene = Scene(vae, twin, vae.evidence(twin))
    value = Agreement().value(scene, None)
    (gradient,) = torch.autograd.grad(value, vae.part("a").decoder.shared, retain_graph=True)
    half = -0.5 * sum(kl_divergence(scene.together, q).mean() for q in scene.alone.values())
    (known,) = torch.autograd.grad(half, vae.part("a").decoder.shared)
    torch.testing.assert_close(value, half)
    torch.testing.assert_close(gradient, known)
