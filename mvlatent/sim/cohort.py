"""Simulated cohorts with a known truth."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.sim import outcome
from mvlatent.sim.patients import Patients, draw_patients, draw_presence
from mvlatent.sim.presets import CohortSpec, preset_spec
from mvlatent.sim.truth import Truth
from mvlatent.sim.views import draw_view

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["cohort"]


def cohort(
    preset: str = "easy", n: int = 500, seed: int = 0, **overrides: Any
) -> "tuple[MuData, Truth]":
    """Simulate a cohort of patients with several views, sites, subtypes and survival.

    Parameters
    ----------
    preset
        ``"easy"``: three normal views, linear mixing, site shifts, nothing missing. Others change
        one thing of it: ``"nonlinear"`` (MLP mixing), ``"confounded"`` (sites entangled with
        subtype), ``"missing50"`` (half of all patient-view pairs), ``"weak_survival"``,
        ``"null"`` (outcomes and labels say nothing of the views), ``"private_dominates"``.
        ``"demo"`` looks like a small bladder-cancer cohort: expression, copy number, mutations,
        image features, six sites, gaps.
    n
        Number of patients.
    seed
        Same seed, same cohort.
    **overrides
        Any field of :class:`~mvlatent.sim.CohortSpec`, such as ``confounding=0.5``.

    Returns
    -------
    tuple
        The MuData, and the :class:`~mvlatent.sim.Truth`. A modality holds only the patients who
        have it. ``obs`` has ``site``, ``age`` (years), ``is_female`` (0/1), ``subtype``,
        ``survival_months``, ``event`` (1 = death).

    Raises
    ------
    ValueError
        If the preset or an option is unknown or out of range, or ``n`` is below 2.

    Examples
    --------
    >>> mdata, truth = cohort("missing50", n=100, seed=1, hazard_sd=2.0)
    >>> truth.shared.shape
    (100, 5)
    """
    if n < 2:
        raise ValueError(f"a cohort needs at least two patients, got n={n}")
    spec = preset_spec(preset, **overrides)
    # One stream a subject: changing how views are drawn leaves the patients as they were.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    for_patients, for_views, for_outcome, for_gaps, for_labels = streams
    patients = draw_patients(n, spec, for_patients)
    complete, private, parameters = {}, {}, {}
    for (name, view), stream in zip(
        spec.views.items(), for_views.spawn(len(spec.views)), strict=True
    ):
        complete[name], private[name], parameters[name] = draw_view(
            patients.shared,
            patients.site,
            len(spec.sites),
            view,
            stream,
            mixing=spec.mixing,
            site_sd=spec.site_sd,
        )
    hazard, event_time, time, event = _draw_outcome(spec, patients, private, for_outcome)
    truth = Truth(
        spec=spec,
        obs_names=pd.Index([f"P{i:0{max(4, len(str(n)))}d}" for i in range(1, n + 1)]),
        shared=patients.shared,
        private=private,
        complete=complete,
        parameters=parameters,
        present=draw_presence(n, [*spec.views], spec.missing, for_gaps),
        log_hazard=hazard,
        event_time=event_time,
        time=time,
        event=event,
        site=np.asarray(spec.sites, object)[patients.site],
        subtype=np.asarray(spec.subtypes, object)[patients.subtype],
    )
    return _to_mudata(truth, _obs_table(truth, patients, for_labels)), truth


def _draw_outcome(
    spec: CohortSpec,
    patients: Patients,
    private: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    hazard = outcome.log_hazard(
        patients.shared,
        next(iter(private.values())),
        patients.age,
        rng,
        hazard_sd=spec.hazard_sd,
        private_prognosis=spec.private_prognosis,
        age_effect=spec.age_effect,
    )
    event_time = outcome.event_times(hazard, rng, shape=spec.shape, median=spec.median_months)
    time, event = outcome.censor(event_time, spec.censoring, rng)
    return hazard, event_time, time, event


def _obs_table(truth: Truth, patients: Patients, rng: np.random.Generator) -> pd.DataFrame:
    rate = truth.spec.missing_covariates
    n = len(truth.obs_names)
    age = np.where(rng.random(n) < rate, np.nan, patients.age)
    subtype = truth.subtype.copy()
    subtype[rng.random(n) < rate] = None
    return pd.DataFrame(
        {
            "site": pd.Categorical(truth.site, categories=list(truth.spec.sites)),
            "age": age,
            "is_female": patients.is_female,
            "subtype": pd.Categorical(subtype, categories=list(truth.spec.subtypes)),
            "survival_months": truth.time,
            "event": truth.event,
        },
        index=truth.obs_names,
    )


def _to_mudata(truth: Truth, obs: pd.DataFrame) -> "MuData":
    """Modalities hold their own patients; the cohort's order is that of ``obs``."""
    from anndata import AnnData
    from mudata import MuData, set_options

    modalities = {}
    for column, (view, x) in enumerate(truth.complete.items()):
        rows = truth.present[:, column]
        features = [f"{view}_{j:03d}" for j in range(1, x.shape[1] + 1)]
        modalities[view] = AnnData(
            x[rows],
            obs=pd.DataFrame(index=truth.obs_names[rows]),
            var=pd.DataFrame(index=features),
        )
    with set_options(pull_on_update=False):
        mdata = MuData(modalities)
        if not mdata.obs_names.equals(truth.obs_names):
            mdata = mdata[truth.obs_names].copy()
        for name in obs:
            mdata.obs[name] = obs[name]
    return mdata
