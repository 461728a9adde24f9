"""Draws the patients of a cohort, and their MuData."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from mvlatent.process import as_found
from mvlatent.sim._cohort import outcome
from mvlatent.sim._cohort.facts import Facts
from mvlatent.sim._cohort.gaps import draw_gaps
from mvlatent.sim._cohort.patients import (
    Population,
    SimulatedPatients,
    draw_population,
    standardised_purity,
)
from mvlatent.sim._cohort.spec import CohortSpec, pairwise_blocks
from mvlatent.sim._cohort.views import Factors, SimulatedView, draw_view, measure_view

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["draw_cohort", "draw_further"]

REFERENCE = 50_000  # patients on whom random networks are standardised
FURTHER = 1_000  # key of the random streams of further patients; a cohort's own count from 0

Known = TypeVar("Known", bound=Facts)


class _Streams(NamedTuple):
    """One stream a subject: changing how views are drawn leaves the patients as they were."""

    patients: np.random.Generator
    views: np.random.Generator
    outcome: np.random.Generator
    gaps: np.random.Generator
    labels: np.random.Generator
    extras: np.random.Generator

    @classmethod
    def of(cls, sequence: np.random.SeedSequence) -> "_Streams":
        return cls(*(np.random.default_rng(s) for s in sequence.spawn(len(cls._fields))))


def draw_cohort(record: type[Known], spec: CohortSpec, n: int, seed: int) -> "tuple[MuData, Known]":
    """Draw a world and ``n`` patients of it; what is drawn goes into a ``record``."""
    _check_size(n)
    streams = _Streams.of(np.random.SeedSequence(seed))
    return _draw(record, spec, seed, _names("P", n), streams, None)


def draw_further(known: Known, n: int, seed: int) -> "tuple[MuData, Known]":
    """Draw further patients of a known world; see :meth:`mvlatent.sim.Truth.new_patients`."""
    _check_size(n)
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}.")
    streams = _Streams.of(np.random.SeedSequence(known.seed, spawn_key=(FURTHER, seed)))
    names = _names(f"T{seed}-", n)
    return _draw(type(known), known.spec, known.seed, names, streams, known)


def _check_size(n: int) -> None:
    if n < 2:
        raise ValueError(f"a cohort needs at least two patients, got n={n}.")


def _names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i:0{max(4, len(str(n)))}d}" for i in range(1, n + 1)]


def _draw(
    record: type[Known],
    spec: CohortSpec,
    seed: int,
    names: list[str],
    streams: _Streams,
    known: Known | None,
) -> "tuple[MuData, Known]":
    """Draw patients, and the parameters where no earlier truth holds them."""
    n = len(names)
    population = known.population if known else draw_population(spec, streams.patients)
    patients = population.draw(n, streams.patients)
    pairwise = population.draw_pairwise(n, streams.extras)
    purity = population.draw_purity(n, streams.extras)
    views = _draw_views(population, patients, pairwise, purity, streams, known)
    private = {name: view.private for name, view in views.items()}
    first = next(iter(private.values()))
    hazard = known.hazard if known else outcome.draw_hazard(spec, first.shape[1], streams.outcome)
    log_hazard = hazard.log_hazard(patients.shared, first, patients.age)
    event_time = outcome.event_times(
        log_hazard, streams.outcome, shape=spec.shape, median=spec.median_months
    )
    time, event, closing = outcome.censor(
        event_time, spec.censoring, streams.outcome, closing=known.closing if known else None
    )
    gaps = (
        known.gaps
        if known
        else draw_gaps(spec, population.site_shares, event_time, streams.gaps.spawn(1)[0])
    )
    truth = record(
        spec=spec,
        seed=seed,
        obs_names=pd.Index(names),
        shared=patients.shared,
        pairwise=pairwise,
        private=private,
        complete={name: view.measured for name, view in views.items()},
        exposure={name: view.exposure for name, view in views.items() if view.exposure is not None},
        parameters={name: view.truth for name, view in views.items()},
        population=population,
        hazard=hazard,
        gaps=gaps,
        closing=closing,
        present=gaps.draw(patients.site, event_time, streams.gaps),
        log_hazard=log_hazard,
        event_time=event_time,
        time=time,
        event=event,
        site=np.asarray(spec.sites, object)[patients.site],
        subtype=np.asarray(spec.subtypes, object)[patients.subtype],
        purity=purity,
    )
    return _to_mudata(truth, _obs_table(truth, patients, streams.labels)), truth


def _draw_views(
    population: Population,
    patients: SimulatedPatients,
    pairwise: dict[str, np.ndarray],
    purity: np.ndarray | None,
    streams: _Streams,
    known: Facts | None,
) -> dict[str, SimulatedView]:
    spec, members = population.spec, pairwise_blocks(population.spec)
    nuisance = None if purity is None else standardised_purity(purity)
    reference = None
    if known is None and spec.mixing != "linear":
        reference = population.draw(REFERENCE, streams.extras.spawn(1)[0]).shared
    views = {}
    for (name, view), stream in zip(
        spec.views.items(), streams.views.spawn(len(spec.views)), strict=True
    ):
        own = {block: u for block, u in pairwise.items() if name in members[block][0]}
        factors = Factors(patients.shared, own, patients.site, nuisance)
        if known is None:
            views[name] = draw_view(spec, view, factors, stream, reference=reference)
        else:
            views[name] = measure_view(spec, view, known.parameters[name], factors, stream)
    return views


def _obs_table(truth: Facts, patients: SimulatedPatients, rng: np.random.Generator) -> pd.DataFrame:
    rate = truth.spec.missing_covariates
    n = len(truth.obs_names)
    age = np.where(rng.random(n) < rate, np.nan, patients.age)
    subtype = truth.subtype.copy()
    subtype[rng.random(n) < rate] = None
    table = pd.DataFrame(
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
    return table if truth.purity is None else table.assign(purity=truth.purity)


@as_found()
def _to_mudata(truth: Facts, obs: pd.DataFrame) -> "MuData":
    """Modalities hold their own patients; the cohort's order is that of ``obs``."""
    from anndata import AnnData
    from mudata import MuData, set_options
    from scipy.sparse import csr_matrix

    modalities = {}
    for column, (view, x) in enumerate(truth.complete.items()):
        rows = truth.present[:, column]
        modalities[view] = AnnData(
            csr_matrix(x[rows]) if truth.spec.views[view].sparse else x[rows],
            obs=pd.DataFrame(index=truth.obs_names[rows]),
            var=pd.DataFrame(index=truth.features(view)),
        )
    with set_options(pull_on_update=False):
        mdata = MuData(modalities)
        if not mdata.obs_names.equals(truth.obs_names):
            mdata = mdata[truth.obs_names].copy()
        for name in obs:
            mdata.obs[name] = obs[name]
    return mdata
