"""What every survival kind keeps: the truth recovered, references, strata, entry, extremes."""

import doctest
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mvlatent.data.cohort import Cohort, SurvivalData
from mvlatent.heads import CauseHeads, fit_head, head_from_state
from mvlatent.outcomes import SURVIVAL, bind_outcome, outcome_likelihood
from mvlatent.outcomes.training import TrainingHead
from mvlatent.specs import STRATIFIED_KINDS, SURVIVAL_KINDS, Survival

KINDS = [
    *(Survival("t", "e", kind=kind) for kind in SURVIVAL),
    Survival("t", "e", kind="cox", ties="breslow"),
    Survival("t", "e", kind="competing", hazard="cox"),
]
STRATIFIED = [spec for spec in KINDS if spec.kind in STRATIFIED_KINDS]
BETA = torch.tensor([0.9, -0.6, 0.0], dtype=torch.float64)
LEVEL = torch.tensor([0.0, 1.2])  # log hazard of two strata


def name(spec):
    return f"{spec.kind}-{spec.hazard or spec.ties}"


def source(seed):
    return torch.Generator().manual_seed(seed)


def simulate(n=1500, seed=0, *, strata=False, entry=False, causes=False, censoring=0.3):
    """Features and outcomes of a Weibull hazard, ``H(t) = t^1.4 exp(x beta)``.

    Of competing causes the second has the opposite coefficients and half the hazard.
    """
    g = source(seed)

    def exponential(rate):
        return torch.empty(n, dtype=torch.float64).exponential_(generator=g) / rate

    x = torch.randn(n, 3, generator=g, dtype=torch.float64)
    stratum = torch.randint(0, 2, (n,), generator=g)
    eta = x @ BETA + (LEVEL[stratum] if strata else 0.0)
    first = exponential(eta.exp()) ** (1 / 1.4)
    second = exponential(0.5 * (-eta).exp()) ** (1 / 1.4) if causes else torch.full_like(first, 1e9)
    end, censor = torch.minimum(first, second), exponential(censoring)
    start = exponential(2.0) if entry else torch.zeros_like(first)
    time, event = torch.minimum(end, censor), (end <= censor).double()
    kept = start < time
    data = SurvivalData(
        time,
        event,
        torch.ones(n, dtype=torch.bool),
        entry=start if entry else None,
        stratum=stratum if strata else None,
        cause=(event * torch.where(second < first, 2, 1)).long() if causes else None,
        n_strata=2 if strata else 1,
    )
    return x[kept], data.subset(kept)


def truth(times, x, stratum=0):
    eta = x @ BETA + LEVEL[stratum]
    return torch.exp(-(times[:, None] ** 1.4) * eta.exp())


def fitted(spec, **options):
    x, data = simulate(causes=spec.kind == "competing", **options)
    return x, data, fit_head({"x": x}, bind_outcome(data, spec), fixed_sd={"x": 10.0})


@pytest.mark.parametrize("cls", [*SURVIVAL.values(), CauseHeads])
def test_the_example_runs(cls):
    found = doctest.testmod(sys.modules[cls.__module__])
    assert found.attempted > 0 and found.failed == 0


def test_the_registry_has_the_kinds_of_the_specs():
    assert tuple(SURVIVAL) == SURVIVAL_KINDS


@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_parameters_are_recovered(spec):
    _, data, head = fitted(spec)
    slope = 1.15 if spec.kind == "discrete" else 1.0  # log odds of an interval, not log hazards
    assert head.coef["x"].shape == (3, data.cause.max() if spec.kind == "competing" else 1)
    torch.testing.assert_close(head.coef["x"][:, 0], slope * BETA, rtol=0, atol=0.15)
    new = torch.randn(40, 3, generator=source(1), dtype=torch.float64)
    times = torch.tensor([0.2, 0.6, 1.2], dtype=torch.float64)
    if spec.kind == "competing":
        torch.testing.assert_close(head.coef["x"][:, 1], -BETA, rtol=0, atol=0.15)
        eta = new @ BETA
        total = eta.exp() + 0.5 * (-eta).exp()
        free = torch.exp(-(times[:, None] ** 1.4) * total)
        expected = (1 - free) * eta.exp() / total
        found = head.incidence(times, {"x": new}, cause=1)
        torch.testing.assert_close(head.survival(times, {"x": new}), free, rtol=0, atol=0.07)
    else:
        expected, found = truth(times, new), head.survival(times, {"x": new})
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)
    assert (found - expected).mean().abs() < 0.025


