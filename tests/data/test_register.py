"""Registration finds what is wrong, and leaves the user's object alone."""

import gc
import weakref

import anndata
import numpy as np
import pandas as pd
import pytest

from mvlatent.data.assemble import mudata_from_anndata
from mvlatent.data.preparation import Preparation
from mvlatent.data.register import guess_views, register_cohort, register_mudata
from mvlatent.data.registered import registered_manager, registered_notes, registered_roles
from mvlatent.data.tables import Tables
from mvlatent.specs import Labels, Roles, Survival, View


def fingerprint(mdata):
    return {
        "uns": dict(mdata.uns),
        "obs": mdata.obs.copy(),
        "columns": {k: list(m.obs.columns) for k, m in mdata.mod.items()},
        "uns of modalities": {k: dict(m.uns) for k, m in mdata.mod.items()},
        "names": {k: list(m.obs_names) for k, m in mdata.mod.items()},
        "x": {k: m.X.copy() for k, m in mdata.mod.items()},
        "obsm": sorted(mdata.obsm),
    }


def test_the_users_object_is_not_changed(mdata, roles):
    before = fingerprint(mdata)
    manager = register_mudata(mdata, roles)
    tables = Tables.from_mudata(manager.adata, registered_roles(manager))
    Preparation.fit(tables, roles).transform(tables)
    after = fingerprint(mdata)
    pd.testing.assert_frame_equal(before.pop("obs"), after.pop("obs"))
    x_before, x_after = before.pop("x"), after.pop("x")
    assert before == after
    assert all(np.array_equal(x_before[k], x_after[k], equal_nan=True) for k in x_before)


def test_private_object_has_the_same_rows_and_shares_the_matrices(mdata, roles):
    manager = register_mudata(mdata, roles)
    private = manager.adata
    assert list(private.obs_names) == list(mdata.obs_names)
    assert np.shares_memory(private["rna"].X, mdata["rna"].X)
    assert set(roles.columns) <= set(private.obs.columns)
    one, two = (Tables.from_mudata(m, roles) for m in (mdata, private))
    assert one.obs_names.tolist() == two.obs_names.tolist()
    for name in roles.views:
        assert np.array_equal(one.views[name].x, two.views[name].x, equal_nan=True)
    pd.testing.assert_frame_equal(one.obs, two.obs)
    assert manager.summary_stats["n_rna"] == 6 and manager.summary_stats["n_batch"] == 2


def test_rows_keep_an_unusual_order_and_patients_without_a_view(mdata, roles):
    part = mdata[list(mdata.obs_names[::-1])].copy()
    part.mod["img"] = part["img"][:8].copy()
    del part.mod["rna"], part.mod["mut"]
    small = Roles({"img": View()}, batch="site")
    manager = register_mudata(part, small)
    assert list(manager.adata.obs_names) == list(part.obs_names) == list(mdata.obs_names[::-1])
    assert Tables.from_mudata(manager.adata, small).views["img"].present.sum() == 8


def test_roles_and_guesses_are_in_the_registry(mdata, roles):
    assert registered_roles(register_mudata(mdata, roles)) == roles
    assert registered_notes(register_mudata(mdata, roles)) == []
    manager = register_mudata(mdata, Roles(batch="site"))
    likelihoods = {k: v.likelihood for k, v in registered_roles(manager).views.items()}
    assert likelihoods == {"mut": "bernoulli", "rna": "normal", "img": "normal"}
    said = "view 'mut': likelihood guessed: bernoulli (zeros and ones)"
    assert said in registered_notes(manager)
    assert registered_roles(manager).batch == "site"


def test_guess_ignores_missing_values(mdata):
    mdata["mut"].X[0, 0] = np.nan
    assert guess_views(mdata)["mut"].likelihood == "bernoulli"
    mdata["mut"].X[0, 0] = 2
    assert guess_views(mdata)["mut"].likelihood == "ordinal"


def test_missing_sites_are_registered_as_unknown(mdata):
    mdata.obs["site"] = mdata.obs["site"].astype(object)
    mdata.obs.loc["p01", "site"] = None
    manager = register_mudata(mdata, Roles(batch="site"))
    assert manager.summary_stats["n_batch"] == 3


def test_a_manager_is_found_by_its_object_and_not_kept_alive(mdata, roles):
    copy = mdata.copy()
    manager = register_mudata(mdata, roles)
    assert registered_manager(mdata) is manager
    with pytest.raises(ValueError, match="not set up"):
        registered_manager(copy)
    newer = register_mudata(mdata, roles)
    assert registered_manager(mdata) is newer
    register_mudata(copy, roles)
    gone = weakref.ref(copy)
    del copy
    gc.collect()
    assert gone() is None


