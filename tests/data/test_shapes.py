"""A cohort of the wrong shape is refused by its views' names; what may be wrong is noted."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import mvlatent as mv
from mvlatent.data.preparation import Preparation
from mvlatent.data.register import register_mudata
from mvlatent.data.shape import FEWEST
from mvlatent.specs import Roles, View

N = 40
IDS = [f"P{i}" for i in range(N)]
TCGA = [f"TCGA-{i // 36:02d}-A{i:03d}" for i in range(N)]
RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(N, p)) for p in (8, 9, 5))
QUICK = {"max_epochs": 2, "progress": False}


def table(x, rows=IDS, columns=None, prefix="g"):
    columns = [f"{prefix}{j}" for j in range(x.shape[1])] if columns is None else columns
    return anndata.AnnData(x, obs=pd.DataFrame(index=list(rows)), var=pd.DataFrame(index=columns))


def cohort(obs=None, **views):
    made = {k: v if isinstance(v, anndata.AnnData) else table(v) for k, v in views.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.MuData(made, **({} if obs is None else {"obs": obs}))


def notes(mdata, roles=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager = register_mudata(mdata, roles or Roles())
        found = Preparation.fit(manager.tables, manager.roles, notes=manager.notes).notes
    return [note for note in found if "likelihood guessed" not in note]


def renamed(how, ids):
    """The names of the same patients as other tables have them."""
    return {
        "sample": [f"{i}-01A" for i in ids],
        "aliquot": [f"{i}-01A-11R-A131-07" for i in ids],
        "dots": [i.replace("-", ".") + ".01" for i in ids],
        "lower": [i.lower() for i in ids],
    }[how]


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    st.sampled_from(["sample", "aliquot", "dots", "lower"]),
    st.sampled_from(["P", "TCGA"]),
    st.booleans(),
    st.integers(20, N),
)
def test_views_without_a_common_patient(how, kind, swapped, n):
    ids = (IDS if kind == "P" else TCGA)[:n]
    names = [ids, renamed(how, ids)]
    one, two = reversed(names) if swapped else names
    mdata = cohort(a=table(A[:n], one), b=table(B[:n], two, prefix="h"))
    with pytest.raises(ValueError, match=r"views 'a' and 'b' have no patient in common: ") as error:
        register_mudata(mdata, Roles())
    said = str(error.value)
    assert one[0] in said and two[0] in said and said.endswith(".")
    assert f"{n} would agree" in said
    line = said.split("would agree: ")[1].split(", and make")[0]
    mods = {k: m.copy() for k, m in mdata.mod.items()}
    holder = {"mdata": mods}
    exec(line, holder)  # the advice is right when it is pasted
    assert set(mods["a"].obs_names) == set(mods["b"].obs_names), line
    register_mudata(cohort(**mods), Roles())


def test_views_that_no_cut_joins():
    mdata = cohort(a=A, b=table(B, [f"Q{i}x" for i in range(N)]))
    with pytest.raises(ValueError, match=r"name the patients alike in all views\.$"):
        register_mudata(mdata, Roles())


@pytest.mark.parametrize("shared", [1, 5, 6, 9])
def test_views_that_few_patients_join(shared):
    mdata = cohort(a=table(A[:20], IDS[:20]), b=table(B[20 - shared :], IDS[20 - shared :]))
    if shared < FEWEST:
        with pytest.raises(ValueError, match=rf"have only {shared} patients? in common, and need"):
            register_mudata(mdata, Roles())
    else:
        assert np.isfinite(mv.fit(mdata, **QUICK).transform()).all()


@pytest.mark.parametrize("rows", [IDS, [f"{i}-01A" for i in IDS]])
def test_columns_of_other_patients(rows):
    obs = pd.DataFrame({"site": ["A", "B"] * (N // 2)}, index=[f"{i}-01A" for i in IDS])
    mdata = cohort(obs.reindex([*IDS, *obs.index] if rows is not IDS else IDS), a=A, b=B)
    with pytest.raises(ValueError, match=r"mdata.obs holds nothing of the patients of any view"):
        register_mudata(mdata, Roles(batch="site"))


def test_a_third_view_may_join_two():
    mdata = cohort(a=table(A[:20], IDS[:20]), b=table(B[20:], IDS[20:]), c=C)
    assert register_mudata(mdata, Roles()).tables.views["c"].present.all()


def test_two_views_and_one_apart_name_that_one():
    mdata = cohort(a=A, b=B, c=table(C, [f"{i}-01A" for i in IDS]))
    with pytest.raises(ValueError, match=r"views 'a' and 'c' have no patient"):
        register_mudata(mdata, Roles())


def known(ids):
    return pd.DataFrame({"age": np.arange(N) + 40.0}, index=IDS).reindex(ids)


SIDEWAYS = {
    "the second": lambda: cohort(
        known([*IDS, *(f"g{j}" for j in range(9))]),
        a=A,
        b=table(B.T, [f"g{j}" for j in range(9)], IDS),
    ),
    "the second, with other genes": lambda: cohort(
        known([*IDS, *(f"h{j}" for j in range(9))]),
        a=A,
        b=table(B.T, [f"h{j}" for j in range(9)], IDS),
    ),
    "the only one": lambda: cohort(b=table(B.T, [f"h{j}" for j in range(9)], TCGA)),
    "of three": lambda: cohort(a=A, b=table(B.T, [f"h{j}" for j in range(9)], IDS), c=C),
    "all barcodes": lambda: cohort(
        a=table(A, TCGA), b=table(B.T, [f"h{j}" for j in range(9)], TCGA)
    ),
}


@pytest.mark.parametrize("make", SIDEWAYS.values(), ids=SIDEWAYS)
def test_a_table_on_its_side(make):
    with pytest.raises(ValueError, match=r"view 'b' is on its side.*mdata\['b'\]\.T.*\.$"):
        register_mudata(make(), Roles())


def test_a_new_table_on_its_side():
    model = mv.fit(cohort(a=A, b=B), **QUICK)
    turned = cohort(a=table(A.T, [f"g{j}" for j in range(8)], IDS))
    with pytest.raises((KeyError, ValueError), match=r"view 'a' is on its side"):
        model.transform(turned)


def test_numbers_as_names_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = mudata.MuData({"a": anndata.AnnData(A), "b": anndata.AnnData(B)})
    assert notes(mdata) == []


def test_sound_views_are_not_commented_on():
    counts = sparse.csr_matrix(RNG.poisson(3, (N, 12)).astype("f4"))
    bits = (RNG.random((N, 7)) < 0.3).astype("f4")
    assert notes(cohort(a=A, b=B, c=table(counts), d=bits)) == []


def test_some_barcodes_are_longer():
    rows = [f"{i}-01A" if k < 12 else i for k, i in enumerate(TCGA)]
    (note,) = notes(cohort(a=table(A, TCGA), b=table(B, rows, prefix="h")))
    assert note.startswith("12 patients of view 'b' are in no other view")
    assert ".str[:12]" in note


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("n", range(FEWEST + 1))
def test_a_view_of_few_patients(n, decoder):
    mdata = cohort(a=A, b=B, c=table(C[:n], IDS[:n]))
    if n >= FEWEST:
        assert "c" in mv.fit(mdata, decoder=decoder, **QUICK).roles.views
        return
    with pytest.warns(UserWarning, match=rf"view 'c' is left out: {n} patient"):
        model = mv.fit(mdata, decoder=decoder, **QUICK)
    assert list(model.roles.views) == ["a", "b"] and "view 'c' is left out" in model.summary()
    assert np.isfinite(model.transform(mdata)).all()


def test_few_patients_of_the_only_view():
    mdata = cohort(a=A, c=table(C[:2], IDS[:2]))
    with pytest.raises(ValueError, match=r"no view is left: .* 2 of 'c'; .*\.$"):
        register_mudata(mdata, Roles({"c": View()}))


def test_a_view_in_one_fold_alone():
    obs = pd.DataFrame(
        {"time": RNG.exponential(10, N) + 0.1, "event": np.arange(N) % 2}, index=IDS
    ).assign(fold=np.repeat([0, 1], N // 2))
    mdata = cohort(obs, a=A, b=table(B[:10], IDS[:10]))
    found = mv.study.out_of_fold(mdata, survival=("time", "event"), folds="fold", **QUICK)
    assert np.isfinite(found.table["risk"]).all()


def test_a_view_of_one_site():
    obs = pd.DataFrame({"site": np.where(np.arange(N) < 20, "A", "B")}, index=IDS)
    mdata = cohort(obs, a=A, b=table(B[:20], IDS[:20]))
    (note,) = notes(mdata, Roles(batch="site"))
    assert note.startswith("view 'b': only patients of site 'A' have it")


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_a_view_filled_with_zeros(make):
    x = RNG.poisson(6, (N, 9)).astype("f4")
    x[[3, 17, 20]] = 0
    (note,) = notes(cohort(a=A, b=table(make(x))))
    assert note.startswith("view 'b': 3 patients have 0 in every feature")
    assert "'P3', 'P17', 'P20'" in note


def test_a_continuous_view_filled_with_zeros_or_means():
    for fill in (0.0, B.mean(axis=0)):
        x = B.copy()
        x[[2, 5]] = fill
        found = notes(cohort(a=A, b=x))
        assert len(found) == 1 and "view 'b': 2 patients have" in found[0]


@pytest.mark.parametrize("code", [-2147483648, -9999, -999, -99999])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_codes_of_missing_values(code, make):
    x = RNG.poisson(6, (N, 9)).astype("f4")
    x[[3, 4], [2, 2]] = code
    with pytest.raises(ValueError, match=rf"'b' holds {code} .*2 of them in 'g2' .*'P3'.*NaN\.$"):
        register_mudata(cohort(a=A, b=table(make(x))), Roles())


def test_a_new_patient_is_held_to_the_same():
    model = mv.fit(cohort(a=A, b=B), **QUICK)
    x = B[:3].copy()
    x[1, 4] = -9999
    with pytest.raises(ValueError, match=r"view 'b' holds -9999 .*'g4' \(first of patient 'P1'\)"):
        model.transform(cohort(a=table(A[:3], IDS[:3]), b=table(x, IDS[:3])))


def test_a_number_among_others_of_its_size_is_no_code():
    x = RNG.normal(scale=3000, size=(N, 9)).round()
    x[3, 2] = -999
    assert notes(cohort(a=A, b=x)) == []


def test_a_likely_code_is_noted():
    x = B.copy()
    x[3, 2] = -99
    (note,) = notes(cohort(a=A, b=x))
    assert "'g2' hold -99, far from all other values" in note


def test_copies_are_noted():
    x = B.copy()
    x[:, 4] = x[:, 1]
    assert notes(cohort(a=A, b=x)) == ["view 'b': 1 features are copies of others: 'g4 of g1'"]
    (note,) = notes(cohort(a=A, b=table(A[:, ::-1])))
    assert "view 'b' has 8 of its 8 features in common with view 'a'" in note


def test_summary_counts_patients_and_views(tmp_path):
    mdata = cohort(a=A, b=table(B[:30], IDS[:30]))
    model = mv.fit(mdata, **QUICK)
    model.save(tmp_path / "m")
    for text in (model.summary(), mv.MVLatent.load(tmp_path / "m").summary()):
        assert "9 features of 30 patients" in text and "8 features of 40 patients" in text
        assert "views a patient: 1 (10 patients), 2 (30 patients)" in text
