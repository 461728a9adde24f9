"""What every test may use."""

import os
from pathlib import Path

# before numpy and torch are imported: processes of a parallel run would fight over the cores
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("fixed", derandomize=True, deadline=None)  # seeds are fixed: these too
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real cohorts; the test is skipped where the environment does not name one."""
    folder = os.environ.get("MVLATENT_DATA")
    if not folder:
        pytest.skip("MVLATENT_DATA is not set: no real cohorts to test on")
    if not Path(folder).is_dir():
        pytest.skip(f"MVLATENT_DATA is not a folder: {folder}")
    return Path(folder)


@pytest.fixture
def double():
    """Float64 as torch's default, so that closed forms can be compared tightly."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def make_cohort():
    """Return a factory of cohorts of normal noise (or given likelihoods), as tensors."""
    import torch

    from mvlatent.data.cohort import Cohort, CohortView, Group

    def make(
        sizes=None,
        *,
        n=40,
        n_sites=0,
        likelihoods=None,
        noise="feature",
        absent=0.0,
        holes=(),
        seed=0,
    ):
        generator = torch.Generator().manual_seed(seed)
        sizes = sizes or {"a": 7, "b": 5, "c": 4}

        def uniform(*shape):
            return torch.rand(*shape, generator=generator)

        z = torch.randn(n, 2, generator=generator)
        drawn = uniform(n, len(sizes))
        presence = drawn >= absent
        presence.scatter_(1, drawn.argmax(1, keepdim=True), True)
        views = {}
        for (name, p), present in zip(sizes.items(), presence.T, strict=True):
            likelihood = (likelihoods or {}).get(name, "normal")
            signal = z @ torch.randn(2, p, generator=generator)
            x = signal + torch.randn(n, p, generator=generator)
            if likelihood == "bernoulli":
                x = (x > 0).to(x.dtype)
            observed = None
            if name in holes:
                observed = (uniform(n, p) > 0.25) & present[:, None]
                observed[:, 0] = present
            seen = present[:, None] if observed is None else observed
            features = tuple(f"{name}{j}" for j in range(p))
            views[name] = CohortView(
                torch.where(seen, x, 0.0), present, observed, likelihood, noise, features
            )
        technical, groups = torch.zeros(n, 0), ()
        if n_sites:
            site = torch.arange(n) % (n_sites + 1)  # the last one is unknown: a row of zeros
            technical = torch.eye(n_sites + 1)[site][:, :n_sites]
            levels = tuple(f"s{j}" for j in range(n_sites))
            groups = (Group("site", slice(0, n_sites), "categorical", levels),)
        names = tuple(f"p{i:03d}" for i in range(n))
        return Cohort(names, views, technical, groups, torch.zeros(n, 0), ())

    return make


@pytest.fixture(scope="session")
def make_vae():
    """Return a factory of models for a cohort, with parameters away from their starting values."""
    import torch

    from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

    def make(cohort, *, n_shared=3, n_private=2, seed=0, heads=(), **options):
        views = tuple(
            ViewDesign(name, v.likelihood, v.noise, v.x.shape[1], v.n_outside, n_private)
            for name, v in cohort.views.items()
        )
        groups = tuple((g.columns.start, g.columns.stop) for g in cohort.technical_groups)
        design = Design(
            views,
            n_shared=n_shared,
            technical_groups=groups,
            n_technical=cohort.technical.shape[1],
            n_hidden=8,
            **options,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vae = StructuredVAE(design, heads)
            with torch.no_grad():
                for parameter in vae.parameters():
                    parameter.add_(0.4 * torch.randn_like(parameter))
                for part in vae.parts:
                    if part.effects is not None:
                        part.effects.prior_sd.fill_(0.7)
                        part.effects.energy.copy_(cohort.technical.square().sum(0))
        return vae

    return make


@pytest.fixture(scope="session")
def small_cohort():
    """Return a factory of small simulated MuData with gaps of every kind."""
    import numpy as np

    import mvlatent as mv
    from mvlatent.sim import ViewSpec

    def make(n=80, seed=0):
        views = {
            "rna": ViewSpec(n_features=24, n_private=1, natural_scale=True),
            "mut": ViewSpec(n_features=12, n_private=1, kind="bernoulli", base_rate=(0.2, 0.5)),
            "img": ViewSpec(n_features=10, n_private=1),
        }
        mdata, _ = mv.sim.cohort(
            "easy", n=n, seed=seed, views=views, n_shared=2, missing=0.2, missing_covariates=0.05
        )
        mdata.obs["event"] = mdata.obs["event"].astype(float)
        unknown = np.arange(n) % 11 == 0
        mdata.obs.loc[unknown, ["survival_months", "event"]] = np.nan
        img = mdata.mod["img"]
        img.X[::7, 2] = np.nan
        return mdata

    return make


@pytest.fixture(scope="session")
def many_outcomes(small_cohort):
    """Return a factory of `small_cohort` with a second survival, second labels and two targets.

    Each has missing rows of its own.
    """
    import numpy as np
    import pandas as pd

    def make(n=120, seed=0):
        mdata = small_cohort(n=n, seed=seed)
        rng = np.random.default_rng(seed)
        obs, order = mdata.obs, np.arange(n)
        hazard = -np.log(obs["survival_months"].fillna(20.0).to_numpy())
        obs["pfi_months"] = np.exp(-0.7 * hazard + 0.3 * rng.normal(size=n))
        obs["pfi_event"] = (rng.random(n) < 0.7).astype(float)
        obs.loc[order % 7 == 1, ["pfi_months", "pfi_event"]] = np.nan
        obs["immune"] = pd.Series(np.where(hazard > np.median(hazard), "hot", "cold"), obs.index)
        obs.loc[order % 5 == 2, "immune"] = None
        obs["purity"] = 0.5 + 0.1 * (hazard - hazard.mean()) + 0.02 * rng.normal(size=n)
        obs.loc[order % 6 == 3, "purity"] = np.nan
        stage = np.digitize(hazard + 0.5 * rng.normal(size=n), np.quantile(hazard, [0.3, 0.7]))
        obs["stage"] = pd.Series(np.array(["I", "II", "III"], dtype=object)[stage], obs.index)
        obs.loc[order % 8 == 4, "stage"] = None
        return mdata

    return make


ROLES = {
    "batch": "site",
    "clinical": ["age", "is_female"],
    "survival": ("survival_months", "event"),
    "labels": "subtype",
}


@pytest.fixture(scope="session")
def roles():
    """Roles of the columns of `small_cohort`."""
    return dict(ROLES)


@pytest.fixture(scope="session")
def small_fit(roles):
    """Return a factory of small, quick fits."""
    import mvlatent as mv

    def fit(mdata, **options):
        quick = {"n_shared": 3, "n_private": 2, "max_epochs": 12, "accelerator": "cpu"}
        quick["head_blocks"] = ("shared", "scores", "clinical")  # no inner folds
        return mv.fit(mdata, **{"progress": False, **roles, **quick, **options})

    return fit


@pytest.fixture(scope="session")
def fitted_mdata(small_cohort):
    """The cohort that `fitted` was fitted to; not to be changed."""
    return small_cohort()


@pytest.fixture(scope="session")
def fitted(small_fit, fitted_mdata):
    """A model with every role filled; not to be changed."""
    return small_fit(fitted_mdata)
