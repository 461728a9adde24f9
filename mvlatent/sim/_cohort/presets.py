"""The named presets."""

from dataclasses import fields, replace
from typing import Any

from mvlatent.sim._cohort.spec import CohortSpec, ViewSpec

__all__ = ["PRESETS", "preset_spec"]

_THREE_VIEWS = {
    "rna": ViewSpec(n_features=200),
    "cnv": ViewSpec(n_features=100),
    "img": ViewSpec(n_features=60),
}
# More private factors than a private block can hold, the first of them several times as strong as
# the shared ones, and more features than patients: the likelihood would spend z on single views.
_RICH_PRIVATE = {
    name: ViewSpec(n_features=p, n_private=30, private_scale=4.0, private_decay=0.5, noise=2.0)
    for name, p in {"rna": 800, "cnv": 700, "img": 600}.items()
}
_SIX_SITES = tuple(f"site{i}" for i in range(1, 7))
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
    # Latents that keep the site show it at an excess of about +0.6, site-centred ones at −0.2; four
    # sites for four subtypes would leave no room for that.
    "confounded": replace(_EASY, sites=_SIX_SITES, confounding=0.65, site_sd=1.0),
    "missing50": replace(_EASY, missing=0.5),
    "weak_survival": replace(_EASY, hazard_sd=0.3, age_effect=0.1, censoring=0.7),
    "null": replace(_EASY, separation=0.0, hazard_sd=0.0, age_effect=0.0),
    "private_dominates": replace(
        _EASY,
        views={name: replace(view, private_scale=3.0) for name, view in _THREE_VIEWS.items()},
    ),
    "rich_private": replace(_EASY, views=_RICH_PRIVATE),
    "demo": _DEMO,
}
"""Name of a preset of `cohort` to its specification."""


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
        raise ValueError(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}.")
    known = [field.name for field in fields(CohortSpec)]
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise ValueError(f"unknown options {unknown}; choose from {', '.join(known)}.")
    return replace(PRESETS[preset], **overrides)
