"""A small cohort whose oddities are known."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from mvlatent.specs import Labels, Roles, Survival, View

N = 40


def make_mudata(seed: int = 0, n: int = N) -> mudata.MuData:
    """Return rna (all patients, own order), mut (0/1) and img (without the first 10, one NaN)."""
    rng = np.random.default_rng(seed)
    names = np.array([f"p{i:02d}" for i in range(n)])
    order = rng.permutation(n)
    rna = anndata.AnnData(
        rng.lognormal(size=(n, 6)).astype(np.float32)[order],
        obs=pd.DataFrame({"plate": names[order]}, index=names[order]),
        var=pd.DataFrame(index=[f"g{j}" for j in range(6)]),
    )
    bits = rng.integers(0, 2, size=(n, 4)).astype(np.float32)
    bits[:2] = [[0], [1]]
    mut = anndata.AnnData(
        bits, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=[f"m{j}" for j in range(4)])
    )
    pixels = rng.normal(size=(n - 10, 5)).astype(np.float32)
    pixels[3, 2] = np.nan
    img = anndata.AnnData(
        pixels,
        obs=pd.DataFrame(index=names[10:]),
        var=pd.DataFrame(index=[f"i{j}" for j in range(5)]),
    )
    obs = pd.DataFrame(
        {
            "site": pd.Categorical(np.where(np.arange(n) % 3 == 0, "A", "B")),
            "purity": rng.uniform(size=n),
            "age": rng.normal(60, 10, size=n),
            "is_female": rng.integers(0, 2, size=n),
            "stage": pd.Categorical(rng.choice(["I", "II", "III"], size=n)),
            "months": rng.exponential(20, size=n) + 0.1,
            "event": (np.arange(n) % 2).astype(int),
            "subtype": pd.Categorical(rng.choice(["basal", "luminal"], size=n)),
        },
        index=names,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.MuData({"mut": mut, "rna": rna, "img": img}, obs=obs)


@pytest.fixture
def mdata() -> mudata.MuData:
    return make_mudata()


@pytest.fixture
def roles() -> Roles:
    return Roles(
        {"rna": View("normal"), "mut": View("bernoulli"), "img": View("normal")},
        batch="site",
        technical=("purity",),
        clinical=("age", "is_female", "stage"),
        outcome_specs=(Survival("months", "event"), Labels("subtype")),
    )
