import inspect
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mvlatent import pl, sim, tl

AT = np.linspace(0, 40, 30)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def truth():
    return sim.cohort("easy", n=200)[1]


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=200)
    labels = np.array([rng.choice(list("abc"), p=row) for row in p])
    return labels, pd.DataFrame(p, columns=list("abc"))


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_survival_curves_are_those_of_the_patients_with_their_bands(truth):
    mean = truth.survival(AT)
    curves = SimpleNamespace(mean=mean, lower=mean**2, upper=mean**0.5)
    names = ["P0007", "P0003"]
    ax = pl.survival_curves(curves, patients=names, unit="days")
    assert _legend(ax) == names
    for line, band, name in zip(ax.lines, ax.collections, names, strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([AT, mean[name]]))
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx((mean[name] ** 2).min())
    assert ax.get_xlabel() == "time (days)"
    assert not pl.survival_curves(mean[names]).collections


def test_many_curves_are_thin_and_their_mean_stands_out(truth):
    mean = truth.survival(AT)
    ax = pl.survival_curves(mean, title="all", ax=plt.subplots()[1])
    assert len(ax.lines) == 201
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), mean.mean(axis=1))
    assert _legend(ax) == ["mean"]
    assert ax.get_title(loc="left") == "all"


def test_curves_that_are_not_there_are_named(truth):
    mean = truth.survival(AT)
    with pytest.raises(KeyError, match=r"nobody.*and 192 more"):
        pl.survival_curves(mean, patients=["nobody"])
    with pytest.raises(ValueError, match="no curve"):
        pl.survival_curves(mean, patients=[])
    with pytest.raises(ValueError, match="both lower and upper"):
        pl.cumulative_incidence(mean, lower=mean)
    with pytest.raises(ValueError, match="shape"):
        pl.cumulative_incidence(mean, lower=mean, upper=mean.iloc[:3])


def test_cumulative_incidence_shows_causes_and_all_of_their_bands():
    curves = pd.DataFrame({"cancer": AT / 80, "other": AT / 200}, index=AT)
    ax = pl.cumulative_incidence(curves, lower=curves * 0.5, upper=curves * 1.5)
    assert _legend(ax) == ["cancer", "other"]
    assert len(ax.collections) == 2
    assert ax.get_ylim()[0] == 0
    assert 0.75 < ax.get_ylim()[1] < 0.9
    only = pl.cumulative_incidence(curves, columns=["other"])
    np.testing.assert_allclose(only.lines[0].get_ydata(), curves["other"])


TIMED = {
    "cumulative_incidence": lambda t: (1 - t.survival(AT),),
    "horizon_calibration": lambda t: (
        tl.horizon_calibration(t.time, t.event, t.survival(AT), 20.0),
    ),
    "kaplan_meier": lambda t: (t.log_hazard, t.time, t.event),
    "survival_curves": lambda t: (t.survival(AT),),
    "time_dependent_auc": lambda t: (pd.Series([0.7, 0.6], index=[5.0, 10.0]),),
}


@pytest.mark.parametrize(
    "name", [n for n in pl.__all__ if "unit" in inspect.signature(getattr(pl, n)).parameters]
)
def test_the_unit_of_time_is_the_users_or_is_not_written(truth, name):
    arguments = TIMED[name](truth)
    bare = getattr(pl, name)(*arguments).get_xlabel()
    assert not any(unit in bare for unit in ("months", "days", "(", "None"))
    assert "days" in getattr(pl, name)(*arguments, unit="days").get_xlabel()


def test_auc_over_time_of_one_model_or_several(truth):
    at = np.quantile(truth.time, [0.2, 0.5, 0.8])
    values = tl.time_dependent_auc(truth.time, truth.event, truth.log_hazard, at)
    ax = pl.time_dependent_auc(values, lower=values - 0.1, upper=values + 0.1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), values)
    assert ax.get_legend() is None
    assert len(ax.collections) == 1
    several = pd.DataFrame({"z": values, "clinical": values - 0.3})
    ax = pl.time_dependent_auc(several)
    assert _legend(ax) == ["z", "clinical"]
    assert ax.get_ylim()[0] < several["clinical"].min()
    with pytest.raises(ValueError, match="9 models"):
        pl.time_dependent_auc(pd.DataFrame(np.full((2, 9), 0.6)))


