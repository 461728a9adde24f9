"""A Series is aligned by its index or refused, in every function that takes two of them."""

import inspect
import warnings
from dataclasses import fields, is_dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvlatent import pl, tl
from mvlatent.tl._align import align, align_entries, aligned

N = 40
NAMES = [f"P{i:02d}" for i in range(N)]
RNG = np.random.default_rng(0)
TIME = pd.Series(RNG.exponential(10.0, N) + 0.1, NAMES)
EVENT = pd.Series((RNG.random(N) < 0.7).astype(int), NAMES)
RISK = pd.Series(RNG.normal(size=N) - 0.1 * TIME.to_numpy(), NAMES)
SITE = pd.Series(np.tile(["x", "y"], N // 2), NAMES)
ENTRY = 0.3 * TIME
AT = np.linspace(0.5, 40.0, 12)
CURVES = pd.DataFrame(np.exp(-np.outer(AT, np.exp(0.3 * RISK)) / 15), AT, NAMES)
OWN = pd.Series(RNG.uniform(0.05, 0.95, N), NAMES)
LABEL = pd.Series(np.where(RISK > 0, "a", "b"), NAMES)
P = pd.DataFrame({"a": RNG.uniform(0.1, 0.9, N)}, NAMES).assign(b=lambda t: 1 - t["a"])
Z = pd.DataFrame(RNG.normal(size=(N, 2)), NAMES, ["z0", "z1"])
W = pd.DataFrame(RNG.normal(size=(N, 2)), NAMES, ["w0", "w1"])
LOW, HIGH = Z - 1, Z + 1
FACTORS = pd.DataFrame({"f": Z["z0"] + 0.1 * W["w0"], "g": SITE}, NAMES)
OUTCOME = {"time": TIME, "event": EVENT}
FOLDS = pd.Series(RNG.random(6), [f"fold {i}" for i in range(6)])


class Drawn:
    """A posterior of Z."""

    mean, obs_names = Z.to_numpy(), tuple(NAMES)

    def sample(self, n, *, seed):
        noise = np.random.default_rng(seed).normal(size=(n, *self.mean.shape))
        return self.mean + 0.1 * noise


def lines(ax):
    drawn = [np.asarray(line.get_xydata(), float) for line in ax.get_lines()]
    drawn += [np.asarray(path.vertices, float) for c in ax.collections for path in c.get_paths()]
    plt.close("all")
    return drawn


def coloured(data, color):
    """Where each colour stands."""
    ax = pl.latent(data, color=color)
    drawn = [np.sort(np.asarray(c.get_offsets()), axis=0) for c in ax.collections]
    plt.close("all")
    return drawn


# name to how it is called and what it takes; columns that hold patients are said by `aligned`
CASES = {
    "tl.concordance": (tl.concordance, {**OUTCOME, "risk": RISK, "within": SITE, "entry": ENTRY}),
    "tl.concordance, learnt elsewhere": (
        lambda a, b: tl.concordance(TIME, EVENT, RISK, kind="uno", train=(a, b)),
        {"a": TIME, "b": EVENT},
    ),
    "tl.bootstrap_interval": (
        lambda **k: tl.bootstrap_interval(**k, n_bootstrap=5),
        {**OUTCOME, "risk": RISK, "within": SITE},
    ),
    "tl.time_dependent_auc": (
        lambda **k: tl.time_dependent_auc(**k, times=[8.0]),
        {**OUTCOME, "risk": RISK},
    ),
    "tl.time_dependent_auc of curves": (tl.time_dependent_auc, {**OUTCOME, "risk": 1 - CURVES}),
    "tl.integrated_auc": (
        lambda **k: tl.integrated_auc(**k, times=[4.0, 8.0]),
        {**OUTCOME, "risk": RISK},
    ),
    "tl.brier": (tl.brier, {**OUTCOME, "survival": CURVES}),
    "tl.integrated_brier": (tl.integrated_brier, {**OUTCOME, "survival": CURVES}),
    "tl.d_calibration": (tl.d_calibration, {**OUTCOME, "survival": CURVES}),
    "tl.d_calibration of own times": (tl.d_calibration, {**OUTCOME, "survival": OWN}),
    "tl.horizon_calibration": (
        lambda **k: tl.horizon_calibration(**k, horizon=8.0),
        {**OUTCOME, "survival": CURVES},
    ),
    "tl.horizon_calibration of one": (
        lambda **k: tl.horizon_calibration(**k, horizon=8.0),
        {**OUTCOME, "survival": OWN},
    ),
    "tl.log_likelihood": (
        lambda **k: tl.log_likelihood(**k, floor=1e-4),
        {**OUTCOME, "survival": CURVES},
    ),
    "tl.conformal_survival": (
        lambda **k: tl.conformal_survival(**k, level=0.6).lower(CURVES, group=SITE),
        {**OUTCOME, "survival": CURVES, "group": SITE},
    ),
    "ConformalSurvival.lower": (
        lambda survival, group: tl.conformal_survival(
            TIME, EVENT, CURVES, level=0.6, group=SITE
        ).lower(survival, group=group),
        {"survival": CURVES, "group": SITE},
    ),
    "tl.reliability": (tl.reliability, {"labels": LABEL, "probabilities": P}),
    "tl.expected_calibration_error": (
        tl.expected_calibration_error,
        {"labels": LABEL, "probabilities": P},
    ),
    "tl.risk_coverage": (tl.risk_coverage, {"labels": LABEL, "probabilities": P}),
    "tl.conformal_labels": (
        lambda **k: tl.conformal_labels(**k, level=0.6, score="lac").sets(P, group=SITE),
        {"labels": LABEL, "probabilities": P, "group": SITE},
    ),
    "ConformalLabels.sets": (
        lambda probabilities, group: tl.conformal_labels(
            LABEL, P, level=0.6, score="lac", group=SITE
        ).sets(probabilities, group=group),
        {"probabilities": P, "group": SITE},
    ),
    "tl.paired_difference": (tl.paired_difference, {"a": FOLDS, "b": 1 - FOLDS**2}),
    "tl.coverage": (tl.coverage, {"lower": LOW, "upper": HIGH, "truth": 1.3 * Z}),
    "tl.interval_calibration": (
        lambda lower, upper, truth: tl.interval_calibration({0.9: (lower, upper)}, truth),
        {"lower": LOW, "upper": HIGH, "truth": 2 * Z},
    ),
    "tl.latent_calibration": (
        lambda truth: tl.latent_calibration(Drawn(), truth, n_samples=50),
        {"truth": Z},
    ),
    "tl.site_audit": (
        lambda **k: tl.site_audit(**k, n_permutations=2),
        {"latent": Z, "site": SITE, "biology": LABEL},
    ),
    "tl.block_recovery": (tl.block_recovery, {"latent": Z, "truth": Z + 0.3 * W.to_numpy()}),
    "tl.leakage": (
        lambda latent, a, b: tl.leakage(latent, {"a": a, "b": b}),
        {"latent": Z, "a": W, "b": Z},
    ),
    "tl.disentanglement": (
        lambda z, a, b: tl.disentanglement({"shared": z}, {"shared": a, "private:a": b}),
        {"z": Z, "a": Z, "b": W},
    ),
    "tl.leakage_matrix": (
        lambda z, w, a, b: tl.leakage_matrix(
            {"shared": z, "private:a": w}, {"shared": a, "private:a": b}
        ),
        {"z": Z, "w": W, "a": Z, "b": W},
    ),
    "tl.view_leakage": (
        lambda z, w, x, y: tl.view_leakage({"shared": z, "private:a": w}, {"a": x, "b": y}),
        {"z": Z, "w": W, "x": W, "y": Z},
    ),
    "tl.retrieval": (tl.retrieval, {"za": Z, "zb": Z + 0.5 * W.to_numpy()}),
    "tl.stability": (lambda a, b: tl.stability([a, b]), {"a": Z, "b": Z + 0.5 * W.to_numpy()}),
    "tl.dci": (tl.dci, {"latent": Z, "factors": FACTORS}),
    "tl.mig": (tl.mig, {"latent": Z, "factors": FACTORS}),
    "tl.sap": (tl.sap, {"latent": Z, "factors": FACTORS}),
    "tl.modularity": (tl.modularity, {"latent": Z, "factors": FACTORS}),
    "tl.factor_metrics": (tl.factor_metrics, {"latent": Z, "factors": FACTORS}),
    "tl.mig of a mapping": (
        lambda latent, f, g: tl.mig(latent, {"f": f, "g": g}),
        {"latent": Z, "f": FACTORS["f"], "g": FACTORS["g"]},
    ),
    "pl.kaplan_meier": (
        lambda **k: lines(pl.kaplan_meier(**k)),
        {"risk": RISK, **OUTCOME},
    ),
    "pl.latent": (coloured, {"data": Z, "color": SITE}),
    "pl.latent of a cohort": (
        lambda color: coloured(
            AnnData(obs=pd.DataFrame(index=NAMES), obsm={"X_mvlatent": Z.to_numpy()}), color
        ),
        {"color": SITE},
    ),
    "pl.cumulative_incidence": (
        lambda **k: lines(pl.cumulative_incidence(**k)),
        {"curves": 1 - CURVES[NAMES[:3]], "lower": 0.5 - CURVES[NAMES[:3]] / 2,
         "upper": 1.5 - CURVES[NAMES[:3]]},
    ),
    "pl.time_dependent_auc": (
        lambda **k: lines(pl.time_dependent_auc(**k)),
        {"values": CURVES.iloc[:, 0], "lower": CURVES.iloc[:, 0] / 2, "upper": CURVES.iloc[:, 0]},
    ),
}  # fmt: skip
FIRST = {"tl.latent_calibration", "pl.latent of a cohort"}  # the first index is that of an object
BY_ROW = {"pl.time_dependent_auc"}  # whose index are times

ALONE = {  # one thing of patients, or none: a model, a cohort, what another tool returned
    "tl": """bootstrap bootstrap_difference conformalize cross_view scaled_views latent_blocks
    imputation_calibration variance_explained view_retrieval
    factor_covariates""",  # a table of patients, by name: tests/test_habits.py
    "pl": """cross_view d_calibration factor_metrics forest history path ledger retrieval stability
    horizon_calibration interval_calibration leakage_matrix reliability risk_coverage view_leakage
    survival_curves variance_explained factor_covariates weights overview""",
}
WAYS = ("as it is", "shuffled", "shuffled", "array")
TRIED: set[tuple] = set()

each = pytest.mark.parametrize("name", CASES)


def axis_of(value):
    """Where the patients stand: curves are times × patients."""
    return int(isinstance(value, pd.DataFrame) and value.shape == (len(AT), N))


def shuffled(value, order):
    axis = axis_of(value)
    return value.take([i for i in order if i < value.shape[axis]], axis=axis)


def call(name, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return flat(CASES[name][0](**arguments))


def flat(found):
    """Numbers of a result, in an order that is not that of the patients."""
    if is_dataclass(found):
        return [flat(getattr(found, f.name)) for f in fields(found)]
    if isinstance(found, dict):
        return [flat(found[key]) for key in sorted(found)]
    if isinstance(found, list | tuple):
        return [flat(x) for x in found]
    if isinstance(found, pd.DataFrame):
        found = found.select_dtypes("number")
    if isinstance(found, pd.Series | pd.DataFrame):
        found = found.sort_index()
    values = np.asarray(found, dtype=float)
    return np.sort(values) if values.ndim == 1 else values


def same(a, b):
    if isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@each
def test_shuffled_series_are_aligned(name):
    arguments = CASES[name][1]
    known = call(name, arguments)

    @settings(max_examples=4, deadline=None, suppress_health_check=[*HealthCheck])
    @given(st.lists(st.sampled_from(WAYS), min_size=6, max_size=6), st.integers(0, 2**32 - 1))
    def check(ways, seed):
        rng, changed = np.random.default_rng(seed), {}
        for i, ((key, value), way) in enumerate(zip(arguments.items(), ways, strict=False)):
            if way == "array" and not i and name not in FIRST:
                way = "as it is"  # the others would have another to follow
            order = rng.permutation(N) if way == "shuffled" and (i or name in FIRST) else range(N)
            value = shuffled(value, order)
            named = isinstance(value, pd.DataFrame)  # curves and probabilities need their labels
            changed[key] = value.to_numpy() if way == "array" and not named else value
            TRIED.add((name, key, way, tuple(order)))
        same(call(name, changed), known)

    check()


@each
def test_other_patients_are_refused_by_name(name):
    arguments = CASES[name][1]
    last = [*arguments][-1]
    value = arguments[last]
    axis = axis_of(value)
    if name == "pl.cumulative_incidence":
        axis = 1
    size = value.shape[axis]
    renamed = value.set_axis([f"other {i}" for i in range(size)], axis=axis)
    if name in BY_ROW:
        renamed = value.set_axis(np.arange(size) + 1000.0)
    with pytest.raises(ValueError, match=rf"has no value for {size} of the {size} .*position\."):
        call(name, arguments | {last: renamed})
    one = [*value.axes[axis][:-1], value.axes[axis][0]]
    with pytest.raises(ValueError, match="occurs twice"):
        call(name, arguments | {last: value.set_axis(one, axis=axis)})


def test_every_function_is_covered_or_takes_one_thing_of_patients():
    for folder, module in (("tl", tl), ("pl", pl)):
        functions = {
            k for k in module.__all__ if not inspect.isclass(getattr(module, k)) and k.islower()
        }
        tried = {k.split(" ")[0].strip(",").removeprefix(f"{folder}.") for k in CASES}
        assert functions <= tried | {*ALONE[folder].split()}


# --- the rule ---------------------------------------------------------------------------------


def test_a_swapped_call_of_kaplan_meier_is_refused():
    with pytest.raises(ValueError, match=r"event must be 0/1 or bool, and holds .*in this order\."):
        pl.kaplan_meier(TIME, EVENT, RISK)
    with pytest.raises(ValueError, match="event must hold numbers"):
        pl.kaplan_meier(RISK, TIME, SITE)
    with pytest.raises(ValueError, match="not negative"):
        pl.kaplan_meier(RISK, -TIME, EVENT)
    pl.kaplan_meier(RISK, TIME.where(TIME < 30), EVENT.astype("Int64").where(TIME < 25))
    plt.close("all")


def test_the_order_of_the_first_is_kept_and_arrays_go_by_position():
    a, b = pd.Series([1, 2, 3], list("xyz")), pd.Series([30, 10, 20], list("zxy"))
    first, second, third, none = aligned(a=a, b=b, c=np.arange(3), d=None)
    assert first is a and list(second) == [10, 20, 30] and list(third) == [0, 1, 2] and none is None
    array, first, second = align([("a", np.arange(3)), ("b", b), ("c", a)])
    assert list(second) == [3, 1, 2] and list(array) == [0, 1, 2]
    table = pd.DataFrame([[1, 2]], ["p"], ["u", "v"])
    assert align_entries([("a", table), ("b", table[["v", "u"]])])[1].equals(table)


def test_an_index_that_repeats_is_taken_where_it_is_the_same():
    twice = RISK.iloc[[0, 0, 1]]
    assert aligned(a=twice, b=twice)[1] is twice
    with pytest.raises(ValueError, match="'P00' occurs twice among the patients of b"):
        aligned(a=RISK.iloc[:3], b=twice)


def test_more_patients_than_the_first_are_refused():
    with pytest.raises(ValueError, match="b has 2 patients that a has not, such as 'P38'"):
        aligned(a=RISK[:-2], b=RISK)


def test_how_many_inputs():
    print(f"{len(TRIED)} arguments in an order of their own tried, {len(CASES)} functions")
    assert not TRIED or len(TRIED) > 5
