"""What a simulated cohort is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MECHANISMS", "MIXINGS", "VIEW_KINDS", "CohortSpec", "ViewSpec", "pairwise_blocks"]

COUNTS = ("poisson", "nb", "zinb")
VIEW_KINDS = (
    "normal",
    "studentt",
    "bernoulli",
    *COUNTS,
    "beta",
    "ordinal",
    "copy_number",
    "categorical",
)
MIXINGS = ("linear", "additive", "mlp")
MECHANISMS = ("random", "site", "outcome")
LINK_SCALES = {"poisson": 0.5, "nb": 0.5, "zinb": 0.5, "beta": 0.7}  # 1 elsewhere


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
        ``"normal"``; ``"studentt"``: heavy tails; ``"bernoulli"``: rare 0/1 mutations;
        ``"poisson"``, ``"nb"``, ``"zinb"``: counts; ``"beta"``: shares within (0, 1);
        ``"ordinal"``: integers −2..2 from an ordered logit; ``"copy_number"``: the same states,
        equal along segments but for noise; ``"categorical"``: codes 0..``n_levels`` − 1.
    noise
        Median noise sd of a feature, where the shared signal has variance 1 (normal, studentt and
        copy_number; the other kinds bring their own noise).
    private_scale, pairwise_scale
        Sd of the private and of each pairwise-shared signal of a feature, where the shared signal
        has sd 1.
    private_decay
        How fast the private factors weaken: the sd of factor j is in proportion to
        j^−``private_decay``, with ``private_scale`` for all of them together. 0: equally strong.
    site_scale
        Multiplies the cohort's ``site_sd`` (and ``purity_sd``) in this view.
    link_scale
        Units of the linear predictor (log mean, logit) in one sd of the shared signal; ``None``:
        0.5 for counts, 0.7 for beta, 1 otherwise. Not used by normal, studentt and copy_number.
    base_rate
        Smallest and largest mutation rate (bernoulli); log-uniform between.
    burden_sd
        Sd of a patient's log mutation burden, which multiplies the odds of every mutation
        (bernoulli).
    base_mean
        Smallest and largest typical count of a feature (counts); log-uniform between.
    library_sd
        Sd of a patient's log library size (counts).
    dispersion
        Median inverse dispersion θ of a feature: variance μ + μ²/θ (nb, zinb).
    dropout
        Median probability of a structural zero of a feature (zinb).
    df
        Degrees of freedom (studentt).
    concentration
        Median precision a + b of a feature (beta).
    n_levels
        Number of categories (categorical).
    natural_scale
        Give normal and studentt features log-normal scales and offsets, as measured data have.
    sparse
        Store the view as a sparse matrix.

    Examples
    --------
    >>> from mvlatent import sim
    >>> counts = sim.ViewSpec(n_features=30, kind="nb", sparse=True)
    >>> views = {"rna": counts, "img": sim.ViewSpec(n_features=8)}
    >>> mdata, _ = sim.cohort("easy", n=50, views=views)
    >>> mdata["rna"].shape
    (50, 30)
    """

    n_features: int
    n_private: int = 3
    kind: str = "normal"
    noise: float = 1.0
    private_scale: float = 1.0
    pairwise_scale: float = 1.0
    private_decay: float = 0.0
    site_scale: float = 1.0
    link_scale: float | None = None
    base_rate: tuple[float, float] = (0.05, 0.25)
    burden_sd: float = 0.0
    base_mean: tuple[float, float] = (1.0, 50.0)
    library_sd: float = 0.4
    dispersion: float = 4.0
    dropout: float = 0.2
    df: float = 4.0
    concentration: float = 20.0
    n_levels: int = 3
    natural_scale: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.kind not in VIEW_KINDS:
            raise ValueError(
                f"unknown kind of view {self.kind!r}; choose from {', '.join(VIEW_KINDS)}."
            )
        if self.n_features < 1 or self.n_private < 0:
            raise ValueError("a view needs at least one feature and no negative number of factors.")
        if not 0 < self.base_rate[0] <= self.base_rate[1] < 1:
            raise ValueError(f"base_rate must lie within (0, 1), got {self.base_rate}.")
        if not 0 < self.base_mean[0] <= self.base_mean[1]:
            raise ValueError(f"base_mean must be positive and ordered, got {self.base_mean}.")
        if not 0 < self.dropout < 1:
            raise ValueError(f"dropout must lie within (0, 1), got {self.dropout}.")
        for name in ("noise", "dispersion", "df", "concentration"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.private_decay < 0:
            raise ValueError(f"private_decay must not be negative, got {self.private_decay}.")
        if self.n_levels < 2:
            raise ValueError(f"n_levels must be at least 2, got {self.n_levels}.")

    @property
    def link(self) -> float:
        """``link_scale``, or that of the kind."""
        return LINK_SCALES.get(self.kind, 1.0) if self.link_scale is None else self.link_scale


@dataclass(frozen=True, kw_only=True)
class CohortSpec:
    """Everything that shapes a simulated cohort; each field is an option of :func:`cohort`.

    Parameters
    ----------
    views
        Name of the view to its :class:`ViewSpec`.
    n_shared
        Number of factors shared by all views.
    pairwise
        Some of the views to the number of factors that only these share, as in
        ``{("rna", "img"): 2}``; the block is called ``"shared:rna+img"``, in the order of
        ``views``.
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
    purity_sd
        Sd of the shift that one sd of purity, a continuous nuisance, gives to a feature; above 0
        the cohort has a column ``purity``.
    mixing
        ``"linear"``; ``"additive"``: a random two-layer network of the shared (and pairwise-shared)
        factors plus a linear private part; ``"mlp"``: one network of all factors.
    missing
        Share of (patient, view) pairs that are missing, leaving each patient at least one view; a
        mapping gives each view its own rate.
    missing_mechanism
        ``"random"``; ``"site"``: some sites never measure a view (one or two measure it in a part
        of their patients, so that the share is met); ``"outcome"``: patients with early events
        miss a view more often.
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

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=50, sites=("Utrecht", "Essen"), confounding=0.5)
    >>> truth.spec.sites, truth.spec.mixing
    (('Utrecht', 'Essen'), 'linear')
    """

    views: Mapping[str, ViewSpec]
    n_shared: int = 5
    pairwise: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    subtypes: tuple[str, ...] = ("A", "B", "C", "D")
    subtype_weights: tuple[float, ...] | None = None
    separation: float = 3.0
    sites: tuple[str, ...] = ("site1", "site2", "site3", "site4")
    site_weights: tuple[float, ...] | None = None
    site_sd: float = 0.5
    confounding: float = 0.0
    purity_sd: float = 0.0
    mixing: str = "linear"
    missing: float | Mapping[str, float] = 0.0
    missing_mechanism: str = "random"
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
            raise ValueError(f"unknown mixing {self.mixing!r}; choose from {', '.join(MIXINGS)}.")
        if self.missing_mechanism not in MECHANISMS:
            raise ValueError(
                f"unknown missing_mechanism {self.missing_mechanism!r}; "
                f"choose from {', '.join(MECHANISMS)}."
            )
        for name in ("confounding", "private_prognosis", "female_share", "missing_covariates"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie within [0, 1], got {getattr(self, name)}.")
        if not 0 <= self.censoring < 1:
            raise ValueError(f"censoring must lie within [0, 1), got {self.censoring}.")
        self._check_missing()
        self._check_pairwise()
        for weights, names in (
            (self.subtype_weights, self.subtypes),
            (self.site_weights, self.sites),
        ):
            if weights is not None and len(weights) != len(names):
                raise ValueError(
                    f"{len(weights)} weights for {len(names)} names {names}; give one a name."
                )

    def _check_missing(self) -> None:
        top = len(self.views) - 1
        if isinstance(self.missing, Mapping):
            unknown = sorted(set(self.missing) - set(self.views))
            if unknown:
                raise ValueError(f"missing names unknown views {unknown}; views: {[*self.views]}.")
            outside = {v: r for v, r in self.missing.items() if not 0 <= r <= 1}
            if outside:
                raise ValueError(f"rates of missing must lie within [0, 1], got {outside}.")
            if self.missing_mechanism == "site" and sum(self.missing.values()) > top:
                raise ValueError(
                    f"rates of missing by site must sum to at most {top}, since each patient keeps "
                    f"one of {len(self.views)} views; got {dict(self.missing)}."
                )
        elif not 0 <= self.missing <= top / len(self.views):
            raise ValueError(
                f"missing must lie within [0, {top / len(self.views):.2f}], since each patient "
                f"keeps one of {len(self.views)} views; got {self.missing}."
            )

    def _check_pairwise(self) -> None:
        for names, count in self.pairwise.items():
            unknown = (
                sorted(set(names) - set(self.views)) if not isinstance(names, str) else [names]
            )
            if unknown:
                raise ValueError(
                    f"pairwise names unknown views {unknown}; give tuples of {[*self.views]}."
                )
            if len(set(names)) != len(names) or not 2 <= len(names) < len(self.views):
                raise ValueError(
                    f"pairwise factors belong to at least two different views and not to all "
                    f"{len(self.views)} (those are n_shared), got {names}."
                )
            if count < 1:
                raise ValueError(f"pairwise {names} needs at least one factor, got {count}.")
        if len({frozenset(names) for names in self.pairwise}) < len(self.pairwise):
            raise ValueError(
                f"pairwise names the same views twice: {[*self.pairwise]}; give each set once."
            )


def pairwise_blocks(spec: CohortSpec) -> dict[str, tuple[tuple[str, ...], int]]:
    """Name of each pairwise-shared block to its views, in the cohort's order, and its size."""
    blocks = {}
    for names, count in spec.pairwise.items():
        ordered = tuple(view for view in spec.views if view in names)
        blocks["shared:" + "+".join(ordered)] = (ordered, count)
    return blocks
