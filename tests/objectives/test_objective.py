"""The loss, its terms, and the balance of the in-training heads."""

from dataclasses import replace

import pytest
import torch

from mvlatent.data.cohort import LabelData, SurvivalData
from mvlatent.objectives.objective import Objective
from mvlatent.outcomes.training import TrainingHead
from mvlatent.specs import Labels, Survival


@pytest.fixture
def outcomes(make_cohort):
    cohort = make_cohort(n=40, absent=0.2)
    generator = torch.Generator().manual_seed(2)
    observed = torch.arange(40) % 9 != 0
    event = (torch.rand(40, generator=generator) < 0.6) & observed
    time = torch.rand(40, generator=generator) * 10 + 0.1
    codes = torch.randint(-1, 3, (40,), generator=generator)
    return replace(
        cohort,
        outcomes={
            "e": SurvivalData(time, event.float(), observed),
            "y": LabelData(codes, ("u", "v", "w")),
        },
        clinical=torch.randn(40, 2, generator=generator),
        clinical_names=("age", "sex"),
    )


def heads_of(cohort):
    return [TrainingHead(3, cohort, spec) for spec in (Survival("t", "e"), Labels("y"))]


def test_loss_is_minus_the_sum_of_its_terms(outcomes, make_vae):
    objective = Objective(make_vae(outcomes, heads=heads_of(outcomes)), rho=0.5)
    loss, terms = objective(outcomes, 40)
    torch.testing.assert_close(-loss.detach(), torch.stack(list(terms.values())).sum())
    assert {"outcome:survival", "outcome:labels"} <= set(terms)
    assert {"prior:outcome:survival", "prior:outcome:labels"} <= set(terms)
    assert not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("rho", [0.1, 2.0])
def test_heads_pull_on_z_with_the_share_that_was_asked_for(outcomes, make_vae, rho):
    vae = make_vae(outcomes, heads=heads_of(outcomes))
    objective = Objective(vae, rho=rho)
    for _ in range(60):
        torch.manual_seed(0)  # the same draw: the balance settles
        objective(outcomes, 40, rebalance=True)
    torch.manual_seed(0)
    terms = objective.bound(outcomes, 40, 1.0)
    z = objective.elbo.draw["z"]
    views = sum(term for name, term in terms.items() if name.startswith("x:"))
    (data,) = torch.autograd.grad(views, z, retain_graph=True)
    for head in vae.heads:
        (pull,) = torch.autograd.grad(terms[head.site], z, retain_graph=True)
        assert float(pull.norm() / data.norm()) == pytest.approx(rho, rel=1e-3)


def test_without_rho_the_weights_stay(outcomes, make_vae):
    vae = make_vae(outcomes, heads=heads_of(outcomes))
    Objective(vae, rho=0.0)(outcomes, 40, rebalance=True)
    assert all(float(head.weight) == 1.0 for head in vae.heads)


def test_unobserved_outcomes_pull_on_nothing(outcomes, make_vae):
    heads = heads_of(outcomes)
    objective = Objective(make_vae(outcomes, heads=heads))
    terms = objective.bound(outcomes, 40, 1.0)
    z = objective.elbo.draw["z"]
    (survival,) = torch.autograd.grad(terms["outcome:survival"], z, retain_graph=True)
    (labels,) = torch.autograd.grad(terms["outcome:labels"], z)
    missing_survival, missing_label = ~outcomes.survival.observed, outcomes.labels.codes < 0
    assert bool((survival[missing_survival] == 0).all() and (labels[missing_label] == 0).all())
    assert bool((labels[~missing_label] != 0).all())


def test_outcome_terms_of_minibatches_are_scaled(outcomes, make_vae, monkeypatch):
    from mvlatent.vae.gaussian import PrecisionNormal

    monkeypatch.setattr(PrecisionNormal, "rsample", lambda self, shape=None: self.mean)
    objective = Objective(make_vae(outcomes, heads=heads_of(outcomes)))
    full = objective.bound(outcomes, 40, 1.0)
    halves = [objective.bound(outcomes.subset(torch.arange(i, 40, 2)), 40, 1.0) for i in (0, 1)]
    for name in ("outcome:survival", "outcome:labels"):
        mean = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(mean, full[name], rtol=1e-4, atol=1e-4)


def test_the_parameter_store_stays_empty(outcomes, make_vae):
    import pyro

    Objective(make_vae(outcomes))(outcomes, 40)
    assert list(pyro.get_param_store().keys()) == []