def test_horizon_calibration_draws_the_curve_and_the_groups(truth):
    found = tl.horizon_calibration(truth.time, truth.event, truth.survival(AT), 20.0)
    ax = pl.horizon_calibration(found)
    diagonal, curve, points = ax.lines
    np.testing.assert_allclose(*diagonal.get_data())
    assert (np.diff(curve.get_xdata()) >= 0).all()
    np.testing.assert_allclose(np.sort(curve.get_ydata()), np.sort(found.observed))
    np.testing.assert_allclose(points.get_ydata(), found.groups["observed"])
    assert ax.get_title(loc="right") == f"ICI {found.ici:.3f}, E90 {found.e90:.3f}"
    assert ax.get_xlim() == ax.get_ylim()


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_points_are_the_table(labelled, strategy):
    table = tl.reliability(*labelled, strategy=strategy)
    ax = pl.reliability(table, title="labels")
    np.testing.assert_allclose(ax.lines[1].get_xydata(), table[["predicted", "observed"]])
    ece = tl.expected_calibration_error(*labelled, strategy=strategy)
    assert ax.get_title(loc="right") == f"ECE = {ece:.3f}"
    area = np.array([bar.get_height() * bar.get_width() for bar in ax.patches])
    np.testing.assert_allclose(area / area.sum(), table["n"] / 200)


def test_risk_coverage_of_one_model_or_several(labelled):
    found = tl.risk_coverage(*labelled)
    ax = pl.risk_coverage(found)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.c_[found.coverage, found.risk])
    assert ax.get_title(loc="right") == f"area {found.area:.3f}"
    assert _legend(pl.risk_coverage({"z": found}))[0].startswith("z (area")


def test_forest_rows_run_from_top_to_bottom_and_unsure_ones_are_grey():
    table = pd.DataFrame(
        {"hr": [2.0, 0.9, 0.5], "lower": [1.2, 0.7, 0.3], "upper": [3.0, 1.2, 0.8]},
        index=["stage", "sex", "z3"],
    )
    ax = pl.forest(table, title="LUAD")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["stage", "sex", "z3"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    intervals, points = ax.lines[0:6:2], ax.lines[1:6:2]
    np.testing.assert_allclose([p.get_xdata()[0] for p in points], table["hr"])
    np.testing.assert_allclose([i.get_xdata() for i in intervals], table[["lower", "upper"]])
    stage, sex, z3 = (p.get_color() for p in points)
    assert stage == z3 != sex
    assert "2.00 (1.20–3.00)" in [text.get_text() for text in ax.texts]
    assert not pl.forest(table, text=False).texts


@pytest.mark.parametrize("span", [1.05, 2.0, 8.0, 60.0, 3000.0])
def test_forest_ticks_are_readable_whatever_the_range(span):
    table = pd.DataFrame({"hr": [1.0], "lower": [span**-0.5], "upper": [span**0.5]})
    ax = pl.forest(table)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    shown = [t for t in ax.get_xticks() if low <= t <= high]
    assert 2 <= len(shown) <= 11
    assert low < table["lower"][0] < table["upper"][0] < high


def test_ledger_bars_are_the_shares_with_their_intervals():
    table = pd.DataFrame(
        {"share": [0.5, 0.1], "lower": [0.4, 0.0], "upper": [0.6, 0.3]},
        index=["shared", "technical"],
    )
    ax = pl.ledger(table)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], table["share"])
    (whiskers,) = ax.collections
    ends = np.array([segment[:, 0] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(ends, table[["lower", "upper"]])
    assert "50 % (40–60)" in [text.get_text() for text in ax.texts]
    assert ax.get_xlim()[1] > 0.6


@pytest.mark.parametrize(("draw", "name"), [(pl.forest, "hr"), (pl.ledger, "share")])
def test_tables_that_cannot_be_drawn_are_named(draw, name):
    good = pd.DataFrame({name: [0.5], "lower": [0.4], "upper": [0.6]})
    with pytest.raises(KeyError, match="upper"):
        draw(good.drop(columns="upper"))
    with pytest.raises(ValueError, match="empty"):
        draw(good.iloc[:0])
    with pytest.raises(ValueError, match="not finite"):
        draw(good.assign(upper=np.nan))
    with pytest.raises(ValueError, match="within its bounds"):
        draw(good.assign(lower=0.55))
    if name == "hr":
        with pytest.raises(ValueError, match="positive"):
            draw(good.assign(lower=0.0))


def test_one_patient_may_be_named_by_a_string(truth):
    ax = pl.survival_curves(truth.survival(AT), patients="P0007")
    assert _legend(ax) == ["P0007"]
    with pytest.raises(ValueError, match="not a Series"):
        pl.survival_curves(truth.survival(AT)["P0007"])


def test_a_horizon_in_days_is_written_out():
    rng = np.random.default_rng(0)
    time, p = 2000 * rng.exponential(size=100), rng.uniform(0.3, 0.4, size=100)
    found = tl.horizon_calibration(time, np.ones(100), p, 1825.0)
    ax = pl.horizon_calibration(found, unit="days")
    assert ax.get_xlabel() == "predicted risk by 1,825 days"
