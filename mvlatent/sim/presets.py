"""What a simulated cohort is made of, and the named presets."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = ["PRESETS", "CohortSpec", "ViewSpec", "preset_spec"]

KINDS = ("normal", "copy_number", "bernoulli")
MIXINGS = ("linear", "mlp")


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """One simulated view.

    Parameters
    ----------
    n_features
        Number of features p.
    n_private
        Number of private factors of the view.
    kind
        ``"normal"``; ``"copy_number"``: integers −2..2, equal along segments but for noise;
        ``"bernoulli"``: rare 0/1 mutations.
    noise
        Median noise sd of a feature, where the shared signal has variance 1.
    private_scale
        Sd of the private signal of a feature, where the shared signal has sd 1.
    site_scale
        Multiplies the cohort's ``site_sd`` in this view.
    base_rate
        Smallest and largest mutation rate (``"bernoulli"`` only); log-uniform between.
    natural_scale
        Give normal features log-normal scales and offsets, as measured data have.
    """

    n_features: int
    n_private: int = 3
    kind: str = "normal"
    noise: float = 1.0
    private_scale: float = 1.0
    site_scale: float = 1.0
    base_rate: tuple[float, float] = (0.05, 0.25)
    natural_scale: bool = False

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of view {self.kind!r}; choose from {', '.join(KINDS)}")
        if self.n_features < 1 or self.n_private < 0:
            raise ValueError("a view needs at least one feature and no negative number of factors")
        if not 0 < self.base_rate[0] <= self.base_rate[1] < 1:
            raise ValueError(f"base_rate must lie within (0, 1), got {self.base_rate}")


@dataclass(frozen=True, kw_only=True)
class CohortSpec:
    """Everything that shapes a simulated cohort; each field is an option of :func:`cohort`.

    Parameters
    ----------
    views
        Name of the view to its :class:`ViewSpec`.
    n_shared
        Number of shared factors.
    subtypes
        Names of the subtypes: clusters in the shared factors.
    subtype_weights
        Proportions of the subtypes; ``None``: equal.
    separation
        Distance between subtype centres in units of the spread within a subtype (on average, if
        there are more subtypes than factors); 0: the label says nothing.
    sites
        Names of the sites; ``site_weights`` their proportions (``None``: equal).
    site_sd
        Sd of the shift that a site gives to a feature; 0: sites are only names.
    confounding
        0: site and subtype are independent; 1: a site has one subtype (as far as the numbers of
        sites and subtypes allow).
    mixing
        ``"linear"``, or ``"mlp"``: a random two-layer network of shared and private factors.
    missing
        Share of (patient, view) pairs that are missing, at random and leaving each patient at
        least one view; a mapping gives each view its own rate.
    hazard_sd
        Sd of the shared factors' part of the log hazard.
    private_prognosis
        Share of that variance which comes from the first view's private factors instead.
    age_effect
        Log hazard ratio of ten years.
    shape, median_months
        Weibull shape, and median survival of a patient with log hazard 0.
    censoring
        Share of patients that are censored.
    female_share
        Share of women.
    missing_covariates
        Share of missing ages, and of missing subtype labels.
    """

    views: Mapping[str, ViewSpec]
    n_shared: int = 5
    subtypes: tuple[str, ...] = ("A", "B", "C", "D")
    subtype_weights: tuple[float, ...] | None = None
    separation: float = 3.0
    sites: tuple[str, ...] = ("site1", "site2", "site3", "site4")
    site_weights: tuple[float, ...] | None = None
    site_sd: float = 0.5
    confounding: float = 0.0
    mixing: str = "linear"
    missing: float | Mapping[str, float] = 0.0
    hazard_sd: float = 1.2
    private_prognosis: float = 0.0
    age_effect: float = 0.2
    shape: float = 1.2
    median_months: float = 40.0
    censoring: float = 0.5
    female_share: float = 0.5
    missing_covariates: float = 0.0

    def __post_init__(self) -> None:
        """Check the choices and the ranges."""
        if self.mixing not in MIXINGS:
            raise ValueError(f"unknown mixing {self.mixing!r}; choose from {', '.join(MIXINGS)}")
        for name in ("confounding", "private_prognosis", "female_share", "missing_covariates"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie within [0, 1], got {getattr(self, name)}")
        if not 0 <= self.censoring < 1:
            raise ValueError(f"censoring must lie within [0, 1), got {self.censoring}")
        if isinstance(self.missing, Mapping):
            unknown = sorted(set(self.missing) - set(self.views))
            if unknown:
                raise ValueError(f"missing names unknown views {unknown}; views: {[*self.views]}")
        elif not 0 <= self.missing <= 1 - 1 / len(self.views):
            raise ValueError(
                f"missing must lie within [0, {1 - 1 / len(self.views):.2f}], since each patient "
                f"keeps one of {len(self.views)} views; got {self.missing}"
            )
        for weights, names in (
            (self.subtype_weights, self.subtypes),
            (self.site_weights, self.sites),
        ):
            if weights is not None and len(weights) != len(names):
                raise ValueError(f"{len(weights)} weights for {len(names)} names {names}")


_THREE_VIEWS = {
    "rna": ViewSpec(n_features=200),
    "cnv": ViewSpec(n_features=100),
    "img": ViewSpec(n_features=60),
}
_EASY = CohortSpec(views=_THREE_VIEWS)
_DEMO = CohortSpec(
    views={
        "rna": ViewSpec(n_features=300, n_private=4, noise=1.2, natural_scale=True),
        "cnv": ViewSpec(n_features=120, kind="copy_number", noise=1.5, site_scale=0.3),
        "mut": ViewSpec(
            n_features=60,
            n_private=1,
            kind="bernoulli",
            private_scale=0.5,
            site_scale=0.0,
            base_rate=(0.02, 0.35),
        ),
        "img": ViewSpec(n_features=80, noise=1.5, site_scale=1.6, natural_scale=True),
    },
    n_shared=6,
    subtypes=("Luminal-papillary", "Luminal-infiltrated", "Luminal", "Basal-squamous", "Neuronal"),
    subtype_weights=(0.35, 0.19, 0.08, 0.33, 0.05),
    sites=("Ashford", "Brindle", "Calder", "Denholm", "Elmsley", "Fenwick"),
    site_weights=(0.28, 0.22, 0.18, 0.14, 0.1, 0.08),
    separation=4.0,
    confounding=0.25,
    missing={"rna": 0.03, "cnv": 0.06, "mut": 0.06, "img": 0.2},
    hazard_sd=0.9,
    age_effect=0.25,
    median_months=60.0,
    censoring=0.6,
    female_share=0.27,
    missing_covariates=0.03,
)

PRESETS: dict[str, CohortSpec] = {
    "easy": _EASY,
    "nonlinear": replace(_EASY, mixing="mlp"),
    "confounded": replace(_EASY, confounding=0.8, site_sd=1.0),
    "missing50": replace(_EASY, missing=0.5),
    "weak_survival": replace(_EASY, hazard_sd=0.3, age_effect=0.1, censoring=0.7),
    "null": replace(_EASY, separation=0.0, hazard_sd=0.0, age_effect=0.0),
    "private_dominates": replace(
        _EASY,
        views={name: replace(view, private_scale=3.0) for name, view in _THREE_VIEWS.items()},
    ),
    "demo": _DEMO,
}


def preset_spec(preset: str, **overrides: Any) -> CohortSpec:
    """Look a preset up and change some of its fields.

    Parameters
    ----------
    preset
        A key of ``PRESETS``.
    **overrides
        Fields of :class:`CohortSpec`.

    Raises
    ------
    ValueError
        If the preset or a field is unknown (the choices are listed), or a value out of range.

    Examples
    --------
    >>> preset_spec("easy", confounding=0.5).confounding
    0.5
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}")
    known = [field.name for field in fields(CohortSpec)]
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise ValueError(f"unknown options {unknown}; choose from {', '.join(known)}")
    return replace(PRESETS[preset], **overrides)
