import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

from mvlatent import tl
from mvlatent.tl._latent.information import _bin, _entropy, information


def _factors(n=1000, k=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, k))


def _turn(angle, k):
    """Rotation of the first two axes."""
    out = np.eye(k)
    c, s = np.cos(angle), np.sin(angle)
    out[:2, :2] = [[c, -s], [s, c]]
    return out


@pytest.mark.parametrize("regressor", ["lasso", "boosting"])
def test_aligned_axes_score_one_whatever_their_order_sign_and_scale(regressor):
    f = _factors(500)
    z = np.hstack([f[:, [2, 0, 1]] * [-3, 0.1, 7], np.full((500, 1), 2.0)])
    scores = tl.factor_metrics(z, f, regressor=regressor).to_series()
    assert scores.min() > 0.95
    assert scores.max() <= 1 + 1e-12


def test_a_rotation_by_45_degrees_spoils_all_but_informativeness():
    f = _factors(2000, 2)
    found = tl.factor_metrics(f @ _turn(np.pi / 4, 2), f)
    assert found.mig < 0.06
    assert found.sap < 0.06  # both axes have R² 1/2
    assert found.disentanglement < 0.02  # both factors matter alike to each axis
    assert found.completeness < 0.02
    assert found.informativeness > 0.99
    assert found.modularity < 0.12


def test_sap_of_a_small_rotation_is_the_gap_of_squared_cosines():
    f = _factors(20000, 2)
    angle = 0.4
    expected = np.cos(angle) ** 2 - np.sin(angle) ** 2
    assert tl.sap(f @ _turn(angle, 2), f) == pytest.approx(expected, abs=0.02)


def test_dci_of_a_small_rotation_is_the_entropy_of_its_coefficients():
    f = _factors(4000, 2)
    angle = 0.4
    share = np.array([np.cos(angle), np.sin(angle)]) / (np.cos(angle) + np.sin(angle))
    expected = 1 + (share * np.log2(share)).sum()
    found = tl.dci(f @ _turn(angle, 2), f)
    assert found.disentanglement == pytest.approx(expected, abs=0.02)
    assert found.completeness == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(found.importance.sum(), 1)


def test_two_axes_for_one_factor_are_modular_but_not_complete():
    f = _factors(2000)
    noise = 0.1 * np.random.default_rng(1).standard_normal((2000, 2))
    z = np.column_stack([f[:, 0] + noise[:, 0], f[:, 0] + noise[:, 1], f[:, 1], f[:, 2]])
    found = tl.factor_metrics(z, f)
    assert found.modularity > 0.98
    assert found.disentanglement > 0.95
    assert found.completeness == pytest.approx(2 / 3 + (1 - np.log(2) / np.log(4)) / 3, abs=0.03)
    assert found.mig == pytest.approx(2 / 3, abs=0.03)  # the doubled factor has no gap


def test_one_axis_for_two_factors_is_complete_but_not_modular():
    f = _factors(4000, 2)
    z = f.sum(1, keepdims=True)
    assert tl.dci(z, f).completeness == 1
    assert tl.dci(z, f).disentanglement < 0.01
    assert tl.modularity(z, f) < 0.12


def test_noise_scores_zero_not_by_chance_sparse():
    f = _factors(500)
    found = tl.factor_metrics(np.random.default_rng(5).standard_normal((500, 6)), f)
    assert found.mig < 0.03
    assert found.sap < 0.03
    assert found.disentanglement == found.completeness == 0
    assert np.isnan(found.modularity)
    assert abs(found.informativeness) < 0.03


def test_levels_are_factors_too():
    rng = np.random.default_rng(0)
    kind = rng.choice(["x", "y", "z"], 900)
    place = pd.Series(kind).map({"x": 0.0, "y": 4.0, "z": 8.0}).to_numpy()
    other = rng.standard_normal(900)
    z = np.column_stack([place + 0.2 * rng.standard_normal(900), other])
    factors = pd.DataFrame({"kind": kind, "dose": other})
    assert tl.mig(z, factors) > 0.9
    within = pd.Series(z[:, 0]).groupby(kind).transform("mean")
    eta = within.var(ddof=0) / z[:, 0].var()
    assert tl.sap(z[:, :1], factors[["kind"]]) == pytest.approx(eta)
    assert tl.modularity(z, factors) > 0.98
    assert tl.dci(z, factors).disentanglement > 0.9


def test_information_is_scikit_learns_and_hardly_biased():
    f = _factors(1000, 2)
    a, b = _bin(f[:, 0], 8), _bin(f[:, 0] + f[:, 1], 8)
    plain = mutual_info_score(a, b)
    cells = len(set(zip(a, b, strict=True)))
    known, entropy = information(f[:, :1], pd.DataFrame({"sum": f.sum(1)}), 8)
    assert known[0, 0] == pytest.approx(plain + (8 + 8 - cells - 1) / 2000)
    assert entropy[0] == pytest.approx(_entropy(b))
    independent, _ = information(f[:, :1], pd.DataFrame({"b": f[:, 1]}), None)
    assert independent[0, 0] < 0.01


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (np.ones((9, 2)), "rows differ"),
        (np.column_stack([np.arange(10.0), np.ones(10)]), "do not vary: factor_1"),
        ({"a": [*range(9), None]}, "missing values"),
    ],
)
def test_bad_factors_are_named(factors, message):
    z = _factors(10)
    with pytest.raises(ValueError, match=message):
        tl.factor_metrics(z, factors)


def test_bad_latents_and_regressors_are_named():
    f = _factors(10)
    with pytest.raises(ValueError, match="not finite"):
        tl.mig(np.full((10, 2), np.nan), f)
    with pytest.raises(ValueError, match="lasso, boosting"):
        tl.dci(f, f, regressor="forest")
    with pytest.raises(ValueError, match="2 bins"):
        tl.mig(f, f, bins=1)
