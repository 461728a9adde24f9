"""Cumulative incidence: what the causes' hazards add up to."""

import numpy as np
import pytest
import torch

from mvlatent.data.cohort import SurvivalData
from mvlatent.heads import fit_head
from mvlatent.outcomes import bind_outcome, cumulative_incidence, outcome_likelihood
from mvlatent.outcomes.breslow import BreslowBaseline
from mvlatent.outcomes.piecewise import PiecewiseBaseline
from mvlatent.specs import Survival


def source(seed):
    return torch.Generator().manual_seed(seed)


def causes(time, cause):
    return SurvivalData(time, (cause > 0).to(time.dtype), cause=cause)


def piecewise(cuts, hazard):
    hazard = torch.tensor(hazard, dtype=torch.float64)
    factor = 0.1 * torch.eye(len(hazard), dtype=torch.float64)
    return PiecewiseBaseline(factor, torch.tensor(cuts, dtype=torch.float64), hazard.log())


def test_piecewise_hazards_are_integrated_exactly():
    """Against Riemann's sum of S(t) h(t) over a fine grid; cuts differ between causes."""
    baselines = [piecewise([1.0, 2.5], [0.2, 0.5, 0.1]), piecewise([1.7], [0.3, 0.05])]
    eta = [torch.tensor([0.0, 1.0, -2.0]).double(), torch.tensor([0.5, -1.0, 0.3]).double()]
    fine = torch.linspace(0, 4, 40001, dtype=torch.float64)
    total = [b.cumulative_hazard(fine, e) for b, e in zip(baselines, eta, strict=True)]
    middle = torch.exp(-(sum(total)[1:] + sum(total)[:-1]) / 2)
    times = torch.tensor([3.0, 0.0, 0.7, 4.0]).double()  # in any order
    for cause in (1, 2):
        expected = torch.cumsum(middle * torch.diff(total[cause - 1], dim=0), 0)
        expected = torch.cat([torch.zeros(1, 3).double(), expected])[(times * 1e4).round().long()]
        found = cumulative_incidence(times, eta, baselines, cause=cause)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("hazard", ["piecewise", "cox"])
def test_incidences_and_no_event_add_up_to_one(hazard):
    g = source(0)
    x = torch.randn(200, 2, generator=g, dtype=torch.float64)
    time = torch.empty(200, dtype=torch.float64).exponential_(generator=g)
    data = causes(time, torch.randint(0, 4, (200,), generator=g))
    spec = Survival("t", "e", kind="competing", hazard=hazard)
    head = fit_head({"x": x}, bind_outcome(data, spec))
    times = torch.tensor([0.0, 0.2, 1.0, 50.0], dtype=torch.float64)
    draws = [
        head.incidence_draws(times, {"x": 4 * x}, 25, source(1), cause=k) for k in (1, 2, 3, None)
    ]
    torch.testing.assert_close(torch.stack(draws).sum(0), torch.ones(25, 4, 200).double())
    assert all((d >= 0).all() for d in draws)
    assert (draws[0][:, 0] == 0).all()
    torch.testing.assert_close(draws[3], head.survival_draws(times, {"x": 4 * x}, 25, source(1)))
    with pytest.raises(ValueError, match=r"cause 4 is not one of 1, 2, 3"):
        head.incidence(times, {"x": x}, cause=4)
    with pytest.raises(ValueError, match=r"cause 0"):
        head.incidence(times, {"x": x}, cause=0)


def test_a_jump_larger_than_one_ends_the_curve():
    one = torch.eye(1, dtype=torch.float64)
    jump = BreslowBaseline(one, torch.tensor([1.0, 2.0]).double(), torch.tensor([[0.4], [0.4]]))
    eta = [torch.zeros(1).double(), torch.tensor([2.0]).double()]
    baselines = [BreslowBaseline(one, jump.times, jump.steps.double())] * 2
    times = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    first = cumulative_incidence(times, eta, baselines, cause=1)[:, 0]
    share = 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(first.numpy(), [0.0, share, share])
    assert cumulative_incidence(times, eta, baselines, cause=None)[:, 0].tolist() == [1, 0, 0]


def test_bands_carry_every_causes_uncertainty():
    """The band of a cause is wider where the other causes' heads are uncertain as well."""
    eta = [torch.zeros(400, 1).double(), torch.randn(400, 1, generator=source(0)).double()]
    baselines = [piecewise([1.0], [0.5, 0.5])] * 2
    times = torch.tensor([2.0], dtype=torch.float64)
    draws = [0.1 * torch.randn(400, 2, generator=source(k)).double() for k in (1, 2)]
    still = cumulative_incidence(times, [eta[0]] * 2, baselines, draws, cause=1)
    moving = cumulative_incidence(times, eta, baselines, draws, cause=1)
    assert moving.std(0).item() > 2 * still.std(0).item() > 0.01


def test_a_cause_without_events_is_an_error():
    time = torch.arange(1.0, 7.0)
    spec = Survival("t", "e", kind="competing")
    with pytest.raises(ValueError, match="no events of cause 1"):
        outcome_likelihood(causes(time, torch.tensor([0, 2, 0, 2, 2, 0])), spec)
    with pytest.raises(ValueError, match="no events"):
        outcome_likelihood(causes(time, torch.zeros(6).long()), spec)
