import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from mvlatent import pl, tl


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def _ticks(labels):
    return [label.get_text() for label in labels]


@pytest.fixture(scope="module")
def blocks():
    rng = np.random.default_rng(0)
    z, w, v = rng.standard_normal((3, 200, 2))
    return {"shared": z, "private:rna": w + 0.7 * z, "private:img": v}, {
        "shared": z,
        "shared:rna+img": z[:, :1] ** 2,
        "private:rna": w,
        "private:img": v,
    }


def test_leakage_heatmap_frames_what_belongs_together(blocks):
    result = tl.leakage_matrix(*blocks)
    ax = pl.leakage_matrix(result)
    np.testing.assert_allclose(ax.images[0].get_array(), result.beyond.clip(0, 1))
    frames = {
        (round(p.get_y() + 0.47), round(p.get_x() + 0.47))
        for p in ax.patches
        if isinstance(p, Rectangle)
    }
    assert frames == {(0, 0), (0, 1), (1, 2), (2, 3)}
    assert _ticks(ax.get_xticklabels()) == [*blocks[1]]
    assert _ticks(ax.get_yticklabels()) == [*blocks[0]]
    assert f"largest leak {result.leak_max:.2f}" in ax.get_title(loc="left")
    plain = pl.leakage_matrix(result, conditional=False, title="here", ax=plt.subplots()[1])
    np.testing.assert_allclose(plain.images[0].get_array(), result.table.clip(0, 1))
    assert plain.get_title(loc="left") == "here"
    assert "-0.00" not in [text.get_text() for text in ax.texts]


def test_view_leakage_heatmap_shows_shared_alone_and_private_beyond(blocks):
    latents = blocks[0]
    views = {name: latents["shared"] + latents[f"private:{name}"] for name in ("rna", "img")}
    result = tl.view_leakage(latents, views)
    ax = pl.view_leakage(result)
    drawn = ax.images[0].get_array()
    np.testing.assert_allclose(drawn[0], result.alone.loc["shared"].clip(0, 1))
    np.testing.assert_allclose(drawn[1:], result.beyond.drop("shared").clip(0, 1))
    assert len(ax.patches) == 4


def test_interval_curves_are_the_coverages():
    levels = [0.5, 0.8]
    table = pd.DataFrame(
        {"coverage": [0.4, 0.7], "lower": [0.35, 0.6], "upper": [0.5, 0.75]},
        pd.Index(levels, name="level"),
    )
    ax = pl.interval_calibration({"rna": table, "img": table + 0.05})
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0.5, 0.4], [0.8, 0.7]])
    diagonal = ax.lines[-1].get_xydata()
    np.testing.assert_allclose(diagonal[:, 0], diagonal[:, 1])
    assert _legend(ax) == ["rna", "img"]
    assert ax.get_xlim() == ax.get_ylim() == (pytest.approx(0.3), 1)
    assert pl.interval_calibration(table).get_legend() is None
    with pytest.raises(ValueError, match="no interval"):
        pl.interval_calibration({})


def test_cross_view_bars_are_grouped_by_view():
    rows = [
        {"view": view, "given": given, "method": method, "r2": r2, "r2_median": -r2}
        for view, base in (("rna", 0.3), ("img", 0.4))
        for given, drop in (("all others", 0.0), ("cnv", 0.1))
        for method, r2 in (("model", base - drop), ("mean", 0.0), ("ridge", base - drop - 0.05))
    ]
    table = pd.DataFrame(rows)
    ax = pl.cross_view(table)
    np.testing.assert_allclose([b.get_height() for b in ax.patches], [0.3, 0.4, 0.25, 0.35])
    assert _legend(ax) == ["model", "ridge"]
    assert _ticks(ax.get_xticklabels()) == ["rna", "img"]
    ax = pl.cross_view(table, given=None, statistic="r2_median")
    assert len(ax.patches) == 8
    assert _ticks(ax.get_xticklabels())[1] == "rna\nfrom cnv"
    assert ax.get_ylim()[0] < -0.4
    with pytest.raises(ValueError, match="all others, cnv"):
        pl.cross_view(table, given="mut")
    with pytest.raises(ValueError, match="r2, r2_median"):
        pl.cross_view(table, statistic="mse")


def test_stability_has_a_point_a_pair_measure_and_block():
    rng = np.random.default_rng(0)
    z, w = rng.standard_normal((2, 60, 3))
    fits = [{"shared": z + 0.1 * rng.standard_normal(z.shape), "private:rna": w} for _ in range(3)]
    result = tl.stability(fits)
    ax = pl.stability(result)
    points = [c for c in ax.collections if len(c.get_offsets()) == 6]
    assert len(points) == 4
    drawn = np.sort(points[0].get_offsets()[:, 0])
    np.testing.assert_allclose(drawn, np.sort(1 - result.pairs["procrustes"]))
    assert _ticks(ax.get_yticklabels()) == ["shared", "private:rna"]
    assert _legend(ax)[-1] == "subspace by chance"


def test_retrieval_curves_start_at_the_share_found_first_and_end_at_one():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 80, 3))
    result = tl.retrieval(a, a + b)
    ax = pl.retrieval({"rna–img": result})
    x, y = ax.lines[0].get_data()
    assert (x[0], y[0]) == (1, result.table.loc[1, "mean"])
    assert (x[-1], y[-1]) == (80, 1)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.arange(1, 81) / 80)
    assert _legend(ax) == ["rna–img"]
    with pytest.raises(ValueError, match="no retrieval"):
        pl.retrieval({})


def test_factor_metric_bars_are_the_scores():
    z = np.random.default_rng(0).standard_normal((200, 2))
    results = {"a": tl.factor_metrics(z, z), "b": tl.factor_metrics(z @ [[1, 1], [1, -1]], z)}
    ax = pl.factor_metrics(results, title="axes")
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 6)
    np.testing.assert_allclose(heights[0], results["a"].to_series().clip(lower=0))
    np.testing.assert_allclose(heights[1], results["b"].to_series().clip(lower=0))
    assert _legend(ax) == ["a", "b"]
    assert ax.get_title(loc="left") == "axes"
    with pytest.raises(ValueError, match="no metrics"):
        pl.factor_metrics({})
