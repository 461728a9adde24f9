"""The reported head: group ridge with one learnt sd a block, and its Laplace posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mvlatent.heads.averaging import averaged, joint_baseline
from mvlatent.heads.evidence import SLOPE_TOLERANCE
from mvlatent.heads.mixture import Component, HeadPosterior, LaplaceMixture
from mvlatent.heads.sds import sd_points, sd_scales
from mvlatent.heads.search import Search
from mvlatent.heads.state import HeadState
from mvlatent.outcomes.bound import BaselineShape, BoundLikelihood
from mvlatent.outcomes.curves import survival_curves

__all__ = ["BlockHead"]

N_SDS = 16  # points of the sds' posterior


@dataclass
class BlockHead(HeadState):
    """Group ridge over named blocks, one learnt sd a block, with a joint Laplace posterior.

    ``eta_c = sum_b X_b beta_bc``, ``beta_bc ~ N(0, tau_b^2 I)``. The mode is at the taus of the
    largest Laplace evidence (empirical Bayes); draws and moments are averaged over the posterior of
    tau as well, with a half-normal prior on the sd that a block gives to the linear predictor. A
    block is centred and divided by one number inside, so that its mean feature variance is one and
    the taus can be compared. Make it with `BlockHead.fit`.

    References
    ----------
    MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4, 415-447.
    Rasmussen & Williams (2006). Gaussian Processes for Machine Learning, chapter 3.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.heads import BlockHead
    >>> from mvlatent.outcomes import Cox
    >>> x = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    >>> bound = Cox().bind(SurvivalData(torch.exp(-x[:, 0]), torch.ones(100)))
    >>> head = BlockHead.fit({"shared": x}, bound)
    >>> mean, variance = head.predict({"shared": x})
    >>> mean.shape
    torch.Size([100, 1])
    """

    @classmethod
    def fit(
        cls,
        blocks: Mapping[str, Tensor],
        bound: BoundLikelihood,
        *,
        fixed_sd: Mapping[str, float] | None = None,
        offset: Tensor | None = None,
        max_iter: int = 50,
        n_sds: int = N_SDS,
        off: float = 0.0,
        start: Mapping[str, float] | None = None,
        settled: float = SLOPE_TOLERANCE,
    ) -> Self:
        """Fit the head to a likelihood bound to outcomes.

        Parameters
        ----------
        blocks
            Features of all patients by block, (N, p_b); patients without an outcome are left out.
        bound
            ``likelihood.bind(...)`` of a survival or label likelihood.
        fixed_sd
            Blocks whose sd is given (of the block as scaled inside) and not learnt.
        offset
            Known part of the linear predictor, (N,) or (N, C).
        max_iter
            Most updates of the sds.
        n_sds
            Points of the sds' posterior that draws and moments are averaged over; 0 plugs in the
            sds of the largest evidence, which makes bands too narrow.
        off
            Prior probability that a block has no effect at all, for questions of which blocks do;
            0 leaves every block a little.
        start
            Sds by block with which the search begins, say those of a head of other patients; 0
            where not named.
        settled
            Nats of log evidence that a block may still gain as its variance grows e-fold.

        Raises
        ------
        ValueError
            If a block holds a value that is not finite, blocks differ in rows or ``fixed_sd`` names
            a block that is not there.
        """
        search = Search.of(blocks, bound, start, fixed_sd or {}, offset)
        scaling, x, space = search.scaling, search.x, search.space
        found = search.run(max_iter=max_iter, settled=settled)
        mode = space.coefficients(found.mode.coord)
        shrinkage = space.shrinkage()
        standard = torch.cat(x, 1) * scaling.by_column(found.tau)
        profiled = bound.profiled(found.mode.eta)
        baseline = joint_baseline(profiled, standard, space)
        head = cls(
            dict(zip(scaling.names, found.tau.tolist(), strict=True)),
            found.log_marginal,
            found.converged,
            found.path,
            scaling,
            mode,
            shrinkage,
            profiled.baseline,
            baseline,
        )
        if n_sds and not bool(search.fixed.all()):
            points = sd_points(
                space,
                bound,
                search.offset,
                found.tau,
                search.fixed,
                sd_scales(scaling.sizes),
                n_sds,
                off=off,
                coord=found.mode.coord,
            )
            head._posterior = averaged(
                points, space, bound, torch.cat(x, 1), scaling, head.baseline
            )
        return cls.from_state(*head.state())  # the saved form is the one that is used

    @property
    def parts(self) -> list[BlockHead]:
        """The block heads that the head is made of: itself; competing causes have one each."""
        return [self]

    @property
    def posterior(self) -> HeadPosterior:
        """Joint posterior of the scaled columns' coefficients and the baseline's coordinates."""
        if self._posterior is not None:
            return self._posterior
        return LaplaceMixture([self.heaviest()])

    @property
    def effect_probability(self) -> dict[str, float]:
        """Posterior probability, by block, that it has an effect; 1 where none may have none."""
        parts = self.posterior.components if isinstance(self.posterior, LaplaceMixture) else []
        if not parts:
            return dict.fromkeys(self._scaling.names, 1.0)
        sds = torch.stack([part.weight * (part.sd > 0) for part in parts]).sum(0)
        blocks = zip(self._scaling.names, sds.split(self._scaling.sizes), strict=True)
        return {name: float(of[0]) if len(of) else 0.0 for name, of in blocks}

    @property
    def _tau(self) -> Tensor:
        return self._scaling.by_column(torch.tensor(list(self.tau.values()), dtype=torch.float64))

    def scaled(self, blocks: Mapping[str, Tensor]) -> list[Tensor]:
        """Blocks centred and brought to the head's scale, in its order."""
        return self._scaling(blocks)

    def by_column(self, values: Tensor) -> Tensor:
        """Repeat values of the blocks (B,) for the columns of each, (P,)."""
        return self._scaling.by_column(values)

    def heaviest(self) -> Component:
        """Laplace posterior at the likeliest point of the sds."""
        if isinstance(self._posterior, LaplaceMixture):
            return max(self._posterior.components, key=lambda part: part.weight)
        return Component(1.0, self._tau, self._mode, self._shrinkage, self._baseline)

    def _scaled(self, blocks: Mapping[str, Tensor]) -> Tensor:
        """Scaled blocks side by side, (..., n, P)."""
        parts = self._scaling(blocks)
        lead = torch.broadcast_shapes(*(p.shape[:-1] for p in parts))
        return torch.cat([p.expand(*lead, p.shape[-1]) for p in parts], -1)

    @property
    def coef(self) -> dict[str, Tensor]:
        """Coefficients at the mode by block, (p_b, C), in the units of the block given."""
        scale = self._scaling.by_column(self._scaling.scale)
        beta = (self._mode * self._tau / scale).T
        return dict(zip(self._scaling.names, beta.split(self._scaling.sizes), strict=True))

    @property
    def cov(self) -> Tensor:
        """Covariance of all coefficients at the mode's sds, (C, P, P), in the units given."""
        scale = self._scaling.by_column(self._scaling.scale)
        u = torch.stack([part.dense() for part in self._shrinkage])
        outer = self._tau / scale
        return outer[:, None] * u * outer

    def predict(self, blocks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the linear predictor, (n, C) each.

        For survival the log relative hazard; for labels the logits and for a continuous target
        the value, with their intercepts; for an ordinal target the log odds of higher levels.
        """
        mean, variance = self.posterior.moments(self._scaled(blocks))
        level = self._level()
        return mean if level is None else mean + level, variance

    def mean(self, blocks: Mapping[str, Tensor]) -> Tensor:
        """Posterior mean of the linear predictor, (..., n, C), without its variance."""
        mean, level = self._scaled(blocks) @ self.posterior.mean().T, self._level()
        return mean if level is None else mean + level

    def _level(self) -> Tensor | None:
        """Posterior mean of what the baseline adds to the predictor, (C,)."""
        return self._profile.level(self.posterior.mean_moved())

    def coefficient_draws(
        self, n_samples: int, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Posterior draws of the coefficients by block, (S, p_b, C), in the units given."""
        beta, _ = self.posterior.draw(n_samples, generator)
        beta = beta / self._scaling.by_column(self._scaling.scale)
        parts = beta.transpose(1, 2).split(self._scaling.sizes, 1)
        return dict(zip(self._scaling.names, parts, strict=True))

    @property
    def baseline(self) -> BaselineShape:
        """Baseline at the posterior mode; its coordinates deviate as `joint_draws` says."""
        return self._profile

    def joint_draws(
        self,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Linear predictors (S, n, C) and the baseline's coordinates (S, K) of the same draws.

        The predictors are those of the coefficients alone, without intercepts.
        """
        x = self._scaled(blocks)
        if x.ndim > 2 and x.shape[0] != n_samples:
            raise ValueError(
                f"blocks hold {x.shape[0]} draws, but n_samples is {n_samples}; make them equal."
            )
        beta, moved = self.posterior.draw(n_samples, generator)
        formula = "np,scp->snc" if x.ndim == 2 else "snp,scp->snc"
        return torch.einsum(formula, x, beta), moved

    def sample(
        self,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Posterior draws of the linear predictor, (S, n, C).

        Parameters
        ----------
        blocks
            Features by block, (n, p_b), or draws of them, (S, n, p_b): then draw by draw.
        n_samples
            Number of draws S.
        generator
            Source of randomness.
        """
        eta, moved = self.joint_draws(blocks, n_samples, generator)
        level = self._profile.level(moved)
        return eta if level is None else eta + level[:, None]

    def survival_draws(
        self,
        times: Tensor,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
        *,
        stratum: Tensor | None = None,
    ) -> Tensor:
        """Posterior draws of survival curves, (S, T, n), coefficients and baseline jointly.

        ``stratum`` holds the codes of the patients' strata, (n,), where the baseline has strata.
        """
        eta, moved = self.joint_draws(blocks, n_samples, generator)
        return survival_curves(times, eta[..., 0], self._profile, moved, stratum)

    def survival(
        self, times: Tensor, blocks: Mapping[str, Tensor], *, stratum: Tensor | None = None
    ) -> Tensor:
        """Survival curves at the posterior mode, (T, n)."""
        eta = (self._scaled(blocks) * self._tau) @ self._mode[0]
        return survival_curves(times, eta, self._profile, stratum=stratum)
