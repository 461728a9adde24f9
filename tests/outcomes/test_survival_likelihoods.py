"""In-training survival likelihoods against lifelines, torchsurv, statsmodels and autograd."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mvlatent.data.cohort import SurvivalData
from mvlatent.outcomes import SURVIVAL, Cox, outcome_likelihood
from mvlatent.outcomes.cox import efron_log_likelihood
from mvlatent.outcomes.piecewise import bounded_exp, interval_overlap
from mvlatent.specs import Survival

SINGLE = [kind for kind in SURVIVAL if kind != "competing"]  # competing: test_competing.py


def cohort(n=80, p=3, seed=0, ties=True):
    """Features, times (months, tied), events and true log hazards."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=g, dtype=torch.float64)
    eta = x @ torch.linspace(-0.8, 0.8, p, dtype=torch.float64)
    time = torch.empty(n, dtype=torch.float64).exponential_(generator=g) * torch.exp(-eta) * 10
    censor = torch.empty(n, dtype=torch.float64).exponential_(generator=g) * 20
    event = (time <= censor).double()
    time = torch.minimum(time, censor)
    return x, SurvivalData(time.ceil() if ties else time, event), eta


def build(kind, data, n_intervals=6):
    return outcome_likelihood(data, Survival("t", "e", kind=kind, n_intervals=n_intervals))


@pytest.mark.parametrize("ties", [True, False])
def test_efron_is_the_likelihood_that_lifelines_maximises(ties):
    from lifelines import CoxPHFitter

    x, data, _ = cohort(ties=ties)
    frame = pd.DataFrame(x.numpy(), columns=list("abc")).assign(
        t=data.time.numpy(), e=data.event.numpy()
    )
    reference = CoxPHFitter().fit(frame, "t", "e", fit_options={"precision": 1e-12})
    beta = torch.tensor(reference.params_.to_numpy(), requires_grad=True)
    value = Cox().log_prob(x @ beta, data)
    assert value.item() == pytest.approx(reference.log_likelihood_, rel=1e-8)
    (grad,) = torch.autograd.grad(value, beta)
    assert grad.abs().max() < 1e-5
    hessian = torch.autograd.functional.hessian(lambda b: Cox().log_prob(x @ b, data), beta)
    np.testing.assert_allclose(
        torch.linalg.inv(-hessian).numpy(), reference.variance_matrix_.to_numpy(), rtol=1e-5
    )


def test_efron_agrees_with_torchsurv():
    from torchsurv.loss.cox import neg_partial_log_likelihood

    _, data, eta = cohort(seed=3)
    time, event = data.time, data.event
    loss = neg_partial_log_likelihood(eta, event.bool(), time, ties_method="efron", reduction="sum")
    assert efron_log_likelihood(eta, time, event).item() == pytest.approx(-loss.item(), rel=1e-6)


def test_efron_without_ties_is_the_textbook_sum():
    eta = torch.tensor([0.3, -0.2, 1.0, 0.5], dtype=torch.float64)
    time = torch.tensor([2.0, 1.0, 4.0, 3.0], dtype=torch.float64)
    event = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    risk = eta.exp()
    expected = 0.3 - (risk[0] + risk[2] + risk[3]).log() + 0.5 - (risk[2] + risk[3]).log()
    assert efron_log_likelihood(eta, time, event).item() == pytest.approx(expected.item())


def test_piecewise_is_a_poisson_regression_with_an_offset():
    import statsmodels.api as sm

    x, data, _ = cohort(ties=False)
    time, event = data.time, data.event
    module = build("piecewise", data, n_intervals=4).double()
    overlap = interval_overlap(time, module.cuts)
    which = torch.bucketize(time, module.cuts)
    row, interval = (overlap > 0).nonzero(as_tuple=True)
    died = event[row] * (which[row] == interval)
    design = np.hstack([np.eye(4)[interval], x[row].numpy()])
    exposure = overlap[row, interval].log().numpy()
    family = sm.families.Poisson()
    reference = sm.GLM(died.numpy(), design, family=family, offset=exposure).fit(tol=1e-12)
    beta = torch.tensor(reference.params[4:], requires_grad=True)
    with torch.no_grad():
        module.alpha.copy_(torch.tensor(reference.params[:4]))
    value = module.log_prob(x @ beta, data).sum()
    constant = float((died * exposure).sum())
    assert value.item() == pytest.approx(reference.llf - constant, rel=1e-8)
    grads = torch.autograd.grad(value, [beta, module.alpha])
    assert max(g.abs().max() for g in grads) < 1e-5


def test_piecewise_tends_to_cox():
    x, data, _ = cohort(n=200, ties=False)
    scale = torch.linspace(0.0, 1.0, 3, dtype=torch.float64)
    curves = {}
    for kind in ("cox", "piecewise"):
        bound = build(kind, data, n_intervals=40).bind(data)
        fits = [bound.loglik((s * x.sum(1))[:, None]) for s in scale]
        curves[kind] = torch.stack(fits) - fits[0]
    torch.testing.assert_close(curves["cox"], curves["piecewise"], rtol=0.03, atol=0.1)


