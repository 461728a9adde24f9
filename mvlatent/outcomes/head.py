"""The reported head: group ridge with one learnt sd a block, and its Laplace posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .blocks import BlockScaling, checked_blocks, starting_sds
from .continuous import NormalNoise
from .evidence import fit_block_sds
from .labels import Intercepts
from .ordinal import Cutpoints
from .spaces import Shrinkage, make_space
from .survival import BASELINES, survival_curves
from .target import Baseline, BaselineShape, ProfiledBaseline, Target

__all__ = ["BlockHead"]

BASELINE_KINDS: dict[str, type[BaselineShape]] = {
    **BASELINES,
    **{cls.kind: cls for cls in (Intercepts, NormalNoise, Cutpoints)},
}


@dataclass
class BlockHead:
    """Empirical-Bayes group ridge over named blocks, with a joint Laplace posterior.

    ``eta_c = sum_b X_b beta_bc``, ``beta_bc ~ N(0, tau_b^2 I)``; tau by the Laplace evidence. A
    block is centred and divided by one number inside, so that its mean feature variance is one and
    the taus can be compared. Make it with `BlockHead.fit`.

    Attributes
    ----------
    tau
        Sd of the coefficients of each block as scaled inside; 0 is a block that is switched off.
    log_marginal
        Laplace log evidence, up to a constant of the data.
    converged
        Whether the sds settled.
    path
        Log evidence by iteration.

    References
    ----------
    MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4, 415-447.
    Rasmussen & Williams (2006). Gaussian Processes for Machine Learning, chapter 3.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.outcomes import BlockHead, Cox
    >>> x = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    >>> target = Cox().target(torch.exp(-x[:, 0]), torch.ones(100))
    >>> head = BlockHead.fit({"shared": x}, target)
    >>> mean, variance = head.predict({"shared": x})
    >>> mean.shape
    torch.Size([100, 1])
    """

    tau: dict[str, float]
    log_marginal: float
    converged: bool
    path: list[float]
    _scaling: BlockScaling
    _mode: Tensor  # standardised coefficients u = beta / tau, (C, P)
    _shrinkage: list[Shrinkage]
    _profile: BaselineShape
    _baseline: Baseline

    @classmethod
    def fit(
        cls,
        blocks: Mapping[str, Tensor],
        target: Target,
        *,
        fixed_sd: Mapping[str, float] | None = None,
        offset: Tensor | None = None,
        max_iter: int = 50,
    ) -> Self:
        """Fit the head to a likelihood bound to outcomes.

        Parameters
        ----------
        blocks
            Features of all patients by block, (N, p_b); patients without an outcome are left out.
        target
            ``likelihood.target(...)`` of a survival or label likelihood.
        fixed_sd
            Blocks whose sd is given (of the block as scaled inside) and not learnt.
        offset
            Known part of the linear predictor, (N,) or (N, C).
        max_iter
            Most updates of the sds.

        Raises
        ------
        ValueError
            If a block holds a value that is not finite, blocks differ in rows or ``fixed_sd`` names
            a block that is not there.
        """
        rows = {k: v.detach().double()[target.rows] for k, v in checked_blocks(blocks).items()}
        scaling = BlockScaling.fit(rows)
        x = scaling(rows)
        tau, fixed = starting_sds(scaling, fixed_sd or {})
        shape = (len(target.rows), target.n_outputs)
        known = torch.zeros(shape, dtype=torch.float64)
        if offset is not None:
            known = known + offset.double()[target.rows].reshape(shape[0], -1)
        space = make_space(x)
        found = fit_block_sds(space, target, known, tau, fixed, max_iter=max_iter)
        mode = space.coefficients(found.mode.coord)
        shrinkage = space.shrinkage()
        standard = torch.cat(x, 1) * scaling.by_column(found.tau)
        profiled = target.profiled(found.mode.eta)
        baseline = _joint_baseline(profiled, standard, shrinkage)
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
        return cls.from_state(*head.state())  # the saved form is the one that is used

    @property
    def _tau(self) -> Tensor:
        return self._scaling.by_column(torch.tensor(list(self.tau.values()), dtype=torch.float64))

    def _standard(self, blocks: Mapping[str, Tensor]) -> Tensor:
        """Scaled blocks times tau, side by side, (..., n, P): ``eta = this @ u``."""
        parts = self._scaling(blocks)
        lead = torch.broadcast_shapes(*(p.shape[:-1] for p in parts))
        return torch.cat([p.expand(*lead, p.shape[-1]) for p in parts], -1) * self._tau

    @property
    def coef(self) -> dict[str, Tensor]:
        """Coefficients at the mode by block, (p_b, C), in the units of the block given."""
        scale = self._scaling.by_column(self._scaling.scale)
        beta = (self._mode * self._tau / scale).T
        return dict(zip(self._scaling.names, beta.split(self._scaling.sizes), strict=True))

    @property
    def cov(self) -> Tensor:
        """Posterior covariance of all coefficients, (C, P, P), in the units of the blocks given."""
        scale = self._scaling.by_column(self._scaling.scale)
        u = torch.stack([part.dense() for part in self._shrinkage])
        outer = self._tau / scale
        return outer[:, None] * u * outer

    def predict(self, blocks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the linear predictor, (n, C) each.

        For survival the log relative hazard; for labels the logits and for a continuous target
        the value, with their intercepts; for an ordinal target the log odds of higher levels.
        """
        x = self._standard(blocks)
        mean, level = x @ self._mode.T, self._profile.level()
        variance = torch.stack([part.variance(x) for part in self._shrinkage], -1)
        return mean if level is None else mean + level, variance

    def _deviations(self, n_samples: int, generator: torch.Generator | None) -> Tensor:
        """Draws of ``u - mode``, (S, C, P)."""
        z = torch.randn(n_samples, *self._mode.shape, dtype=torch.float64, generator=generator)
        return torch.stack([part.root(z[:, c]) for c, part in enumerate(self._shrinkage)], 1)

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
        x = self._standard(blocks)
        if x.ndim > 2 and x.shape[0] != n_samples:
            raise ValueError(f"blocks hold {x.shape[0]} draws, n_samples is {n_samples}")
        deviation = self._deviations(n_samples, generator)
        formula = "np,scp->snc" if x.ndim == 2 else "snp,scp->snc"
        eta = torch.einsum(formula, x, self._mode + deviation)
        return eta, self._baseline.draw(deviation, generator)

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
        eta = self.predict(blocks)[0][..., 0]
        return survival_curves(times, eta, self._profile, stratum=stratum)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything `from_state` needs: a JSON-able dict and arrays; no patient's row."""
        json = {
            "tau": self.tau,
            "sizes": list(self._scaling.sizes),
            "log_marginal": self.log_marginal,
            "converged": self.converged,
            "path": self.path,
            "baseline": self._profile.kind,
        }
        arrays = {"mean": self._scaling.mean, "scale": self._scaling.scale, "mode": self._mode}
        for c, part in enumerate(self._shrinkage):
            arrays |= {f"q.{c}": part.q, f"rest.{c}": part.rest}
        arrays |= {f"joint.{k}": v for k, v in vars(self._baseline).items()}
        out = {k: np.ascontiguousarray(v.numpy()) for k, v in arrays.items()}
        return json, out | {f"profile.{k}": v for k, v in self._profile.state().items()}

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a head from `state`."""
        tensors = {k: torch.as_tensor(np.array(v)) for k, v in arrays.items()}
        n_outputs = len(tensors["mode"])
        part = {
            prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            for prefix in ("joint.", "profile.")
        }
        scaling = BlockScaling(
            tuple(json["tau"]), tuple(json["sizes"]), tensors["mean"], tensors["scale"]
        )
        return cls(
            dict(json["tau"]),
            json["log_marginal"],
            json["converged"],
            list(json["path"]),
            scaling,
            tensors["mode"],
            [Shrinkage(tensors[f"q.{c}"], tensors[f"rest.{c}"]) for c in range(n_outputs)],
            BASELINE_KINDS[json["baseline"]].from_state(part["profile."]),
            Baseline(**part["joint."]),
        )


def _joint_baseline(
    profiled: ProfiledBaseline, standard: Tensor, shrinkage: list[Shrinkage]
) -> Baseline:
    """Couple a baseline to the coefficients through the training rows.

    The shift is of second order and keeps the average hazard where the data have it: a group's
    expected events ``sum_i w_i exp(eta_i)`` grow with the spread of the draws of eta in the group.
    Without it S(t) is too low by some 0.04 where the predictors are uncertain.
    """
    weights = profiled.weights
    gain = -weights @ standard
    shift = gain.new_zeros(gain.shape[1])
    if profiled.baseline.hazard:
        bend = weights[0] if profiled.bend is None else profiled.bend[0]
        centre = weights[0] if profiled.centre is None else profiled.centre[0]
        mean = centre @ standard
        # variance of a row's predictor around the mean of its group, (K, n)
        spread = shrinkage[0].variance(standard) + shrinkage[0].variance(mean)[:, None]
        spread = spread - 2 * shrinkage[0].covariance(mean, standard)
        shift = -0.5 * (bend * spread).sum(1)
    return Baseline(shift, gain, profiled.baseline.factor)
