"""The one module that is trained: the ELBO and whatever stands beside it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.objectives.elbo import Terms, TermsELBO
from mvlatent.vae.structured import StructuredVAE

__all__ = ["Objective"]

SMOOTHING = 0.8  # of the head's weight from one look to the next


class _Half(nn.Module):
    """Model or guide as a module of its own, which Pyro's ``ELBOModule`` asks for."""

    def __init__(self, vae: StructuredVAE, which: str) -> None:
        super().__init__()
        self.vae, self.which = vae, which

    def forward(self, cohort: Cohort, n_total: int, kl_weight: float) -> None:
        getattr(self.vae, self.which)(cohort, n_total, kl_weight)


class Objective(nn.Module):
    r"""Negative ELBO a patient, with the balance of the in-training heads.

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

    Examples
    --------
    >>> from mvlatent.vae.structured import Design, ViewDesign
    >>> vae = StructuredVAE(Design((ViewDesign("rna", "normal", "feature", 20),), n_shared=3))
    >>> Objective(vae).rho
    0.0
    """

    def __init__(self, vae: StructuredVAE, *, rho: float = 0.0) -> None:
        super().__init__()
        self.rho = rho
        self.elbo = TermsELBO()
        self.bound = self.elbo(_Half(vae, "model"), _Half(vae, "guide"))

    @property
    def vae(self) -> StructuredVAE:
        """The model that is trained."""
        return cast(StructuredVAE, self.bound.model.vae)

    @property
    def heads(self) -> list[Any]:
        """The in-training heads."""
        return list(self.vae.heads)

    def forward(
        self, cohort: Cohort, n_total: int, kl_weight: float = 1.0, *, rebalance: bool = False
    ) -> tuple[Tensor, Terms]:
        """Loss (a scalar, nats a patient) and its detached terms (nats a patient each)."""
        terms: Terms = self.bound(cohort, n_total, kl_weight)
        if rebalance and self.rho > 0:
            self._rebalance(terms)
        for head in self.heads:
            terms = head.add_prior(terms)
        loss = -torch.stack(list(terms.values())).sum() / n_total
        return loss, {name: term.detach() / n_total for name, term in terms.items()}

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
