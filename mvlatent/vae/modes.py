"""The mode of what a view says of its patients' latents, by damped Newton steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mvlatent.vae.likelihoods import Likelihood

__all__ = ["Mode", "ViewPosterior", "find_mode"]

TOLERANCE = 1e-4  # of a latent, whose prior has sd 1: the Newton step that may be left
MAX_STEPS = 30
SUFFICIENT = 0.25  # of the rise that the slope promises; a right curvature gives a half
HALVINGS = 12


def _pairs(loadings: Tensor) -> Tensor:
    """Products of each two rows, (m (m + 1) / 2, p)."""
    upper = torch.triu_indices(len(loadings), len(loadings), device=loadings.device)
    return loadings[upper[0]] * loadings[upper[1]]


def _filled(triangles: Tensor, m: int) -> Tensor:
    """Symmetric matrices (n, m, m) from their upper triangles."""
    upper = torch.triu_indices(m, m, device=triangles.device)
    full = triangles.new_empty(len(triangles), m, m)
    full[:, upper[0], upper[1]] = triangles
    full[:, upper[1], upper[0]] = triangles
    return full


@dataclass(frozen=True)
class ViewPosterior:
    r"""Log posterior of the latents u of a view's patients.

    It is :math:`\log p(x \mid \eta_0 + uL) - u'u / 2`, but for a constant.

    Parameters
    ----------
    likelihood
        Of the view.
    known
        What it knows of the values, (n, p) each.
    observed
        Which entries were seen, (n, p) bool; ``None`` means all.
    predictor
        Linear predictor at u = 0, (n, p) or (p,).
    loadings
        (m, p).
    pairs
        Products of each two of their rows, (m (m + 1) / 2, p).
    """

    likelihood: Likelihood
    known: tuple[Tensor, ...]
    observed: Tensor | None
    predictor: Tensor
    loadings: Tensor
    pairs: Tensor

    @classmethod
    def of(
        cls,
        likelihood: Likelihood,
        x: Tensor,
        observed: Tensor | None,
        predictor: Tensor,
        loadings: Tensor,
    ) -> ViewPosterior:
        """Posterior given values (n, p), of which those not observed do not matter."""
        if observed is not None:
            x = torch.where(observed, x, likelihood.fill)
        known = likelihood.known(x)
        return cls(likelihood, known, observed, predictor, loadings, _pairs(loadings))

    def along(self, latents: Tensor) -> ViewPosterior:
        """The same of some latents, (m,) bool, the others at 0."""
        loadings = self.loadings[latents]
        return replace(self, loadings=loadings, pairs=_pairs(loadings))

    def __getitem__(self, rows: Tensor) -> ViewPosterior:
        """The same of some patients."""
        observed = None if self.observed is None else self.observed[rows]
        predictor = self.predictor[rows] if self.predictor.dim() > 1 else self.predictor
        known = tuple(values[rows] for values in self.known)
        return replace(self, known=known, observed=observed, predictor=predictor)

    def __call__(self, latents: Tensor) -> Mode:
        """Height at latents (n, m) but for a constant, and the entries' slopes and curvatures."""
        eta = self.predictor + latents @ self.loadings
        height, score, weight = self.likelihood.expansion(self.known, eta)
        if self.observed is not None:
            height, score, weight = (
                torch.where(self.observed, t, 0.0) for t in (height, score, weight)
            )
        return Mode(latents, height.sum(-1) - 0.5 * latents.square().sum(-1), score, weight)

    def newton_step(self, here: Mode) -> tuple[Tensor, Tensor]:
        """The step to the top of the quadratic that meets the density here, and the slope along it.

        (n, m) and (n,).
        """
        slope = here.score @ self.loadings.mT - here.latents
        precision = self._gram(here, self.loadings, self.pairs)
        precision.diagonal(dim1=1, dim2=2).add_(1.0)
        step = torch.linalg.solve(precision, slope.unsqueeze(-1)).squeeze(-1)
        return step, (step * slope).sum(-1)

    def quadratic(self, mode: Mode, loadings: Tensor) -> tuple[Tensor, Tensor]:
        """Precision (n, m, m) and potential (n, m) of the quadratic that meets the density there.

        Of latents with other loadings (m, p), at the predictor of the mode: gradients go through
        these alone.
        """
        pull = mode.score + mode.weight * (mode.latents @ self.loadings)
        potential = pull @ loadings.mT
        coupling = self.likelihood.coupling(self.known, mode.score, self.loadings, loadings)
        if coupling is not None:
            potential = potential + (mode.latents.unsqueeze(1) @ coupling).squeeze(1)
        return self._gram(mode, loadings, _pairs(loadings)), potential

    def _gram(self, here: Mode, loadings: Tensor, pairs: Tensor) -> Tensor:
        gram = _filled(here.weight @ pairs.mT, len(loadings))
        coupling = self.likelihood.coupling(self.known, here.score, loadings, loadings)
        return gram if coupling is None else gram + coupling


