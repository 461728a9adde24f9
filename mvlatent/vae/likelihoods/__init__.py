"""Likelihoods of a view: one small class each, found by the registry of their declarations."""

from __future__ import annotations

from collections.abc import Mapping

from mvlatent.data.cohort import CohortView
from mvlatent.specs.implementation import Implementations
from mvlatent.specs.likelihoods import LIKELIHOODS as DECLARED
from mvlatent.vae.likelihoods.base import Likelihood, Rows
from mvlatent.vae.likelihoods.continuous import SCALE_FLOOR, Beta, Normal, StudentT
from mvlatent.vae.likelihoods.counts import NegativeBinomial, Poisson, ZeroInflated
from mvlatent.vae.likelihoods.discrete import Bernoulli, Categorical, Ordinal

__all__ = [
    "LIKELIHOODS",
    "SCALE_FLOOR",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Ordinal",
    "Poisson",
    "Rows",
    "StudentT",
    "ZeroInflated",
    "likelihood_of",
]


LIKELIHOODS: Mapping[str, type[Likelihood]] = Implementations(DECLARED, "implementation")
"""Classes of the likelihoods that are registered in `mvlatent.specs.likelihoods`."""


def likelihood_of(view: CohortView) -> type[Likelihood]:
    """The class of a view's likelihood."""
    return LIKELIHOODS[view.likelihood]
