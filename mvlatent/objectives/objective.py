"""The one module that is trained: the ELBO and whatever stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.objectives.base import Scene, Term
from mvlatent.objectives.elbo import Terms, TermsELBO
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.structured import StructuredVAE

__all__ = ["Objective"]

SMOOTHING = 0.8  # of the head's weight from one look to the next


class _Half(nn.Module):
    """Model or guide as a module of its own, which Pyro's ``ELBOModule`` asks for."""

    def __init__(self, vae: StructuredVAE, which: str) -> None:
        super().__init__()
        self.vae, self.which = vae, which

    def forward(
        self,
        cohort: Cohort,
        n_total: int,
        kl_weight: float,
        *,
        evidence: dict[str, Evidence] | None = None,
        **switches: bool,
    ) -> None:
        if self.which == "model":
            self.vae.model(cohort, n_total, kl_weight, **switches)
        else:
            self.vae.guide(cohort, n_total, kl_weight, evidence=evidence, **switches)


class Objective(nn.Module):
    r"""Negative ELBO a patient, what stands beside it, and the balance of the in-training heads.

    A head in the model is weighted so that
    :math:`\lVert\nabla_z \text{head}\rVert \approx \rho \lVert\nabla_z \text{views}\rVert`, times
    the outcome's own relative weight;
    at the scale of the ELBO itself thousands of features would drown one event.

    Parameters
    ----------
    vae
        The model, with its heads inside.
    rho
        Share of the head's gradient; 0 leaves the outcome to the reported head alone.
    terms
        Terms beside the ELBO; those of weight 0 are left out.
    stop_gradient
        Let z learn from the terms (and the prior) alone: the views are decoded from a detached z.
    precision
        Of the normal prior of loadings and network weights, which is in the criterion as
        ``prior:weights``: what decoupled decay would do, said as a prior.

    References
    ----------
    Märtens & Yau (2020), Neural decomposition: functional ANOVA with variational autoencoders.

    Examples
    --------
    >>> from mvlatent.vae.structured import Design, ViewDesign
    >>> vae = StructuredVAE(Design((ViewDesign("rna", "normal", "feature", 20),), n_shared=3))
    >>> Objective(vae).rho
    0.0
    """

    def __init__(
        self,
        vae: StructuredVAE,
        *,
        rho: float = 0.0,
        terms: Sequence[Term] = (),
        stop_gradient: bool = False,
        precision: float = 0.0,
    ) -> None:
        super().__init__()
        self.rho, self.stop_gradient, self.precision = rho, stop_gradient, precision
        self.terms = tuple(term for term in terms if term.weight > 0)
        self.states = nn.ModuleDict({term.name: term.state(vae) for term in self.terms})
        self.elbo = TermsELBO()  # type: ignore[no-untyped-call]
        self.bound = self.elbo(_Half(vae, "model"), _Half(vae, "guide"))

    @property
    def vae(self) -> StructuredVAE:
        """The model that is trained."""
        return cast(StructuredVAE, self.bound.model.vae)

    @property
    def heads(self) -> list[Any]:
        """The in-training heads."""
        return list(self.vae.heads)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms beside the ELBO."""
        return tuple(term.name for term in self.terms)

    def settle(self) -> None:
        """Put every schedule at its end: what a run after the first one goes on with."""
        self.terms = tuple(replace(term, schedule="constant") for term in self.terms)

    def strengths(self, progress: float = 1.0, *, shared_first: bool = False) -> dict[str, float]:
        """Weight of each term at a share of the epochs; shared first, what teaches z is at full."""
        return {
            term.name: term.strength(1.0 if shared_first and term.teaches_z else progress)
            for term in self.terms
        }

    def forward(
        self,
        cohort: Cohort,
        n_total: int,
        kl_weight: float = 1.0,
        *,
        rebalance: bool = False,
        progress: float = 1.0,
        shared_first: bool = False,
    ) -> tuple[Tensor, Terms]:
        """Loss (a scalar, nats a patient) and its detached terms (nats a patient each).

        Parameters
        ----------
        cohort
            Patients of the batch.
        n_total
            Patients of the whole data set.
        kl_weight
            Weight of the patients' KL terms.
        rebalance
            Look at the gradients and move the heads' weights.
        progress
            Share of the epochs that is over, for the schedules.
        shared_first
            Clamp every w to its prior and let z learn from the terms, those that teach it at full
            weight.

        Returns
        -------
        tuple
            The terms of the ELBO, whose sum it is, and under `names` the unweighted others: each
            counts in the loss with its sign, times its strength.
        """
        evidence = self.vae.evidence(cohort)
        detached = self.stop_gradient or shared_first
        terms: Terms = self.bound(
            cohort,
            n_total,
            kl_weight,
            evidence=evidence,
            detached=detached,
            clamped=shared_first,
        )
        if rebalance and self.rho > 0 and not detached:
            self._rebalance(terms)
        for head in self.heads:
            terms = head.add_prior(terms)
        if self.precision > 0 and self.shrunk():
            terms["prior:weights"] = self._log_prior()
        loss = -torch.stack(list(terms.values())).sum() / n_total
        found = {name: term.detach() / n_total for name, term in terms.items()}
        scene = Scene(self.vae, cohort, evidence, self.elbo.draw)
        strengths = self.strengths(progress, shared_first=shared_first)
        for term in self.terms:
            value = term.value(scene, self.states[term.name])
            loss = loss - strengths[term.name] * value
            found[term.name] = value.detach()
        if shared_first:  # private encoders rest, yet every process expects their gradient
            loss = loss + 0.0 * torch.stack([p.sum() for p in self.parameters()]).sum()
        return loss, found

    def shrunk(self) -> list[tuple[float, nn.Parameter]]:
        """Parameters with a normal prior of their own here, and its precision's multiple.

        Matrices have one; scales, intercepts and technical effects have not, nor have loadings with
        a posterior. The prior of z says how much its own have.
        """
        point = self.vae.design.loadings == "point"
        own_prior = ("effects.loc", *(() if point else ("decoder.shared", "decoder.private")))
        found: list[tuple[float, nn.Parameter]] = []
        for name, parameter in self.vae.named_parameters():
            if parameter.dim() < 2 or name.endswith(own_prior) or ".random_loadings." in name:
                continue
            if name.startswith("prior."):
                if self.vae.prior.decay:
                    found.append((self.vae.prior.decay, parameter))
            elif not name.startswith("heads.") and ".likelihood." not in name:
                found.append((1.0, parameter))
        return found

    def _log_prior(self) -> Tensor:
        """Log density of the parameters that have a prior here, up to a constant, in nats."""
        sizes = [times * parameter.square().sum() for times, parameter in self.shrunk()]
        return -0.5 * self.precision * sum(sizes, torch.zeros(()))

    def _rebalance(self, terms: Terms) -> None:
        """Move each head's weight towards ρ times the ratio of the gradients at z."""
        z = self.elbo.draw["z"]
        views = [term for name, term in terms.items() if name.startswith("x:")]
        if not z.requires_grad:
            return
        (data,) = torch.autograd.grad(torch.stack(views).sum(), z, retain_graph=True)
        for head in self.heads:
            term = terms[head.site]
            if not term.requires_grad:
                continue
            (pull,) = torch.autograd.grad(term, z, retain_graph=True)
            unweighted = pull.norm() / head.weight.clamp_min(1e-8)
            share = self.rho * head.importance
            target = share * data.norm() / unweighted.clamp_min(1e-8)
            head.weight.mul_(SMOOTHING).add_((1 - SMOOTHING) * target)
