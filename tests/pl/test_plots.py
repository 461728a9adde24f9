from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mvlatent import pl, sim, tl


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def demo():
    mdata, truth = sim.cohort("demo", n=150)
    mdata.obsm["X_mvlatent"] = sim.oracle(truth).to_numpy()
    return mdata, truth


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_latent_draws_every_patient_once_by_category(demo):
    mdata, truth = demo
    ax = pl.latent(mdata, color="subtype")
    drawn = np.concatenate([points.get_offsets() for points in ax.collections])
    assert len(drawn) == 150
    assert _legend(ax)[0] == "missing"
    assert set(_legend(ax)[1:]) == set(truth.subtype)
    faces = {tuple(points.get_facecolor()[0]) for points in ax.collections}
    assert len(faces) == len(_legend(ax))


def test_latent_draws_two_given_dimensions_as_they_are_and_numbers_with_a_bar():
    z = np.random.default_rng(0).standard_normal((20, 2))
    values = np.arange(20.0)
    values[3] = np.nan
    ax = pl.latent(z, color=pd.Series(values, name="age"))
    grey, coloured = ax.collections
    np.testing.assert_allclose(grey.get_offsets(), z[[3]])
    np.testing.assert_allclose(coloured.get_array(), np.delete(values, 3))
    assert ax.figure.axes[1].get_ylabel() == "age"


def test_latent_reduces_many_dimensions_to_their_widest():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 5)) * [0.1, 5, 0.1, 3, 0.1]
    ax = pl.latent(z, title="here", ax=plt.subplots()[1])
    drawn = ax.collections[0].get_offsets()
    assert abs(np.corrcoef(drawn[:, 0], z[:, 1])[0, 1]) > 0.95
    assert abs(np.corrcoef(drawn[:, 1], z[:, 3])[0, 1]) > 0.95
    assert ax.get_title(loc="left") == "here"


def test_latent_names_what_is_missing(demo):
    with pytest.raises(KeyError, match="X_mvlatent"):
        pl.latent(demo[0], basis="X_pca")
    with pytest.raises(KeyError, match="subtype"):
        pl.latent(demo[0], color="grade")
    with pytest.raises(ValueError, match="pca, umap"):
        pl.latent(np.eye(3), method="tsne")


@pytest.mark.parametrize("groups", [2, 3])
def test_kaplan_meier_curves_and_counts_are_those_of_the_groups(demo, groups):
    from lifelines import KaplanMeierFitter

    truth = demo[1]
    ax = pl.kaplan_meier(truth.log_hazard, truth.time, truth.event, groups=groups)
    assert len(_legend(ax)) == groups
    low = truth.log_hazard <= np.quantile(truth.log_hazard, 1 / groups)
    expected = KaplanMeierFitter().fit(truth.time[low], truth.event[low]).survival_function_
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(x, expected.index)
    np.testing.assert_allclose(y, expected.iloc[:, 0])
    texts = [text.get_text() for text in ax.texts]
    first = texts.index("low risk")
    ticks = len(ax.get_xticks())
    counts = [int(text) for text in texts[first + 1 : first + 1 + ticks]]
    assert counts == [(truth.time[low] >= tick).sum() for tick in ax.get_xticks()]
    assert counts[0] == 150 // groups


def test_kaplan_meier_states_the_log_rank_p_value():
    from lifelines.statistics import logrank_test

    rng = np.random.default_rng(1)
    time, event = rng.exponential(size=60), np.ones(60)
    group = np.repeat(["a", "b"], 30)
    ax = pl.kaplan_meier(group, time, event, at_risk=False)
    p = logrank_test(time[:30], time[30:]).p_value
    assert ax.get_legend().get_title().get_text() == f"log-rank p = {p:.3f}"
    assert _legend(ax) == ["a", "b"]
    ax = pl.kaplan_meier(group == "a", time, event)
    assert _legend(ax) == ["False", "True"]
    ax = pl.kaplan_meier(group, time, 0 * event, at_risk=False)
    assert not ax.get_legend().get_title().get_text()


def test_many_groups_with_long_names_leave_room_for_their_curves():
    rng = np.random.default_rng(2)
    time, group = rng.exponential(size=90), np.arange(90) % 9
    names = np.array([f"a subtype with a long name {k}" for k in range(9)])
    few = pl.kaplan_meier(group % 2 > 0, time, np.ones(90))
    many = pl.kaplan_meier(names[group], time, np.ones(90))
    rooms = []
    for ax in (few, many):
        ax.figure.canvas.draw()
        rooms.append(ax.get_window_extent())
    assert rooms[1].width > 0.8 * rooms[0].width and rooms[1].height > 0.8 * rooms[0].height


def test_kaplan_meier_leaves_unobserved_patients_out_and_refuses_one_group():
    time = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    ax = pl.kaplan_meier([1.0, 2, 3, 4, 5], time, [1, 1, 1, 1, np.nan])
    assert "2" in [text.get_text() for text in ax.texts]
    with pytest.raises(ValueError, match="fewer than two groups"):
        pl.kaplan_meier(np.ones(4), time[:4], np.ones(4))
    with pytest.raises(ValueError, match="2 or 3"):
        pl.kaplan_meier(np.arange(4.0), time[:4], np.ones(4), groups=5)


def test_variance_bars_stand_side_by_side():
    table = pd.DataFrame(
        {"rna": [0.4, 0.2, -0.1], "img": [0.1, np.nan, 0.3]},
        index=["shared", "private", "technical"],
    )
    ax = pl.variance_explained(table)
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(3, 2)
    np.testing.assert_allclose(heights, [[0.4, 0.1], [0.2, 0], [0, 0.3]])
    assert all(bar.get_y() == 0 for bar in ax.patches)
    left = np.array([bar.get_x() for bar in ax.patches]).reshape(3, 2)
    assert (np.diff(left, axis=0) > 0).all()
    assert _legend(ax) == ["shared", "private", "technical"]


def test_variance_of_many_factors_is_a_heatmap():
    table = pd.DataFrame(np.random.default_rng(0).random((8, 3)), columns=["a", "b", "c"])
    ax = pl.variance_explained(table)
    np.testing.assert_allclose(ax.images[0].get_array(), table)
    assert len(ax.texts) == 24
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]


def test_history_pairs_train_and_validation_and_drops_empty_columns():
    table = pd.DataFrame(
        {
            "elbo_train": [3.0, 2.0, 1.0],
            "elbo_validation": [3.5, np.nan, 1.5],
            "kl": [0.0, 1.0, 2.0],
            "never": [np.nan] * 3,
        }
    )
    axes = pl.history(table)
    assert [ax.get_title(loc="left") for ax in axes] == ["elbo", "kl"]
    assert [len(ax.lines) for ax in axes] == [2, 1]
    np.testing.assert_allclose(axes[0].lines[1].get_xdata(), [0, 2])
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), table["kl"])
    of_model = pl.history(SimpleNamespace(history=table))
    assert [ax.get_title(loc="left") for ax in of_model] == [
        ax.get_title(loc="left") for ax in axes
    ]
    only = pl.history(table, terms=["kl"], ax=plt.subplots()[1])
    assert len(only) == 1
    with pytest.raises(KeyError, match="kl"):
        pl.history(table, terms=["head"])
    with pytest.raises(ValueError, match="do not fit"):
        pl.history(table, ax=plt.subplots()[1])


def test_d_calibration_bars_are_the_shares():
    result = tl.d_calibration(np.ones(4), np.ones(4), [0.05, 0.15, 0.15, 0.95])
    ax = pl.d_calibration(result)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], result.share)
    assert ax.get_title(loc="right").startswith("p = ")