@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_left_truncation_does_not_bias(spec):
    """Without the entry times those who came late make the hazard look too low."""
    times = torch.tensor([0.8], dtype=torch.float64)
    nobody = {"x": torch.zeros(1, 3, dtype=torch.float64)}
    x, data, head = fitted(spec, n=2000, entry=True)
    assert len(x) < 1400
    torch.testing.assert_close(head.coef["x"][:, 0], BETA, rtol=0.2, atol=0.15)
    blind = SurvivalData(data.time, data.event, data.observed, cause=data.cause)
    naive = fit_head({"x": x}, bind_outcome(blind, spec), fixed_sd={"x": 10.0})
    expected = float(np.exp(-(0.8**1.4) * (1.5 if spec.kind == "competing" else 1.0)))
    assert head.survival(times, nobody).item() == pytest.approx(expected, abs=0.05)
    assert naive.survival(times, nobody).item() > expected + 0.06


@pytest.mark.parametrize("spec", STRATIFIED, ids=name)
def test_strata_have_baselines_of_their_own(spec):
    x, data, head = fitted(spec, n=1500, strata=True)
    torch.testing.assert_close(head.coef["x"][:, 0], BETA, rtol=0.25, atol=0.12)
    new, times = x[:60], torch.tensor([0.3, 0.8], dtype=torch.float64)
    stratum = data.stratum[:60]
    found = head.survival(times, {"x": new}, stratum=stratum)
    for s in (0, 1):
        own = stratum == s
        alone = head.survival(times, {"x": new[own]}, stratum=torch.full((int(own.sum()),), s))
        assert torch.equal(found[:, own], alone)
        if spec.kind != "competing":
            torch.testing.assert_close(found[:, own], truth(times, new[own], s), rtol=0, atol=0.1)
    draws = head.survival_draws(times, {"x": new}, 30, source(0), stratum=stratum)
    assert (draws.mean(0) - found).abs().max() < 0.05


@pytest.mark.parametrize("spec", STRATIFIED, ids=name)
def test_the_likelihood_of_strata_is_their_sum(spec):
    """What one stratum says does not depend on the outcomes of another."""
    x, data = simulate(n=120, strata=True, entry=True, causes=spec.kind == "competing")
    likelihood = outcome_likelihood(data, spec).double()
    eta = torch.stack([x @ BETA, -x @ BETA], 1)

    def value(part, eta):
        eta = eta if spec.kind == "competing" else eta[:, 0]
        return likelihood.log_prob(eta, part).sum()

    parts = [value(data.subset(data.stratum == s), eta[data.stratum == s]) for s in (0, 1)]
    torch.testing.assert_close(value(data, eta), torch.stack(parts).sum())


def test_weibull_has_no_strata():
    with pytest.raises(ValueError, match=r"no strata.*'site'"):
        Survival("t", "e", kind="weibull", strata="site")
    _, data = simulate(n=100, strata=True)
    with pytest.raises(ValueError, match="no strata"):
        outcome_likelihood(data, Survival("t", "e", kind="weibull"))


@pytest.mark.parametrize("full", [False, True], ids=["plain", "entry and strata"])
@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_gradients_are_finite_at_extreme_hazards(spec, full):
    strata = full and spec.kind in STRATIFIED_KINDS
    x, data = simulate(n=120, strata=strata, entry=full, causes=spec.kind == "competing")
    data = data._each(lambda v: v.float() if v.is_floating_point() else v)
    likelihood = outcome_likelihood(data, spec)
    for size in (50.0, -50.0, 1000.0):
        sign = torch.sign(x[:, :2]).float() * size
        eta = (sign if spec.kind == "competing" else sign[:, 0]).clone().requires_grad_()
        value = likelihood.log_prob(eta, data).sum()
        grads = torch.autograd.grad(value, [eta, *likelihood.parameters()])
        assert torch.isfinite(value)
        assert all(torch.isfinite(g).all() for g in grads)
        assert grads[0].abs().max() > 0


