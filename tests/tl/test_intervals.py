import numpy as np
import pytest
from scipy.stats import norm

from mvlatent import tl
from mvlatent.posterior import Posterior


def _gaussian(n=2000, d=3, seed=0):
    """A truth that its posterior describes."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal((n, d))
    sd = rng.uniform(0.2, 0.8, (n, d))
    truth = mean + sd * rng.standard_normal((n, d))

    def sampler(size, at):
        return mean + sd * np.random.default_rng(at).standard_normal((size, n, d))

    return Posterior(mean, sd, tuple(map(str, range(n))), sampler), truth


def test_a_right_posterior_is_on_the_diagonal_in_every_form():
    posterior, truth = _gaussian()
    levels = [0.5, 0.9]
    forms = {
        "object": posterior,
        "function": posterior.interval,
        "mapping": {level: posterior.interval(level) for level in levels},
        "draws": posterior.sample(800),
    }
    for name, form in forms.items():
        table = tl.interval_calibration(form, truth, levels=levels)
        np.testing.assert_allclose(table["coverage"], levels, atol=0.02, err_msg=name)
        assert (table["lower"] < table["coverage"]).all()
        assert (table["coverage"] < table["upper"]).all()
        assert table["n"].tolist() == [6000, 6000]


def test_too_narrow_intervals_cover_what_the_normal_says():
    posterior, truth = _gaussian()
    narrow = Posterior(posterior.mean, posterior.sd / 2, posterior.obs_names, posterior._sampler)
    table = tl.interval_calibration(narrow, truth, levels=[0.8])
    expected = 2 * norm.cdf(norm.ppf(0.9) / 2) - 1
    assert table.loc[0.8, "coverage"] == pytest.approx(expected, abs=0.02)
    assert table.loc[0.8, "width"] == pytest.approx(norm.ppf(0.9) * posterior.sd.mean())


def test_the_interval_of_a_coverage_is_wilsons_and_wider_for_dependent_entries():
    rng = np.random.default_rng(1)
    hit = rng.random(400) < 0.9
    bounds = {0.9: (np.where(hit, -1, 1.0), np.full(400, 2.0))}
    one = tl.interval_calibration(bounds, np.zeros(400)).loc[0.9]
    share = hit.mean()
    z = 1.959964
    centre, half = share + z**2 / 800, z * np.sqrt(share * (1 - share) / 400 + (z / 800) ** 2)
    assert one["lower"] == pytest.approx((centre - half) / (1 + z**2 / 400))
    assert one["upper"] == pytest.approx((centre + half) / (1 + z**2 / 400))
    copied = {0.9: tuple(np.tile(end[:, None], (1, 25)) for end in bounds[0.9])}
    many = tl.interval_calibration(copied, np.zeros((400, 25))).loc[0.9]
    assert (many["lower"], many["upper"]) == pytest.approx((one["lower"], one["upper"]))


def test_missing_truths_are_left_out_and_full_coverage_is_uncertain():
    truth = np.array([0.0, np.nan, 0.0])
    table = tl.interval_calibration(
        lambda level: (truth * 0 - 1, truth * 0 + 1), truth, levels=[0.5]
    )
    assert table.loc[0.5, ["coverage", "n"]].tolist() == [1, 2]
    assert table.loc[0.5, "lower"] < 0.5


def test_latents_are_mapped_onto_the_truth_before_they_are_judged():
    posterior, truth = _gaussian(1500)
    rng = np.random.default_rng(2)
    turn = rng.standard_normal((3, 3))
    spare = rng.standard_normal((1500, 2))

    def sampler(size, at):
        noise = np.random.default_rng(at + 99).standard_normal((size, 1500, 2))
        return np.concatenate([posterior.sample(size, seed=at) @ turn, noise], -1)

    mean = np.hstack([posterior.mean @ turn, 1e-4 * spare])
    turned = Posterior(mean, np.ones_like(mean), posterior.obs_names, sampler)
    table = tl.latent_calibration(turned, truth, levels=[0.5, 0.9])
    np.testing.assert_allclose(table["coverage"], [0.5, 0.9], atol=0.025)
    wrong = tl.latent_calibration(turned, rng.standard_normal(truth.shape), levels=[0.9])
    assert wrong.loc[0.9, "coverage"] < 0.3
    with pytest.raises(ValueError, match="rows differ"):
        tl.latent_calibration(turned, truth[1:])


def test_predictive_intervals_of_a_model_are_those_of_impute(fitted, fitted_mdata):
    table = tl.imputation_calibration(fitted, "rna", levels=[0.5, 0.9])
    assert 0.35 < table.loc[0.5, "coverage"] < 0.65
    assert 0.75 < table.loc[0.9, "coverage"] < 1
    found = fitted.impute("rna", interval=0.9, units="scaled")
    truth = tl.scaled_views(fitted)["rna"].to_numpy()
    informed = fitted_mdata.obs_names.isin(
        [*fitted_mdata["mut"].obs_names, *fitted_mdata["img"].obs_names]
    )
    by_hand = tl.coverage(found.lower[informed], found.upper[informed], truth[informed])
    assert table.loc[0.9, "coverage"] == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="bernoulli"):
        tl.imputation_calibration(fitted, "mut")
    with pytest.raises(KeyError, match="rna, mut, img"):
        tl.imputation_calibration(fitted, "cnv")


@pytest.mark.parametrize("levels", [[], [0.0], [1.0]])
def test_bad_levels_are_refused(levels):
    posterior, truth = _gaussian(20)
    with pytest.raises(ValueError, match="strictly between"):
        tl.interval_calibration(posterior, truth, levels=levels)
