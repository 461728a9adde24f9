"""The damped Newton search on closed forms, and every likelihood's profile by its derivatives."""

from itertools import pairwise

import pytest
import torch

from mvlatent.data.cohort import LabelData, SurvivalData, TargetData
from mvlatent.outcomes import LABELS, SURVIVAL, TARGETS, outcome_likelihood
from mvlatent.outcomes.bound import PlacedBaseline
from mvlatent.outcomes.profiled import Profiled, ProfileSearch, Response, Slopes, damped_newton
from mvlatent.specs import Labels, Survival, Target

CASES = [
    *((kind, options) for kind in SURVIVAL if kind != "competing" for options in ((), ("entry",))),
    *((kind, ("entry", "strata")) for kind in SURVIVAL if kind not in ("competing", "weibull")),
    *((kind, ()) for kind in (*LABELS, *TARGETS)),
]
CLOSED = ("continuous", "cox")  # no search: a closed form, and no parameters
SEARCHED = [case for case in CASES if case[0] not in CLOSED]


def source(seed):
    return torch.Generator().manual_seed(seed)


def bind(kind, options=(), n=60):
    """A likelihood bound to random outcomes, some of which are missing."""
    draw = torch.rand(4, n, generator=source(0), dtype=torch.float64)
    observed = draw[3] < 0.9
    if kind in SURVIVAL:
        time, event = 0.1 + 10 * draw[0], (draw[1] < 0.6).double()
        strata = {"stratum": (3 * draw[2]).long(), "n_strata": 3} if "strata" in options else {}
        entry = time * draw[3] * (draw[2] < 0.5) if "entry" in options else None
        data = SurvivalData(time, event, observed, entry, **strata)
        spec = Survival("t", "e", kind=kind, n_intervals=4, **{name: name for name in options})
    elif kind == "categorical":
        classes = torch.where(observed, (3 * draw[0]).long(), -1)
        data, spec = LabelData(classes, ("a", "b", "c")), Labels("l")
    elif kind == "ordinal":
        data = TargetData((3 * draw[0]).floor(), observed, levels=("a", "b", "c"))
        spec = Target("l", kind=kind)
    else:
        data, spec = TargetData(draw[0], observed), Target("l", kind=kind)
    return outcome_likelihood(data, spec).bind(data)


def predictor(bound, seed=1):
    """A linear predictor (n, C) of the likelihood's rows."""
    size = (len(bound.rows), bound.n_outputs)
    return torch.randn(size, generator=source(seed), dtype=torch.float64)


class Exponential(Profiled[torch.Tensor]):
    """A constant hazard, whose logarithm has the closed form log(events / time at risk)."""

    def __init__(self, time, event):
        self.time, self.event = time, event
        super().__init__(torch.ones_like(time, dtype=torch.bool), time.new_zeros(1))

    def seen(self, eta):
        return eta[:, 0]

    def objective(self, parameters, seen):
        log_hazard = parameters + seen
        return (self.event * log_hazard - self.time * log_hazard.exp()).sum()

    def slopes(self, parameters, seen):
        expected = self.time @ (parameters + seen).exp()
        return Slopes((self.event.sum() - expected)[None], expected[None, None])

    def response(self, parameters, seen):
        expected = self.time * (parameters + seen).exp()
        total = expected.sum()[None, None]
        return Response(self.event - expected, expected, expected[:, None], total)

    def baseline(self, parameters, factor):
        return PlacedBaseline(factor, parameters)


class TestExponential:
    def bound(self, n=40):
        draw = torch.rand(2, n, generator=source(3), dtype=torch.float64)
        return Exponential(0.1 + draw[0], (draw[1] < 0.5).double())

    @pytest.mark.parametrize("size", [0.0, 1.0, 30.0, -5.0])
    def test_the_hazard_is_events_over_time_at_risk(self, size):
        bound = self.bound()
        eta = predictor(bound) + size
        rate = bound.event.sum() / (bound.time @ eta[:, 0].exp())
        found = bound.profile(eta)
        torch.testing.assert_close(found.parameters, rate.log()[None], rtol=1e-12, atol=1e-12)
        deaths = bound.event.sum()
        value = (bound.event * (eta[:, 0] + rate.log())).sum() - deaths
        torch.testing.assert_close(bound.loglik(eta), value, rtol=1e-12, atol=0)

    def test_its_precision_is_the_number_of_events(self):
        bound = self.bound()
        eta, deaths = predictor(bound), bound.event.sum()
        torch.testing.assert_close(bound.log_volume(eta), deaths.log())
        found = bound.profiled(eta)
        torch.testing.assert_close(found.baseline.factor, deaths.rsqrt()[None, None])
        share = torch.softmax(bound.time.log() + eta[:, 0], 0)
        torch.testing.assert_close(found.weights[0, 0], share)
        assert found.bend is None
        assert found.centre is None

    def test_the_curvature_is_coxs_of_one_risk_set(self):
        """All deaths share one risk set, in which patients weigh by their time."""
        bound = self.bound()
        eta = predictor(bound)
        here, deaths = bound.curvature(eta), bound.event.sum()
        share = torch.softmax(bound.time.log() + eta[:, 0], 0)
        ours = here.diag[:, 0].diag() - here.low_rank[0] @ here.low_rank[0].T
        torch.testing.assert_close(ours, deaths * (share.diag() - torch.outer(share, share)))
        torch.testing.assert_close(here.grad[:, 0], bound.event - deaths * share)


