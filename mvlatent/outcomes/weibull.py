"""Weibull survival: accelerated failure times with proportional hazards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.bound import PlacedBaseline
from mvlatent.outcomes.intervals import known_outcomes
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.piecewise import bounded_exp
from mvlatent.outcomes.profiled import Profile, Profiled, Response, Slopes
from mvlatent.specs import Survival

__all__ = ["BoundWeibull", "Weibull", "WeibullBaseline"]

SHAPE_SD = 1.0  # of the log shape around 0, an exponential: one event alone would give any shape


class Weibull(OutcomeLikelihood[SurvivalData]):
    r"""Weibull accelerated failure times.

    The cumulative hazard is :math:`H(t) = (t / t_0)^\rho \exp(b + \eta)`. ``eta`` is a log hazard
    ratio as in the other kinds: higher means sooner. As an accelerated failure time, log time moves
    by ``-eta / shape``, so that a coefficient of the usual parametrisation is minus ours over the
    shape. The likelihood is concave in ``eta`` and ``b`` together.

    Parameters
    ----------
    origin
        Reference time :math:`t_0`, a scalar in the unit of time.
    level, log_shape
        Initial b and log ρ, scalars.

    References
    ----------
    Kalbfleisch, J. D. & Prentice, R. L. (2002). The statistical analysis of failure time data.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.specs import Survival
    >>> data = SurvivalData(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.ones(4))
    >>> hazard = Weibull.from_data(data, Survival("t", "e", kind="weibull"))
    >>> bool(hazard.shape > 1)  # the hazard rises
    True
    """

    origin: Tensor

    def __init__(self, origin: Tensor, level: Tensor, log_shape: Tensor) -> None:
        super().__init__()
        self.register_buffer("origin", origin)
        self.level = nn.Parameter(level)
        self.log_shape = nn.Parameter(log_shape)

    @property
    def shape(self) -> Tensor:
        """Shape ρ of the distribution, a scalar; 1 is a constant hazard."""
        return self.log_shape.exp()

    @classmethod
    def from_data(cls, data: SurvivalData, spec: Survival) -> Self:
        """Start at the fit without covariates; ValueError if there are strata, or no event."""
        if data.n_strata > 1:
            raise ValueError(
                "a weibull hazard has no strata; take a piecewise, discrete or cox one."
            )
        known = known_outcomes(data)
        origin = known.time[known.event > 0].log().mean().exp()
        none = torch.zeros_like(known.time)[:, None]
        level, log_shape = BoundWeibull(origin, known).profile(none).parameters
        return cls(*(x.to(data.time.dtype) for x in (origin, level, log_shape)))

    def log_prob(self, eta: Tensor, data: SurvivalData) -> Tensor:
        log_time = (data.time / self.origin).log()
        log_hazard = self.level + eta + self.shape * log_time
        spent = bounded_exp(log_hazard)
        if data.entry is not None:
            late = data.entry > 0
            entry = torch.where(late, data.entry, data.time).to(data.time.dtype)
            start = bounded_exp(self.level + eta + self.shape * (entry / self.origin).log())
            spent = spent - torch.where(late, start, 0.0)
        value = data.event * (log_hazard + self.log_shape - data.time.log()) - spent
        return torch.where(data.observed, value, 0.0)

    def log_prior(self) -> Tensor:
        """Log density of the log shape, up to a constant; the level is free."""
        return -0.5 * (self.log_shape / SHAPE_SD).square()

    def bind(self, data: SurvivalData) -> BoundWeibull:
        """Bind the likelihood to outcomes for the reported head, which refits level and shape."""
        return BoundWeibull(self.origin, data)


class BoundWeibull(Profiled[Tensor]):
    """Weibull likelihood of known outcomes with level and shape profiled out.

    The level has a closed form, so that the search is for the log shape alone.

    Parameters
    ----------
    origin
        Reference time, a scalar.
    data
        Outcomes of all patients; only observed ones count.
    """

    longest = 1.0  # step of the log shape, whose profile is not concave everywhere

    def __init__(self, origin: Tensor, data: SurvivalData) -> None:
        self._origin = origin.detach().double()
        known = known_outcomes(data)
        time, self._event = known.time, known.event
        self._log_time = (time / self._origin).log()
        # log(t / entry): infinite for patients seen from the start
        start = torch.zeros_like(time) if known.entry is None else known.entry
        self._gap = (time / start).log()
        self._deaths = self._event.sum()
        self._log_times_of_events = (self._event * self._log_time).sum()
        self._log_density = -(self._event * time.log()).sum()
        super().__init__(data.observed, torch.zeros(1, dtype=torch.float64))

    def _exposure(self, log_shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log of ``t^rho - entry^rho`` and its first two derivatives in log rho, (n,) each."""
        rho = log_shape.exp()
        late = torch.isfinite(self._gap)
        gap = torch.where(late, self._gap, 0.0)
        # share of the exposure that lies before entry; an infinite gap would spoil the gradient
        left = torch.where(late, torch.exp(-rho * gap), 0.0)
        value = rho * self._log_time + torch.log1p(-left)
        first = rho * (self._log_time + gap * left / (1.0 - left))
        second = first - rho.square() * gap.square() * left / (1.0 - left).square()
        return value, first, second

    def seen(self, eta: Tensor) -> Tensor:
        return eta[:, 0]

    def objective(self, parameters: Tensor, seen: Tensor) -> Tensor:
        """Log-likelihood and prior of the log shape (1,) with the level at its best."""
        (log_shape,) = parameters
        total = torch.logsumexp(self._exposure(log_shape)[0] + seen, 0)
        return self._fit(log_shape, self._deaths.log() - total, self._deaths, seen)

    def _fit(self, log_shape: Tensor, level: Tensor, spent: Tensor, eta: Tensor) -> Tensor:
        fit = self._deaths * (level + log_shape) + (self._event * eta).sum() - spent
        fit = fit + log_shape.exp() * self._log_times_of_events + self._log_density
        return fit - 0.5 * (log_shape / SHAPE_SD).square()

    def slopes(self, parameters: Tensor, seen: Tensor) -> Slopes:
        (log_shape,) = parameters
        exposure, first, second = self._exposure(log_shape)
        weight = torch.softmax(exposure + seen, 0)
        mean = weight @ first
        events = log_shape.exp() * self._log_times_of_events
        grad = self._deaths * (1.0 - mean) + events - log_shape / SHAPE_SD**2
        spread = weight @ second + weight @ first.square() - mean.square()
        bend = self._deaths * spread - events + SHAPE_SD**-2
        # uphill even where the profile is not concave, far from its top
        return Slopes(grad[None], bend.abs().clamp(min=1e-8)[None, None])

    def profile(self, eta: Tensor) -> Profile:
        """Level and log shape (2,) that suit a linear predictor (n, 1)."""
        (log_shape,), value = super().profile(eta)
        total = torch.logsumexp(self._exposure(log_shape)[0] + eta[:, 0], 0)
        return Profile(torch.stack([self._deaths.log() - total, log_shape]), value)

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, 1), level and log shape (2,), with their log prior."""
        level, log_shape = coordinates
        spent = (self._exposure(log_shape)[0] + level + eta[:, 0]).exp().sum()
        return self._fit(log_shape, level, spent, eta[:, 0])

    def response(self, parameters: Tensor, seen: Tensor) -> Response:
        """Second order at level and log shape (2,)."""
        level, log_shape = parameters
        exposure, first, second = self._exposure(log_shape)
        expected = (exposure + level + seen).exp()
        slope = torch.stack([expected, expected * first], 1)
        events = log_shape.exp() * self._log_times_of_events
        shape = (expected * (second + first.square())).sum() - events + SHAPE_SD**-2
        cross = slope[:, 1].sum()
        information = torch.stack([slope[:, 0].sum(), cross, cross, shape]).view(2, 2)
        centre = (expected / expected.sum()).expand(2, -1)
        return Response(self._event - expected, expected, slope, information, centre=centre)

    def baseline(self, parameters: Tensor, factor: Tensor) -> WeibullBaseline:
        return WeibullBaseline(factor, parameters, self._origin[None])


@dataclass(frozen=True)
class WeibullBaseline(PlacedBaseline):
    """Weibull baseline; coordinates are the deviations of level and log shape.

    Attributes
    ----------
    place
        Level and log shape at the posterior mode, (2,).
    origin
        Reference time, (1,).
    """

    kind: ClassVar[str] = "weibull"
    origin: Tensor

    def cumulative_hazard(
        self, times: Tensor, eta: Tensor, draw: Tensor | None = None, stratum: int = 0
    ) -> Tensor:
        place = self.at(draw)
        log_time = (times.double() / self.origin).log()
        log_hazard = place[..., :1] + place[..., 1:].exp() * log_time  # -inf at time 0
        return (log_hazard[..., :, None] + eta.double()[..., None, :]).exp()