@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_heads_of_few_events_are_finite(spec):
    x, data = simulate(n=150, causes=spec.kind == "competing", censoring=30.0)
    assert 2 <= data.event.sum() < 15
    if data.cause is not None and not {1, 2} <= set(data.cause.tolist()):
        data.cause[data.cause > 0] = torch.arange(int((data.cause > 0).sum())) % 2 + 1
    head = fit_head({"x": x}, bind_outcome(data, spec))
    draws = head.survival_draws(torch.tensor([0.01, 0.1, 5.0]), {"x": 3 * x}, 20, source(0))
    assert ((draws >= 0) & (draws <= 1)).all()
    assert (torch.diff(draws, dim=1) <= 1e-12).all()


@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_a_saved_head_is_the_same(spec):
    strata = spec.kind in STRATIFIED_KINDS
    x, data, head = fitted(spec, n=300, strata=strata)
    meta, arrays = head.state()
    again = head_from_state(json.loads(json.dumps(meta)), arrays)
    times = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    options = {"stratum": data.stratum[:9]} if strata else {}
    one, two = (
        h.survival_draws(times, {"x": x[:9]}, 5, source(3), **options) for h in (head, again)
    )
    assert torch.equal(one, two)
    assert one.shape == (5, 3, 9)
    assert type(again) is type(head)
    assert again.tau == head.tau


def patients(x, data):
    n, empty = len(x), torch.zeros(len(x), 0)
    return Cohort(tuple(map(str, range(n))), {}, empty, (), x[:, :1].float(), ("a",), {"e": data})


@pytest.mark.parametrize("spec", KINDS, ids=name)
def test_the_head_in_training(spec):
    """It scores a batch at the scale of the cohort, learns, and bears one without events."""
    import pyro

    x, data = simulate(n=400, entry=True, causes=spec.kind == "competing")
    data = data._each(lambda v: v.float() if v.is_floating_point() else v)
    cohort, z = patients(x, data), x[:, 1:].float()
    head = TrainingHead(2, cohort, spec)

    def score(part, z, n_total):
        trace = pyro.poutine.trace(lambda: head(z, part, n_total)).get_trace()
        return trace.log_prob_sum()

    if spec.kind != "cox" and spec.hazard != "cox":
        rows = torch.arange(len(x)) % 2 == 0
        n = len(x)
        halves = [score(cohort.subset(r), z[r], int(r.sum())) for r in (rows, ~rows)]
        torch.testing.assert_close(
            torch.stack(halves).sum(), score(cohort, z, n), rtol=1e-4, atol=0
        )
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = -(score(cohort, z, len(x)) + head.log_prior())
        value.backward()
        return value

    optimiser.step(loss)
    learnt = torch.cat([head.clinical, head.shared])[:, 0]
    slope = 1.15 if spec.kind == "discrete" else 1.0
    torch.testing.assert_close(learnt.double(), slope * BETA, rtol=0, atol=0.3)
    censored = cohort.subset(data.event == 0)
    value = score(censored, z[data.event == 0], len(x))
    value.backward()
    assert torch.isfinite(head.shared.grad).all()
    if "cox" in (spec.kind, spec.hazard):
        assert value.item() == 0.0


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if BENCHMARKS.is_dir():
    sys.path.insert(0, str(BENCHMARKS))
    REFERENCES = importlib.import_module("_references").REFERENCES

    @pytest.mark.parametrize("pair", REFERENCES, ids=" vs ".join)
    def test_other_implementations_agree(pair):
        for found in REFERENCES[pair]():
            assert found.error < 1e-5, found.quantity

    def test_every_kind_has_a_reference():
        assert {kind.split(",")[0] for kind, _ in REFERENCES} == set(SURVIVAL)