class TestSearch:
    def climb(self, objective, slope, bend, start, **options):
        tried = []

        def watched(x):
            tried.append(float(x))
            return objective(x).sum()

        begin = torch.tensor([start], dtype=torch.float64)
        found = damped_newton(
            begin, watched, lambda x: Slopes(slope(x), -bend(x)[:, None]), **options
        )
        return found, tried

    def test_a_quadratic_takes_one_step(self):
        found, tried = self.climb(
            lambda x: -0.5 * (x - 3).square(), lambda x: 3 - x, lambda x: -x.new_ones(1), 100.0
        )
        assert found.parameters.item() == 3.0
        assert found.value.item() == 0.0
        assert len(set(tried)) == 2

    def test_a_step_that_overshoots_is_halved(self):
        """On -sqrt(1 + x²) a full Newton step from x leads to -x³, away from the top."""

        def root(x):
            return (1 + x.square()).sqrt()

        found, tried = self.climb(
            lambda x: -root(x), lambda x: -x / root(x), lambda x: -root(x).pow(-3), 2.0
        )
        assert tried[1] == pytest.approx(-8.0)
        assert tried[2] == pytest.approx(-3.0)
        assert found.parameters.item() == pytest.approx(0.0, abs=1e-12)
        assert found.value.item() == pytest.approx(-1.0)

    def test_no_step_is_longer_than_the_longest(self):
        _, tried = self.climb(
            lambda x: -0.5 * (x - 3).square(),
            lambda x: 3 - x,
            lambda x: -x.new_ones(1),
            0.0,
            longest=1.0,
        )
        assert max(abs(b - a) for a, b in pairwise(tried)) <= 1.0
        assert tried[-1] == 3.0

    def test_forbidden_parameters_are_stepped_back_from(self):
        """log x - x from 3: the full step leads to -3, where there is no objective."""

        def objective(x):
            return torch.where(x > 0, x.log() - x, -torch.inf)

        found, tried = self.climb(objective, lambda x: 1 / x - 1, lambda x: -x.pow(-2), 3.0)
        assert tried[1] < 0
        assert found.parameters.item() == pytest.approx(1.0, rel=1e-10)

    def test_where_nothing_is_gained_it_stays(self):
        """A slope that points downhill never moves the parameters."""
        found, _ = self.climb(
            lambda x: -x.square(), lambda x: 2 * x, lambda x: -2 * x.new_ones(1), 1.0
        )
        assert found.parameters.item() == 1.0


@pytest.mark.parametrize(("kind", "options"), SEARCHED)
class TestEverySearch:
    def test_the_slope_by_the_parameters_is_zero(self, kind, options):
        bound = bind(kind, options)
        assert isinstance(bound, ProfileSearch)
        for scale in (0.0, 0.5, 3.0):
            eta = scale * predictor(bound)
            found = bound.profile(eta)
            names = len(bound.warm)  # those the search is for; others follow in closed form
            at = found.parameters[-names:].clone().requires_grad_()
            value = bound.objective(at, bound.seen(eta))
            (slope,) = torch.autograd.grad(value, at)
            torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-8)
            torch.testing.assert_close(value.detach(), found.value, rtol=1e-13, atol=0)

    def test_the_slopes_are_those_of_the_objective(self, kind, options):
        bound = bind(kind, options)
        assert isinstance(bound, ProfileSearch)
        seen = bound.seen(predictor(bound))
        at = (bound.start(seen) + 0.1).requires_grad_()  # away from the top
        (slope,) = torch.autograd.grad(bound.objective(at, seen), at)
        torch.testing.assert_close(bound.slopes(at.detach(), seen).grad, slope)

    def test_a_search_goes_on_from_anywhere(self, kind, options):
        """What was asked before does not matter, even where it made no sense."""
        one, two = bind(kind, options), bind(kind, options)
        eta = predictor(one)
        two.loglik(40.0 * predictor(two, seed=5))
        two.loglik(torch.full_like(eta, torch.nan))
        torch.testing.assert_close(one.loglik(eta), two.loglik(eta), rtol=1e-10, atol=0)
        moved = eta.clone()
        before = two.loglik(moved)
        moved += 0.3 * predictor(two, seed=6)
        assert two.loglik(moved) != before


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_the_curvature_is_that_of_the_profile(kind, options):
    bound = bind(kind, options)
    eta, move = predictor(bound), predictor(bound, seed=2)
    here, size = bound.curvature(eta), 1e-4
    up, mid, down = (bound.loglik(eta + s * size * move) for s in (1, 0, -1))
    torch.testing.assert_close(here.loglik, mid)
    slope = (here.grad * move).sum()
    torch.testing.assert_close((up - down) / (2 * size), slope, rtol=1e-5, atol=1e-6)
    if bound.n_outputs > 1:  # its blocks leave out what classes share
        second = bound.bend(eta, move)
    else:
        low = here.low_rank[0].T @ move[:, 0]
        second = here.diag[:, 0] @ move[:, 0].square() - low @ low
    bend = -(up - 2 * mid + down) / size**2
    torch.testing.assert_close(bend, second, rtol=1e-4, atol=1e-5)
