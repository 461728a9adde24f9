"""The cross-view density against the full covariance, and the subsets it is asked on."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

from mvlatent.objectives import CrossView
from mvlatent.objectives.base import Scene
from mvlatent.objectives.cross_view import AuxiliaryPriors, draw_subsets
from mvlatent.vae.basis import fit_bases, rotate
from mvlatent.vae.marginal import has_closed_form, log_marginal, log_marginal_by_draws


def inputs(cohort, vae, name, seed=0):
    generator = torch.Generator().manual_seed(seed)
    part = vae.part(name)
    z = torch.randn(len(cohort), 3, generator=generator)
    effect = None if part.effects is None else torch.randn(part.effects.loc.shape)
    return part, cohort.views[name], z, cohort.technical, effect


def centre(part, z, technical, effect):
    """Mean of the view given z, w at 0."""
    mean = part.decoder.warp(z) @ part.decoder.shared + part.decoder.intercept
    return mean if effect is None else mean + technical @ effect


@pytest.mark.parametrize("decoder", ["linear", "additive"])
@pytest.mark.parametrize("noise", ["feature", "view"])
@pytest.mark.parametrize("n_sites", [0, 2])
def test_complete_rows_against_the_low_rank_normal(
    double, make_cohort, make_vae, decoder, noise, n_sites
):
    cohort = make_cohort(n_sites=n_sites, noise=noise)
    vae = make_vae(cohort, decoder=decoder)
    args = inputs(cohort, vae, "a")
    part, view, *rest = args
    known = LowRankMultivariateNormal(
        centre(part, *rest), part.decoder.private.mT, part.noise_variance()
    ).log_prob(view.x)
    torch.testing.assert_close(log_marginal(*args), known, rtol=1e-8, atol=1e-8)


def test_entries_unobserved_are_marginalised(double, make_cohort, make_vae):
    cohort = make_cohort(n_sites=2, holes=("a",), absent=0.2)
    vae = make_vae(cohort)
    args = inputs(cohort, vae, "a")
    part, view, *rest = args
    mean, found = centre(part, *rest), log_marginal(*args).detach()
    for i in range(len(cohort)):
        if not view.present[i]:
            continue
        seen = view.observed[i]
        q = LowRankMultivariateNormal(
            mean[i, seen], part.decoder.private[:, seen].mT, part.noise_variance()[seen]
        )
        assert float(found[i]) == pytest.approx(
            float(q.log_prob(view.x[i, seen]).detach()), abs=1e-8
        )


@pytest.mark.parametrize("holes", [(), ("a",)])
def test_power_is_that_of_the_likelihood_alone(double, make_cohort, make_vae, holes):
    """log ∫ p(x | w)^λ p(w) dw on a grid of one-dimensional w."""
    cohort = make_cohort(holes=holes, n=6)
    vae = make_vae(cohort, n_private=1, powers={"a": 0.3})
    args = inputs(cohort, vae, "a")
    part, view, z, technical, _ = args
    w = torch.linspace(-9, 9, 4001)
    grid = []
    for at in w:
        eta = part.decoder(z, at.expand(len(z), 1), technical, part.expected_effect())
        log_p = part.likelihood.log_prob(view.x, eta, view.observed)
        grid.append(0.3 * log_p - 0.5 * at**2)
    integral = torch.stack(grid).logsumexp(0) + (w[1] - w[0]).log()
    known = integral - 0.5 * torch.log(torch.tensor(2 * torch.pi))
    torch.testing.assert_close(log_marginal(*args), known, rtol=1e-8, atol=1e-8)


def test_a_rotated_view_counts_what_lies_outside_its_basis(double, make_cohort, make_vae):
    cohort = make_cohort({"a": 30, "b": 5}, n=15, noise="view")
    bases = fit_bases(cohort)
    bases["a"] = replace(bases["a"], directions=torch.linalg.qr(bases["a"].directions.double()).Q)
    bases["b"] = replace(bases["b"], directions=bases["b"].directions.double())
    rotated = rotate(cohort, bases)
    vae = make_vae(rotated, powers={"a": 0.6})
    args = inputs(rotated, vae, "a")
    part, _, z, *_ = args
    basis, power = bases["a"], 0.6
    mean = basis.centre + basis.lift(part.decoder.intercept + z @ part.decoder.shared)
    variance = part.noise_variance()[0].expand(30)
    private = basis.lift(part.decoder.private).mT
    powered = LowRankMultivariateNormal(mean, private, variance / power)
    constant = -0.5 * power * (2 * torch.pi * variance).log().sum()
    constant = constant + 0.5 * (2 * torch.pi * variance / power).log().sum()
    known = powered.log_prob(cohort.views["a"].x) + constant
    torch.testing.assert_close(log_marginal(*args), known, rtol=1e-8, atol=1e-8)


def test_which_parts_have_a_closed_form(make_cohort, make_vae):
    cohort = make_cohort(likelihoods={"b": "bernoulli", "c": "studentt"})
    for decoder in ("linear", "additive", "mlp"):
        closed = {n for n, part in make_vae(cohort, decoder=decoder).items if has_closed_form(part)}
        assert closed == (set() if decoder == "mlp" else {"a"})


@pytest.mark.parametrize("name", ["a", "b"])
def test_draws_bound_the_integral_from_below_and_reach_it(double, make_cohort, make_vae, name):
    cohort = make_cohort(n=4, likelihoods={"b": "bernoulli"}, holes=("a",))
    vae = make_vae(cohort, n_private=1)
    args = inputs(cohort, vae, name)
    part, view, z, technical, _ = args
    w = torch.linspace(-8, 8, 2001)
    grid = torch.stack(
        [
            part.likelihood.log_prob(
                view.x,
                part.decoder(z, at.expand(len(z), 1), technical, part.expected_effect()),
                view.observed,
            )
            - 0.5 * at**2
            for at in w
        ]
    )
    known = grid.logsumexp(0) + (w[1] - w[0]).log() - 0.5 * torch.log(torch.tensor(2 * torch.pi))
    torch.manual_seed(0)
    for scale in (0.5, 1.0):
        s = torch.tensor([scale])
        many = log_marginal_by_draws(*args, scale=torch.ones(1), n_samples=4000)
        torch.testing.assert_close(many, known, atol=0.15, rtol=0)
        single = [log_marginal_by_draws(*args, scale=s) for _ in range(300)]
        below = torch.stack(single)
        error = below.std(0) / 300**0.5
        assert bool((below.mean(0) < known + 3 * error).all())


def test_the_auxiliary_scale_learns(make_cohort, make_vae):
    cohort = make_cohort(likelihoods={"b": "bernoulli"})
    vae = make_vae(cohort)
    member = CrossView(n_samples=3)
    state = member.state(vae)
    assert isinstance(state, AuxiliaryPriors) and state.names == ["b"]
    member.value(Scene(vae, cohort, vae.evidence(cohort)), state).backward()
    (scale,) = state.parameters()
    assert bool((scale.grad != 0).all())


def test_the_value_is_the_mean_over_patients_of_the_views_left_out(double, make_cohort, make_vae):
    cohort = make_cohort(n=9, n_sites=2, absent=0.3)
    vae = make_vae(cohort)
    evidence = vae.evidence(cohort)
    draw = {f"effect:{n}": part.effects.loc.detach() + 0.1 for n, part in vae.items}
    torch.manual_seed(4)
    found = CrossView().value(Scene(vae, cohort, evidence, draw), None)
    torch.manual_seed(4)
    subset = draw_subsets(cohort.presence)
    z = vae.product(evidence, subset).rsample()
    total = 0.0
    for i, (m, (name, part)) in product(range(9), enumerate(vae.items)):
        if subset[i].any() and cohort.presence[i, m] and not subset[i, m]:
            mean = centre(part, z[i], cohort.technical[i], draw[f"effect:{name}"])
            private = part.decoder.private
            covariance = private.mT @ private + torch.diag(part.noise_variance())
            total += MultivariateNormal(mean, covariance).log_prob(cohort.views[name].x[i])
    torch.testing.assert_close(found, total / 9)


def test_subsets_are_proper_and_of_every_kind():
    torch.manual_seed(0)
    presence = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)
    rows = draw_subsets(presence.repeat(3000, 1)).view(3000, 4, 3)
    assert not rows[:, 2:].any() and not (rows & ~presence).any()
    for patient, size in ((0, 3), (1, 2)):
        count = rows[:, patient].sum(1)
        assert int(count.min()) >= 1 and int(count.max()) <= size - 1
    share = rows[:, 0].float().mean(0)
    assert len(rows[:, 0].unique(dim=0)) == 6 and float((share - 0.5).abs().max()) < 0.04