OF = "outcome_specs"


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"batch": "sites"}, KeyError, r"'sites'.*did you mean 'site'.*'age'"),
        ({"clinical": ("weight",)}, KeyError, r"'weight' is not in mdata.obs.*'site'"),
        ({OF: [Survival("days", "event")]}, KeyError, r"survival column 'days'"),
        ({OF: [Labels("subtyp")]}, KeyError, r"labels 'subtyp'.*'subtype'"),
        ({"batch": "plate"}, KeyError, r"write 'rna:plate'"),
        ({"views": {"cnv": View()}}, KeyError, r"no view 'cnv'.*'mut', 'rna', 'img'"),
        ({"views": {"rna": View(layer="tpm")}}, KeyError, r"'rna' has no layer 'tpm'"),
        ({OF: [Survival("months", "arm")]}, ValueError, r"must be 0/1.*'x', 'y'"),
        ({OF: [Survival("arm", "event")]}, ValueError, r"time 'arm' holds 'x'"),
        ({OF: [Survival("purity_less", "event")]}, ValueError, r"negative for 'p00'"),
        ({OF: [Survival("months", "gaps")]}, ValueError, r"'gaps' is missing.*'p02'"),
        (
            {OF: [Survival("months", "never")]},
            ValueError,
            r"'never' has no events at all",
        ),
        (
            {OF: [Survival("to_death", "event")]},
            ValueError,
            r'\["to_death", "to_last"\]',
        ),
        (
            {OF: [Labels("empty")]},
            ValueError,
            r"labels 'empty' have no value in any row",
        ),
        ({"clinical": ("empty",)}, ValueError, r"'empty' has no value in any row"),
    ],
)
def test_errors_come_at_once_and_name_the_offender(mdata, roles, change, kind, message):
    obs = mdata.obs
    obs["purity_less"] = obs["purity"] - 10
    obs["gaps"] = obs["event"].where(obs.index != "p02")
    obs["arm"] = ["x", "y"] * 20
    obs["never"] = 0
    obs["to_death"] = obs["months"].where(obs["event"] == 1)
    obs["to_last"] = obs["months"].where(obs["event"] == 0)
    obs["empty"] = np.nan
    with pytest.raises(kind, match=message) as error:
        register_mudata(mdata, Roles(**{**vars(roles), **change}))
    assert "\n" not in error.value.args[0]


def test_duplicated_patients(mdata, roles):
    mdata["mut"].obs_names = ["p00", *mdata["mut"].obs_names[:-1]]
    with pytest.raises(ValueError, match=r"patients of view 'mut' occur more than once: 'p00'"):
        register_mudata(mdata, roles)


def test_anndata_with_obsm_views(mdata):
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.normal(size=(20, 3)), obs=mdata.obs.iloc[:20].copy())
    adata.layers["tpm"] = rng.uniform(size=(20, 3))
    block = rng.normal(size=(20, 2))
    block[[4, 7]] = np.nan
    adata.obsm["img"] = block
    adata.obsm["mut"] = pd.DataFrame({"TP53": [0, 1] * 10}, index=adata.obs_names)
    views = {"rna": View(layer="tpm"), "img": View(), "mut": View("bernoulli")}
    roles = Roles(views, batch="site")
    made = mudata_from_anndata(adata, views)
    manager = register_mudata(made, roles, owner=adata)
    assert registered_manager(adata) is manager
    tables = Tables.from_mudata(manager.adata, roles)
    assert tables.obs_names.tolist() == list(adata.obs_names)
    assert np.allclose(tables.views["rna"].x, adata.layers["tpm"])
    assert np.flatnonzero(~tables.views["img"].present).tolist() == [4, 7]
    assert tables.views["img"].features == ["img_0", "img_1"]
    assert tables.views["mut"].features == ["TP53"]
    assert "_scvi_uuid" not in adata.uns and list(adata.obsm) == ["img", "mut"]
    with pytest.raises(KeyError, match=r"'cnv' is not in adata.obsm; it has 'img', 'mut'"):
        mudata_from_anndata(adata, {"rna": "normal", "cnv": "normal"})
    fewer = mudata_from_anndata(adata, {"rna": "normal", "cnv": "normal"}, allow_missing=True)
    assert "cnv" not in fewer.mod
    with pytest.raises(KeyError, match=r"no layer 'raw'"):
        mudata_from_anndata(adata, {"rna": View(layer="raw")})
    assert list(mudata_from_anndata(adata, {}).obs_names) == list(adata.obs_names)  # no view
    with pytest.raises(ValueError, match="name the views"):
        register_cohort(adata, Roles())
    adata.obs_names = ["p00", "p00", *adata.obs_names[2:]]
    with pytest.raises(ValueError, match="more than once: 'p00'"):
        mudata_from_anndata(adata, views)
