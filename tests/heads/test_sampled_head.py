"""The No-U-Turn sampler's posterior of a head beside the Laplace approximation."""

import json

import pytest
import torch

from mvlatent.data.cohort import LabelData, SurvivalData, TargetData
from mvlatent.heads import BlockHead
from mvlatent.heads.nuts import sample_head
from mvlatent.outcomes import SURVIVAL, TARGETS, bind_outcome
from mvlatent.specs import Labels, Survival, Target

SINGLE = [kind for kind in SURVIVAL if kind != "competing"]


def source(seed):
    return torch.Generator().manual_seed(seed)


def problem(kind, n=150, wide=0):
    g = source(3)
    x = {"a": torch.randn(n, 3, generator=g).double(), "b": torch.randn(n, 4, generator=g).double()}
    if wide:
        x["wide"] = torch.randn(n, wide, generator=g).double()
    eta = x["a"] @ torch.tensor([0.7, -0.5, 0.3]).double()
    time = torch.empty(n).double().exponential_(generator=g) * torch.exp(-eta)
    follow_up = 2 * torch.empty(n).double().exponential_(generator=g)
    time, event = torch.minimum(time, follow_up), (time <= follow_up).double()
    spec = Survival("t", "e", kind=kind, n_intervals=4)
    return x, bind_outcome(SurvivalData(time, event), spec)


def labels():
    x, _ = problem("cox")
    logits = torch.cat([1.5 * x["a"][:, :2], 0 * x["a"][:, :1]], 1)
    codes = (logits - torch.rand(len(logits), 3, generator=source(1)).log().neg().log()).argmax(1)
    return x, bind_outcome(LabelData(codes, ("u", "v", "w")), Labels("y"))


def value(kind):
    x, _ = problem("cox")
    eta = x["a"] @ torch.tensor([0.7, -0.5, 0.3]).double()
    if kind == "continuous":
        noise = 0.7 * torch.randn(len(eta), generator=source(1)).double()
        return x, bind_outcome(TargetData(eta + noise), Target("y"))
    above = eta + torch.rand(len(eta), generator=source(1)).double().logit()
    level = (above[:, None] > torch.tensor([-1.0, 0.5])).sum(1).float()
    data = TargetData(level, levels=("I", "II", "III"))
    return x, bind_outcome(data, Target("y", kind="ordinal"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TARGETS)
def test_laplace_of_a_target_agrees_with_the_sampler(kind):
    x, bound = value(kind)
    head = BlockHead.fit(x, bound, n_sds=48)
    sampled = sample_head(head, x, bound, num_samples=300, warmup=120, seed=1)
    new = {k: torch.randn(60, v.shape[1], generator=source(8)).double() for k, v in x.items()}
    (mean, variance), (exact, spread) = head.predict(new), sampled.predict(new)
    assert ((mean - exact).square().mean() / spread.mean()).sqrt() < 0.2
    assert (variance / spread).sqrt().mean() == pytest.approx(1.0, abs=0.12)
    ours, theirs = (h.joint_draws(new, 600, source(0))[1] for h in (head, sampled))
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), rtol=0, atol=0.06)
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.25, atol=0)


@pytest.mark.parametrize("kind", [*SINGLE, "labels"])
def test_joint_agrees_with_the_profile(kind):
    x, bound = labels() if kind == "labels" else problem(kind)
    eta = torch.stack([x["a"].sum(1), x["b"].sum(1), x["b"][:, 0]], 1)[:, : bound.n_outputs]
    eta = (0.3 * eta)[bound.rows].requires_grad_()
    at = bound.profiled(eta.detach()).baseline.coordinates.detach().requires_grad_()
    value = bound.joint(eta, at)
    assert value.item() == pytest.approx(float(bound.loglik(eta.detach())), rel=1e-9)
    by_eta, by_baseline = torch.autograd.grad(value, [eta, at], allow_unused=True)
    torch.testing.assert_close(by_eta, bound.curvature(eta.detach()).grad, rtol=1e-6, atol=1e-7)
    assert bound.has_baseline == (by_baseline is not None)
    if by_baseline is not None:  # the profile is at its top
        assert by_baseline.abs().max() < 1e-5


QUICK = ("piecewise",)  # the others take as long again each


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in SINGLE]
)
def test_laplace_agrees_with_the_sampler(kind):
    x, bound = problem(kind)
    head = BlockHead.fit(x, bound, n_sds=48)
    sampled = sample_head(head, x, bound, num_samples=200, warmup=80, seed=1)
    new = {k: torch.randn(60, v.shape[1], generator=source(8)).double() for k, v in x.items()}
    (mean, variance), (exact, spread) = head.predict(new), sampled.predict(new)
    assert ((mean - exact).square().mean() / spread.mean()).sqrt() < 0.2  # sds of the posterior
    assert (variance / spread).sqrt().mean() == pytest.approx(1.0, abs=0.12)
    times = torch.tensor([0.3, 1.0])
    ours = head.survival_draws(times, new, 500, source(0))
    theirs = sampled.survival_draws(times, new, 200, source(0))
    assert (ours.mean(0) - theirs.mean(0)).abs().mean() < 0.015
    assert (ours.std(0) / theirs.std(0)).mean() == pytest.approx(1.0, abs=0.12)


def wide_fit():
    x, bound = problem("piecewise", n=60, wide=90)
    head = BlockHead.fit(x, bound, fixed_sd={"wide": 0.15}, n_sds=8)
    return x, head, sample_head(head, x, bound, fixed=("wide",), num_samples=40, warmup=30)


def test_more_columns_than_patients_are_sampled_in_their_row_space():
    x, head, sampled = wide_fit()
    assert sampled.posterior.beta.shape == (40, 1, 97)
    # no patient speaks of directions across the row space: coefficients have their prior there
    basis = torch.linalg.svd(x["wide"] - x["wide"].mean(0), full_matrices=True)[2]
    wide = sampled.coefficient_draws(40, source(0))["wide"][..., 0]
    across = (wide @ basis[60:].T) * head.coef["wide"].new_tensor(float(x["wide"].std()))
    assert across.square().mean().sqrt() == pytest.approx(0.15, rel=0.1)
    along = (wide @ basis[:30].T) * float(x["wide"].std())
    assert along.var(0).mean().sqrt() < 0.9 * 0.15


def test_draws_are_kept_and_repeat():
    x, _, sampled = wide_fit()
    assert torch.equal(wide_fit()[2].posterior.beta, sampled.posterior.beta)
    meta, arrays = sampled.state()
    back = BlockHead.from_state(json.loads(json.dumps(meta)), arrays)
    assert torch.equal(back.sample(x, 9, source(2)), sampled.sample(x, 9, source(2)))
    assert (sampled.sample(x, 100, source(2)).std(0) > 0).all()  # more draws than were kept


def test_held_sds_are_held():
    x, bound = problem("weibull", n=60)
    head = BlockHead.fit(x, bound, fixed_sd={"b": 1e-6}, n_sds=4)
    sampled = sample_head(head, x, bound, fixed=("b",), num_samples=40, warmup=80)
    drawn = sampled.coefficient_draws(40, source(0))
    assert drawn["b"].abs().max() < 1e-4
    assert drawn["a"].std(0).min() > 0.02
