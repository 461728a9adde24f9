"""Which patient has which view: at random, by site, or by outcome."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mvlatent.sim._cohort.spec import CohortSpec

__all__ = ["Gaps", "draw_gaps"]

SLOPE = 1.5  # log odds of a gap for one sd of the log event time


@dataclass(frozen=True)
class Gaps:
    """How views go missing.

    Attributes
    ----------
    mechanism
        ``"random"``, ``"site"`` or ``"outcome"``.
    rates
        Rate of each view, (views,), before patients without any view get one back.
    site_start, site_share
        By site: the part of the unit circle that its patients fill, (sites,) each.
    arc_start
        By site: where on that circle the part begins that misses the view, (views,); it has the
        length of the rate.
    centre, spread
        By outcome: mean and sd of the log event time.
    intercepts
        By outcome: log odds of a gap for a patient with the mean log event time, (views,).
    """

    mechanism: str
    rates: np.ndarray
    site_start: np.ndarray | None = None
    site_share: np.ndarray | None = None
    arc_start: np.ndarray | None = None
    centre: float = 0.0
    spread: float = 1.0
    intercepts: np.ndarray | None = None

    def draw(
        self, site: np.ndarray, event_time: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw who has which view: bool array n × views, no row empty.

        A patient who would lose every view gets one back, chosen at random.

        Parameters
        ----------
        site
            Site codes, (n,).
        event_time
            True times of the event, (n,).
        rng
            Source of randomness.
        """
        n, count = len(site), len(self.rates)
        if self.mechanism == "site":
            return self._by_site(site, rng)
        rates = self.rates if self.mechanism == "random" else self._by_outcome(event_time)
        present = rng.random((n, count)) >= rates
        rescued = rng.integers(count, size=n)
        empty = ~present.any(axis=1)
        present[empty, rescued[empty]] = True
        return present

    def _by_outcome(self, event_time: np.ndarray) -> np.ndarray:
        earliness = (self.centre - np.log(event_time)) / self.spread
        return expit(self.intercepts + SLOPE * earliness[:, None])

    def _by_site(self, site: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        assert self.site_start is not None
        assert self.site_share is not None
        place = self.site_start[site] + self.site_share[site] * rng.random(len(site))
        # Sums of shares end a rounding error beside an arc's end; a site is in or out as a whole.
        place = np.clip(place, self.site_start[site] + 1e-9, None)
        return (place[:, None] - self.arc_start + 1e-10) % 1.0 >= self.rates


def draw_gaps(
    spec: CohortSpec, site_shares: np.ndarray, event_time: np.ndarray, rng: np.random.Generator
) -> Gaps:
    """Set the mechanism up so that the wanted share is met in expectation.

    A single ``missing`` is the share after patients without any view got one back; rates given by
    view are those before (the mechanism by site leaves nobody without a view).

    Parameters
    ----------
    spec
        The cohort's specification.
    site_shares
        Proportions of the sites, (sites,).
    event_time
        True times of the event in the first cohort, (n,): they set the odds by outcome.
    rng
        Source of randomness, for which sites miss what.
    """
    count = len(spec.views)
    if isinstance(spec.missing, Mapping):
        wanted = np.array([spec.missing.get(view, 0.0) for view in spec.views])
    else:
        wanted = np.full(count, float(spec.missing))
    if spec.missing_mechanism == "site":
        return _gaps_by_site(wanted, site_shares, rng)
    if spec.missing_mechanism == "outcome":
        return _gaps_by_outcome(wanted, event_time, rescue=not isinstance(spec.missing, Mapping))
    if not isinstance(spec.missing, Mapping):
        wanted = np.full(count, _rate_before_rescue(float(spec.missing), count))
    return Gaps("random", wanted)


def _rate_before_rescue(missing: float, count: int) -> float:
    if missing >= 1 - 1 / count:
        return 1.0
    return float(brentq(lambda q: q - q**count / count - missing, 0, 1))


def _gaps_by_site(wanted: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> Gaps:
    """Lay the sites around a circle; each view is missing along one arc of it."""
    order = rng.permutation(len(shares))
    start = np.empty(len(shares))
    start[order] = np.r_[0.0, np.cumsum(shares[order])[:-1]]
    # Arcs that begin where a site begins cover whole sites; arcs laid end to end never cover a
    # point as often as there are views, so that nobody is left without one.
    at_sites = start[order][np.arange(len(wanted)) % len(shares)]
    end_to_end = np.r_[0.0, np.cumsum(wanted)[:-1]] % 1.0
    chosen = end_to_end if _somebody_misses_all(at_sites, wanted) else at_sites
    return Gaps("site", wanted, site_start=start, site_share=shares, arc_start=chosen)


def _somebody_misses_all(starts: np.ndarray, lengths: np.ndarray) -> bool:
    ends = (starts + lengths) % 1.0
    points = np.sort(np.r_[0.0, starts, ends, 1.0])
    middles = (points[1:] + points[:-1])[np.diff(points) > 1e-9] / 2
    return bool((((middles[:, None] - starts) % 1.0) < lengths).all(axis=1).any())


def _gaps_by_outcome(wanted: np.ndarray, event_time: np.ndarray, *, rescue: bool) -> Gaps:
    log_time = np.log(event_time)
    centre, spread = float(log_time.mean()), float(max(log_time.std(), 1e-9))
    earliness = SLOPE * (centre - log_time) / spread
    count = len(wanted)

    def excess(level: float, target: float) -> float:
        odds = expit(level + earliness)
        return float(np.mean(odds - odds**count / count if rescue else odds) - target)

    def intercept(target: float) -> float:
        if target <= 0 or excess(60.0, target) <= 0:
            return -60.0 if target <= 0 else 60.0
        return float(brentq(excess, -60, 60, args=(target,)))

    intercepts = np.array([intercept(float(target)) for target in wanted])
    return Gaps("outcome", wanted, centre=centre, spread=spread, intercepts=intercepts)
