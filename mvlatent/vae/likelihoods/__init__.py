"""Likelihoods of a view: one small class each, in one registry."""

from __future__ import annotations

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
]

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "normal": Normal,
    "studentt": StudentT,
    "beta": Beta,
    "nb": NegativeBinomial,
    "zinb": ZeroInflated,
    "poisson": Poisson,
    "bernoulli": Bernoulli,
    "ordinal": Ordinal,
    "categorical": Categorical,
}