@dataclass(frozen=True)
class Mode:
    """A place in a view's log posterior.

    Attributes
    ----------
    latents
        (n, m).
    height
        Log posterior but for a constant, (n,).
    score, weight
        Derivative of each entry's log density by its predictor and minus the second one, (n, p),
        0 where an entry was not observed.
    """

    latents: Tensor
    height: Tensor
    score: Tensor
    weight: Tensor

    def __getitem__(self, rows: Tensor) -> Mode:
        """The same of some patients."""
        return Mode(*(t[rows] for t in self._tensors))

    def put(self, rows: Tensor, other: Mode) -> None:
        """Put the other's patients in the place of these rows."""
        for ours, theirs in zip(self._tensors, other._tensors, strict=True):
            ours[rows] = theirs

    @property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.latents, self.height, self.score, self.weight


@torch.no_grad()
def find_mode(posterior: ViewPosterior, start: Tensor) -> Mode:
    """Climb to the mode of each patient: Newton steps, halved until the height rises enough.

    Where the curvature is an expected one or a bound, the steps are no longer Newton's but still
    end where the slope does. A patient rests once a step is short, whoever else goes on.

    Parameters
    ----------
    posterior
        Of the patients.
    start
        Latents to start from, (n, m).

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, section 3.1.
    """
    found = here = posterior(start.clone())
    if start.shape[1] == 0:
        return found
    rows = torch.arange(len(start), device=start.device)
    climbs = torch.ones_like(rows, dtype=torch.bool)
    for _ in range(MAX_STEPS):
        step, slope = posterior.newton_step(here)
        going = climbs & (step.abs().amax(1) > TOLERANCE)
        if not bool(going.all()):
            found.put(rows[~going], here[~going])
            rows, step, slope = rows[going], step[going], slope[going]
            posterior, here = posterior[going], here[going]
        if len(rows) == 0:
            return found
        here, climbs = _climb(posterior, here, step, slope)
    found.put(rows, here)
    return found


def _climb(
    posterior: ViewPosterior, here: Mode, step: Tensor, slope: Tensor
) -> tuple[Mode, Tensor]:
    """Go the step, or a half, or a quarter, ... of it; also say who rose at all, (n,) bool."""
    there = posterior(here.latents + step)
    slack = 8 * torch.finfo(slope.dtype).eps * here.height.abs()  # a sum is rounded
    short = ~(there.height >= here.height + SUFFICIENT * slope - slack)  # true of nan
    share = 1.0
    for _ in range(HALVINGS):
        rows = short.nonzero()[:, 0]
        if len(rows) == 0:
            break
        share /= 2
        tried = posterior[rows](here.latents[rows] + share * step[rows])
        there.put(rows, tried)
        enough = here.height[rows] + SUFFICIENT * share * slope[rows] - slack[rows]
        short[rows] = ~(tried.height >= enough)
    rows = short.nonzero()[:, 0]
    there.put(rows, here[rows])
    return there, ~short
