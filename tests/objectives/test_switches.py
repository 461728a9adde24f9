"""Switches of the bound: detached z, clamped w, a guide that is not told z."""

import pytest
import torch

from mvlatent.fitting.loop import fit
from mvlatent.fitting.plan import Plan
from mvlatent.objectives import CrossView
from mvlatent.objectives.objective import Objective
from mvlatent.vae.gaussian import StandardNormal


def gradients(objective, cohort, **how):
    torch.manual_seed(0)
    loss, terms = objective(cohort, len(cohort), **how)
    objective.zero_grad()
    loss.backward()
    vae = objective.vae
    return {k: p.grad.clone() for k, p in vae.named_parameters() if p.grad is not None}, terms


def test_stop_gradient_takes_the_views_from_z_and_nothing_else(make_cohort, make_vae):
    cohort = make_cohort(n=20, absent=0.2)
    vae = make_vae(cohort, encoder="linear")
    plain, terms = gradients(Objective(vae), cohort)
    stopped, same = gradients(Objective(vae, stop_gradient=True), cohort)
    assert terms == same
    for name, grad in plain.items():
        of_z = "to_shared" in name or name.endswith("expert.log_precision")
        assert torch.allclose(grad, stopped[name], atol=1e-5) != of_z, name
    # what is left for z is the divergence from its prior, until a term teaches it
    torch.manual_seed(0)
    q, _ = vae.posterior(cohort)
    divergence = torch.distributions.kl_divergence(q, StandardNormal(20, 3)).mean()
    weight = vae.part("a").expert.to_shared.weight
    (known,) = torch.autograd.grad(divergence, weight)
    torch.testing.assert_close(stopped["parts.0.expert.to_shared.weight"], known)
    taught, _ = gradients(Objective(vae, stop_gradient=True, terms=(CrossView(),)), cohort)
    assert not torch.allclose(taught["parts.0.expert.to_shared.weight"], known)


@pytest.mark.parametrize("encoder", ["exact", "linear"])
def test_clamped_private_latents_are_integrated_over_their_prior(
    double, make_cohort, make_vae, encoder
):
    """In closed form no noise of w is left: the views' terms are the marginal densities."""
    cohort = make_cohort(n=15, n_sites=2, absent=0.3, likelihoods={"c": "bernoulli"})
    vae = make_vae(cohort, encoder=encoder)
    objective = Objective(vae, terms=(CrossView(),))
    torch.manual_seed(0)
    _, terms = objective(cohort, 15, shared_first=True)
    draw = objective.elbo.draw
    from mvlatent.vae.marginal import log_marginal

    for name in "ab":
        view, effect = cohort.views[name], draw[f"effect:{name}"]
        each = log_marginal(vae.part(name), view, draw["z"], cohort.technical, effect)
        known = torch.where(view.present, each, 0.0).sum() / 15
        torch.testing.assert_close(terms[f"x:{name}"], known.detach())
    assert all(terms[f"kl:w:{name}"] == 0 for name in "abc")
    w = draw["w:c"]  # no closed form: drawn from the prior
    eta = vae.part("c").decoder(draw["z"], w, cohort.technical, draw["effect:c"])
    log_p = vae.part("c").likelihood.log_prob(cohort.views["c"].x, eta, None)
    known = torch.where(cohort.views["c"].present, log_p, 0.0).sum() / 15
    torch.testing.assert_close(terms["x:c"], known.detach())


def test_clamped_gradients_reach_every_parameter(make_cohort, make_vae):
    """Processes that share gradients wait for each of them."""
    cohort = make_cohort(n=15, likelihoods={"c": "bernoulli"})
    objective = Objective(make_vae(cohort, encoder="mlp"), terms=(CrossView(),))
    loss, _ = objective(cohort, 15, shared_first=True)
    loss.backward()
    grads = {k: p.grad for k, p in objective.named_parameters()}
    assert all(g is not None and bool(g.isfinite().all()) for g in grads.values())
    resting = [g for k, g in grads.items() if "to_private" in k]
    assert resting and all(bool((g == 0).all()) for g in resting)


def test_shared_first_comes_first(make_cohort, make_vae):
    cohort = make_cohort(n=30)
    objective = Objective(make_vae(cohort), terms=(CrossView(weight=0.5),))
    plan = Plan(max_epochs=10, shared_first=0.3, accelerator="cpu")
    history = fit(objective, cohort, plan, progress=False).history
    clamped = [row["kl:w:a"] == 0 for row in history]
    assert clamped == [True] * 3 + [False] * 7
    weights = [row["weight:cross_view"] for row in history]
    assert weights == pytest.approx([0.5] * 3 + [0.3, 0.4] + [0.5] * 5)


@pytest.mark.parametrize("holes", [(), ("a",)])
def test_the_guide_without_top_down_is_the_marginal_posterior(double, make_cohort, make_vae, holes):
    cohort = make_cohort({"a": 7}, n=6, holes=holes)
    top_down, marginal = make_vae(cohort), make_vae(cohort, top_down=False)
    marginal.load_state_dict(top_down.state_dict())
    q, evidence = top_down.posterior(cohort)
    # with one view the posterior of z is that of the view: integrate it out by its moments
    given = evidence["a"].private(q.mean)
    eye = torch.eye(3)
    steps = [evidence["a"].private(q.mean + step).mean - given.mean for step in eye]
    slope = torch.stack(steps, -1)
    covariance = given.covariance + slope @ q.covariance @ slope.mT
    same, alone = marginal.posterior(cohort)
    torch.testing.assert_close(same.mean, q.mean)
    for z in (q.mean, torch.zeros_like(q.mean), torch.randn(4, 6, 3)):
        found = alone["a"].private(z)
        assert found.mean.shape == (*z.shape[:-1], 2)
        torch.testing.assert_close(found.mean, given.mean.expand(*z.shape[:-1], 2))
        torch.testing.assert_close(found.covariance, covariance)


def test_an_amortised_guide_without_top_down_does_not_look_at_z(double, make_cohort, make_vae):
    cohort = make_cohort({"a": 7}, n=12)
    vae = make_vae(cohort, encoder="mlp", top_down=False)
    private = vae.evidence(cohort)["a"].private
    first, other = private(torch.zeros(12, 3)), private(torch.randn(12, 3))
    assert torch.equal(first.mean, other.mean) and torch.equal(first.precision, other.precision)
    # its start is the tied expert's map, z integrated out
    linear, exact = (make_vae(cohort, encoder=e, top_down=False) for e in ("linear", "exact"))
    for name in ("decoder", "likelihood"):
        getattr(linear.parts[0], name).load_state_dict(getattr(exact.parts[0], name).state_dict())
    linear.parts[0].expert.start()
    start = linear.evidence(cohort)["a"].private(torch.zeros(12, 3))
    known = exact.evidence(cohort)["a"].private(torch.zeros(12, 3))
    diagonal = start.precision[0].diagonal()
    torch.testing.assert_close(diagonal, known.precision[0].diagonal())
    torch.testing.assert_close(start.mean, known.mean)