def test_crude_hazards_start_the_piecewise_baseline():
    g = torch.Generator().manual_seed(1)
    time = torch.empty(4000).exponential_(generator=g) * 5
    module = build("piecewise", SurvivalData(time, torch.ones(4000)), n_intervals=5)
    assert module.alpha.shape == (5,)
    torch.testing.assert_close(module.alpha.exp(), torch.full((5,), 0.2), rtol=0.12, atol=0.0)
    assert module.log_prior().item() > -1


def test_overlap_adds_up_to_the_time():
    time = torch.tensor([0.5, 1.0, 2.5, 9.0])
    overlap = interval_overlap(time, torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(overlap.sum(1), time)
    torch.testing.assert_close(overlap[2], torch.tensor([1.0, 1.0, 0.5]))


def test_bounded_exp_is_smooth_at_its_limit():
    x = torch.tensor([19.999, 20.0, 20.001], dtype=torch.float64, requires_grad=True)
    y = bounded_exp(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y[:2], x[:2].exp())
    assert slope[2] == pytest.approx(slope[1].item())


@pytest.mark.parametrize("kind", SINGLE)
class TestFamily:
    """What every survival likelihood keeps."""

    def test_unobserved_patients_do_not_count(self, kind):
        _, data, eta = cohort()
        module = build(kind, data)
        observed = torch.arange(len(eta)) % 3 > 0
        some = replace(data, observed=observed)
        masked = module.log_prob(eta, some)
        alone = module.log_prob(eta[observed], data.subset(observed))
        torch.testing.assert_close(masked.sum(), alone.sum())
        eta = eta.clone().requires_grad_()
        (grad,) = torch.autograd.grad(module.log_prob(eta, some).sum(), eta)
        assert grad[~observed].abs().max() == 0
        assert grad[observed].abs().min() > 0

    @pytest.mark.parametrize("size", [1e3, -1e3])
    def test_gradients_are_finite_far_out(self, kind, size):
        _, data, eta = cohort()
        data = SurvivalData(data.time.float(), data.event.float())
        module = build(kind, data)
        far = (size * torch.sign(eta)).float().requires_grad_()
        value = module.log_prob(far, data).sum()
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(far.grad).all()

    def test_a_batch_without_events(self, kind):
        _, data, eta = cohort()
        module = build(kind, data)
        censored = replace(data, event=torch.zeros_like(data.event))
        eta = eta.clone().requires_grad_()
        value = module.log_prob(eta, censored).sum()
        (grad,) = torch.autograd.grad(value, eta)
        assert torch.isfinite(grad).all()
        assert value.item() == 0 if kind == "cox" else value.item() < 0

    def test_data_without_events_is_an_error(self, kind):
        _, data, _ = cohort()
        with pytest.raises(ValueError, match="no events"):
            build(kind, replace(data, event=torch.zeros_like(data.event)))
        with pytest.raises(ValueError, match="no events"):
            build(kind, data).bind(replace(data, observed=data.event == 0))

    def test_curvature_is_the_second_derivative_of_the_profile(self, kind):
        _, data, eta = cohort(n=25)
        bound = build(kind, data, n_intervals=4).bind(data)
        here = bound.curvature(eta[:, None])
        step = 1e-4 * torch.eye(len(eta), dtype=torch.float64)
        up = [bound.curvature((eta + s)[:, None]) for s in step]
        down = [bound.curvature((eta - s)[:, None]) for s in step]
        pairs = list(zip(up, down, strict=True))
        grad = torch.stack([(a.loglik - b.loglik) / 2e-4 for a, b in pairs])
        torch.testing.assert_close(here.grad[:, 0], grad, rtol=1e-5, atol=1e-6)
        hessian = torch.stack([(a.grad - b.grad)[:, 0] / 2e-4 for a, b in pairs])
        low = here.low_rank[0]
        ours = here.diag[:, 0].diag() - low @ low.T
        torch.testing.assert_close(ours, -hessian, rtol=1e-5, atol=1e-6)
        assert torch.linalg.eigvalsh(ours).min() > -1e-10
        torch.testing.assert_close(bound.loglik(eta[:, None]), here.loglik)

    def test_weights_are_the_answer_of_the_baseline(self, kind):
        _, data, eta = cohort(n=60)
        bound = build(kind, data, n_intervals=4).bind(data)
        times = torch.tensor([1e6], dtype=torch.float64)

        def log_groups(eta):
            baseline = bound.profiled(eta[:, None]).baseline
            if kind == "cox":
                return baseline.exposure(times)[0].log()
            names = {"piecewise": "log_hazard", "discrete": "logit", "weibull": "place"}
            return getattr(baseline, names[kind])

        weights = bound.profiled(eta[:, None]).weights[0]
        move = 1e-5 * torch.randn(60, generator=torch.Generator().manual_seed(0)).double()
        change = log_groups(eta + move) - log_groups(eta - move)
        torch.testing.assert_close(-weights @ move * 2, change, rtol=1e-4, atol=1e-9)
