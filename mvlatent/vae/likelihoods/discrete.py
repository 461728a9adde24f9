"""Zeros and ones, ordered levels, and levels without an order."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvlatent.vae.likelihoods.base import MIN_SLOPE, Likelihood, Predictive, Units

__all__ = ["Bernoulli", "Categorical", "Ordinal"]

LOG_GAP = (-6.0, 4.0)
FAR = 1e4  # a cutpoint that nothing passes
PSEUDO = 0.5  # counts added to a level


class Bernoulli(Likelihood):
    r"""Zeros and ones, :math:`x_j \sim \mathrm{Bernoulli}(\mathrm{logistic}(\eta_j))`.

    Examples
    --------
    >>> Bernoulli(2).mean(torch.zeros(1, 2)).tolist()
    [[0.5, 0.5]]
    """

    quantiles = "linear"

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        return x * eta - F.softplus(eta)

    def mean(self, eta: Tensor) -> Tensor:
        return eta.sigmoid()

    def variance(self, eta: Tensor) -> Tensor:
        return eta.sigmoid() * (-eta).sigmoid()

    def draw(self, eta: Tensor) -> Tensor:
        return torch.bernoulli(eta.sigmoid())

    def predictive(self, eta: Tensor, units: Units, level: float | None) -> Predictive:
        """The interval is that of the probability: one of zeros and ones would say nothing."""
        expected = self.mean(eta)
        mean = expected.mean(0)
        bounds = (None, None) if level is None else self._interval(expected.numpy(), level)
        return mean.numpy(), (mean * (1 - mean)).sqrt().numpy(), *bounds

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))

    def slope(self, eta: Tensor) -> Tensor:
        return self.variance(eta).clamp_min(MIN_SLOPE)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        return x - eta.sigmoid(), self.variance(eta)

    def information(self, eta: Tensor) -> Tensor:
        return self.variance(eta)


class Ordinal(Likelihood):
    r"""Ordered levels from 0, :math:`P(x_j \ge c) = \mathrm{logistic}(\eta_j - \kappa_{jc})`.

    The cutpoints κ of a feature are ordered and have mean 0, the predictor's intercept places them.

    Parameters
    ----------
    n_features, noise
        As in `Likelihood`; ``"view"``: one set of cutpoints for the view.
    levels
        ``(L,)``.

    References
    ----------
    McCullagh (1980), Regression models for ordinal data.

    Examples
    --------
    >>> Ordinal(2, levels=(3,)).mean(torch.zeros(1, 2)).tolist()
    [[1.0, 1.0]]
    """

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        if len(self.levels) != 1 or self.levels[0] < 2:
            raise ValueError(f"an ordinal view needs one number of levels >= 2, not {levels!r}.")
        self.n_levels = int(self.levels[0])
        shape = (1 if noise == "view" else n_features, self.n_levels - 2)
        self.log_gaps = nn.Parameter(torch.zeros(shape)) if self.n_levels > 2 else None

    @property
    def cutpoints(self) -> Tensor:
        """Cutpoints κ, (p, L-1), increasing, with mean 0."""
        if self.log_gaps is None:
            return torch.zeros(self.n_features, 1)
        gaps = self.log_gaps.clamp(*LOG_GAP).exp().cumsum(1)
        cut = torch.cat([gaps.new_zeros(len(gaps), 1), gaps], 1)
        return (cut - cut.mean(1, keepdim=True)).expand(self.n_features, -1)

    def _passed(self, eta: Tensor) -> list[Tensor]:
        """``P(x >= c)`` for c = 1, ..., L-1, each of the shape of ``eta``."""
        return [(eta - cut).sigmoid() for cut in self.cutpoints.unbind(1)]

    def known(self, x: Tensor) -> tuple[Tensor, ...]:
        """The cutpoints below and above each entry; far away where there is none."""
        cut = F.pad(self.cutpoints, (1, 0), value=-FAR)
        cut = F.pad(cut, (0, 1), value=FAR).flatten()
        below = x.long().clamp_(0, self.n_levels - 1)
        below += torch.arange(self.n_features, device=x.device) * (self.n_levels + 1)
        return cut[below], cut[below + 1]

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        lower, upper = self.known(x)
        # logistic(a) - logistic(b) = logistic(a) logistic(-b) (1 - exp(b - a))
        width = torch.log(-torch.expm1(lower - upper))
        return F.logsigmoid(eta - lower) + F.logsigmoid(upper - eta) + width

    def mean(self, eta: Tensor) -> Tensor:
        return torch.stack(self._passed(eta)).sum(0)

    def typical(self, eta: Tensor) -> Tensor:
        return self.mean(eta).round()  # a level

    def variance(self, eta: Tensor) -> Tensor:
        passed = self._passed(eta)
        second = torch.stack([(2 * c + 1) * p for c, p in enumerate(passed)]).sum(0)
        return second - torch.stack(passed).sum(0).square()

    def draw(self, eta: Tensor) -> Tensor:
        noisy = eta + torch.logit(torch.rand_like(eta), eps=1e-7)
        return torch.stack([(noisy > cut).to(eta.dtype) for cut in self.cutpoints.unbind(1)]).sum(0)

    def link(self, mean: Tensor) -> Tensor:
        """Predictor of that mean, by bisection."""
        mean = mean.clamp(1e-3, self.n_levels - 1 - 1e-3)
        low, high = torch.full_like(mean, -50.0), torch.full_like(mean, 50.0)
        for _ in range(60):
            middle = (low + high) / 2
            above = self.mean(middle) > mean
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return ((low + high) / 2).detach()

    def slope(self, eta: Tensor) -> Tensor:
        return torch.stack([p * (1 - p) for p in self._passed(eta)]).sum(0).clamp_min(MIN_SLOPE)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        return self.expansion(self.known(x), eta)[1:]

    def expansion(self, known: tuple[Tensor, ...], eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lower, upper = known
        a, b = (eta - lower).sigmoid(), (upper - eta).sigmoid()
        return (a * b).log(), b - a, a * (1 - a) + b * (1 - b)

    def information(self, eta: Tensor) -> Tensor:
        passed = [torch.ones_like(eta), *self._passed(eta), torch.zeros_like(eta)]
        pairs = pairwise(passed)
        return torch.stack([(a - b) * (1 - a - b).square() for a, b in pairs]).sum(0)

    @torch.no_grad()
    def intercept(self, x: Tensor, exposure: Tensor | None, seen: Tensor) -> Tensor:
        """Mean of the cumulative logits, with the cutpoints set to what is left of them."""
        total = seen.to(x.dtype).expand_as(x).sum(0)
        steps = range(1, self.n_levels)
        passed = torch.stack([((x >= c) & seen).sum(0).to(x.dtype) for c in steps], 1)
        more = PSEUDO * torch.arange(self.n_levels - 1, 0, -1)
        logits = torch.logit((passed + more) / (total[:, None] + PSEUDO * self.n_levels))
        if self.log_gaps is not None:
            gaps = -logits.diff(dim=1)
            gaps = gaps.mean(0, keepdim=True) if self.noise == "view" else gaps
            self.log_gaps.data.copy_(gaps.clamp_min(1e-2).log())
        return logits.mean(1)

    @torch.no_grad()
    def settle(self, x: Tensor, eta: Tensor, seen: Tensor) -> None:
        """Spread the cutpoints: what varies among patients had narrowed their marginal logits."""
        if self.log_gaps is None:
            return
        spread = eta.var(0) * (1.7**-2)  # a logistic is nearly a normal of sd 1.7
        wider = 0.5 * torch.log1p(spread)[:, None]
        self.log_gaps.data.add_(wider.mean(0, keepdim=True) if self.noise == "view" else wider)


class Categorical(Likelihood):
    r"""Levels without an order, one column a level: a softmax over the columns of a feature.

    Parameters
    ----------
    n_features
        Number of columns, all levels of all features.
    noise
        Not used.
    levels
        Number of levels of each feature; they add up to ``n_features``.

    Examples
    --------
    >>> Categorical(4, levels=(2, 2)).mean(torch.zeros(1, 4)).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    """

    group: Tensor
    place: Tensor

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        if sum(self.levels) != n_features or min(self.levels, default=0) < 2:
            raise ValueError(f"levels {levels!r} do not make {n_features} columns of a level each.")
        sizes = torch.tensor(self.levels)
        group = torch.arange(len(sizes)).repeat_interleave(sizes)
        place = torch.arange(n_features) - (sizes.cumsum(0) - sizes)[group]
        self.register_buffer("group", group, persistent=False)
        self.register_buffer("place", place, persistent=False)

    def _by_feature(self, eta: Tensor) -> Tensor:
        """Columns as features × levels, (..., f, L), -inf where a feature lacks a level."""
        wide = eta.new_full((*eta.shape[:-1], len(self.levels), max(self.levels)), -torch.inf)
        wide[..., self.group, self.place] = eta
        return wide

    def _log_mean(self, eta: Tensor) -> Tensor:
        return self._by_feature(eta).log_softmax(-1)[..., self.group, self.place]

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        return x * self._log_mean(eta)

    def mean(self, eta: Tensor) -> Tensor:
        return self._log_mean(eta).exp()

    def variance(self, eta: Tensor) -> Tensor:
        mean = self.mean(eta)
        return mean * (1 - mean)

    def draw(self, eta: Tensor) -> Tensor:
        gumbel = -torch.log(-torch.log(torch.rand_like(eta).clamp(1e-7, 1 - 1e-7)))
        chosen = self._by_feature(eta + gumbel).argmax(-1)
        return (chosen[..., self.group] == self.place).to(eta.dtype)

    def predictive(self, eta: Tensor, units: Units, level: float | None) -> Predictive:
        """The mean is the most probable level, and so is every end of the interval a level."""
        values = self._drawn(eta, units)
        mean = units(self.mean(eta).mean(0).numpy())
        bounds = (None, None) if level is None else self._interval(values, level)
        return mean, values.std(0), *bounds

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()

    def slope(self, eta: Tensor) -> Tensor:
        return self.variance(eta).clamp_min(MIN_SLOPE)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(eta)
        return x - mean, mean * (1 - mean)

    def coupling(
        self, known: tuple[Tensor, ...], score: Tensor, left: Tensor, right: Tensor
    ) -> Tensor:
        """Of the levels of a feature: what one gains the others lose."""
        share = known[0] - score  # their probabilities
        wide = share.new_zeros(len(share), len(self.levels), max(self.levels))
        wide[:, self.group, self.place] = share
        sides = []
        for loadings in (left, right):
            rows = loadings.new_zeros(len(loadings), *wide.shape[1:])
            rows[:, self.group, self.place] = loadings
            sides.append(torch.einsum("nfk,afk->nfa", wide, rows))
        own = (share.square() @ (left[:, None] * right).flatten(0, 1).mT).unflatten(
            1, (len(left), len(right))
        )
        return own - sides[0].mT @ sides[1]

    def information(self, eta: Tensor) -> Tensor:
        return self.variance(eta)
