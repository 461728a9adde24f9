import numpy as np
import pytest

from mvlatent import sim

VIEWS = {
    "rna": sim.ViewSpec(n_features=12, n_private=2, natural_scale=True),
    "cnv": sim.ViewSpec(n_features=8, n_private=1),
    "img": sim.ViewSpec(n_features=6, n_private=1, noise=2.0),
}
BLOCKS = {"shared": 3, "shared:rna+img": 2, "private:rna": 2, "private:cnv": 1, "private:img": 1}


def _small(n=40, **options):
    chosen = {"views": VIEWS, "n_shared": 3, "pairwise": {("rna", "img"): 2}, "missing": 0.4}
    return sim.cohort("easy", n=n, seed=7, **{**chosen, **options})[1]


def _joint(truth, view):
    """Loadings on all blocks, written out by hand."""
    values = truth.parameters[view]
    parts = {
        "shared": values.loadings,
        "shared:rna+img": values.pairwise_loadings.get("shared:rna+img"),
        f"private:{view}": values.private_loadings,
    }
    p = len(values.noise)
    blocks = [
        parts[name] if parts.get(name) is not None else np.zeros((p, k))
        for name, k in BLOCKS.items()
    ]
    return np.column_stack(blocks)


def _signal(truth, view, i):
    values = truth.parameters[view]
    site = truth.spec.sites.index(truth.site[i])
    return (truth.complete[view][i] - values.offset) / values.scale - values.site_effects[:, site]


def _condition(truth, i, given, prior_mean, prior_covariance):
    """Brute force: condition the joint normal of factors and measurements of one patient."""
    have = [v for v, p in zip(truth.spec.views, truth.present[i], strict=True) if p and v in given]
    if not have:
        return prior_mean, prior_covariance, 0.0
    loadings = np.vstack([_joint(truth, view) for view in have])
    noise = np.concatenate([truth.parameters[view].noise ** 2 for view in have])
    g = np.concatenate([_signal(truth, view, i) for view in have])
    marginal = loadings @ prior_covariance @ loadings.T + np.diag(noise)
    gain = np.linalg.solve(marginal, loadings @ prior_covariance).T
    residual = g - loadings @ prior_mean
    log_density = -0.5 * residual @ np.linalg.solve(marginal, residual)
    return (
        prior_mean + gain @ residual,
        prior_covariance - gain @ loadings @ prior_covariance,
        log_density,
    )


def _spans():
    edges = np.cumsum([0, *BLOCKS.values()])
    return {name: slice(edges[j], edges[j + 1]) for j, name in enumerate(BLOCKS)}


@pytest.mark.parametrize("given", [None, ["rna"], ["cnv", "img"]])
def test_posterior_is_the_conditioned_joint_normal(given):
    truth = _small()
    posterior = sim.oracle_posterior(truth, given=given)
    for i in range(len(truth.obs_names)):
        mean, covariance, _ = _condition(truth, i, given or [*VIEWS], np.zeros(9), np.eye(9))
        for name, span in _spans().items():
            np.testing.assert_allclose(posterior.mean(name)[i], mean[span], atol=2e-5)
            np.testing.assert_allclose(
                posterior.covariance(name)[i], covariance[span, span], atol=1e-8
            )
            np.testing.assert_allclose(
                posterior.sd(name)[i] ** 2, np.diag(covariance)[span], atol=1e-8
            )


def test_mixture_posterior_is_the_weighted_conditioned_normals():
    truth = _small(confounding=0.4)
    posterior = sim.oracle_posterior(truth, prior="mixture")
    population = truth.population
    within = np.eye(9)
    within[:3, :3] = population.subtype_covariance
    for i in range(12):
        site = truth.spec.sites.index(truth.site[i])
        means, logs = [], []
        for k, share in enumerate(population.subtype_given_site[site]):
            centre = np.r_[population.subtype_means[k], np.zeros(6)]
            mean, covariance, log_density = _condition(truth, i, [*VIEWS], centre, within)
            means.append(mean)
            logs.append(np.log(share) + log_density)
        weights = np.exp(np.array(logs) - max(logs))
        weights /= weights.sum()
        mean = weights @ np.array(means)
        away = np.array(means) - mean
        total = covariance + (away.T * weights) @ away
        np.testing.assert_allclose(posterior.weights[i], weights, atol=1e-5)
        np.testing.assert_allclose(posterior.mean()[i], mean[:3], atol=2e-5)
        np.testing.assert_allclose(posterior.covariance()[i], total[:3, :3], atol=2e-5)


@pytest.mark.parametrize("prior", ["normal", "mixture"])
def test_intervals_cover_what_they_promise(prior):
    truth = _small(n=4000, confounding=0.5, purity_sd=0.5)
    posterior = sim.oracle_posterior(truth, prior=prior)
    for name, block in truth.blocks.items():
        lower, upper = posterior.interval(0.9, block=name)
        covered = (lower <= block) & (block <= upper)
        assert covered.mean() == pytest.approx(0.9, abs=0.012), name
        scaled = (block - posterior.mean(name)) / posterior.sd(name)
        assert (scaled**2).mean() == pytest.approx(1, abs=0.06), name


def test_the_oracle_holds_where_features_and_private_factors_outnumber_patients():
    _, truth = sim.cohort("rich_private", n=150, seed=2)
    posterior = sim.oracle_posterior(truth)
    for name, block in truth.blocks.items():
        scaled = (block - posterior.mean(name)) / posterior.sd(name)
        assert (scaled**2).mean() == pytest.approx(1, abs=0.12), name
    _, test = truth.new_patients(1500)
    zero = test.parameters["img"].offset + test.parameters["img"].scale * (
        test.parameters["img"].site_effects[:, test.site_codes].T
    )
    bayes = sim.cross_view_r2(test, "img", sim.oracle_prediction(test, "img"))
    # The shared signal has variance 1 of 1 + 16 + 4 and more; the site is known to both.
    assert bayes - sim.cross_view_r2(test, "img", zero) == pytest.approx(1 / 21, rel=0.25)


def test_the_true_prior_knows_more_and_never_less():
    truth = _small(n=4000, separation=6.0, confounding=0.8)
    error = {
        prior: ((sim.oracle(truth, given=["img"], prior=prior) - truth.shared) ** 2).to_numpy()
        for prior in ("normal", "mixture")
    }
    assert error["mixture"].mean() < 0.9 * error["normal"].mean()


def test_unseen_blocks_keep_their_prior():
    posterior = sim.oracle_posterior(_small(), given=["cnv"])
    assert (posterior.mean("private:rna") == 0).all()
    np.testing.assert_allclose(posterior.sd("shared:rna+img"), 1)
    lower, upper = posterior.interval(0.9, block="private:img")
    np.testing.assert_allclose(upper, 1.6448536, atol=1e-6)
    np.testing.assert_allclose(lower, -upper)


def test_block_of_oracle_and_unknown_names():
    truth = _small()
    frame = sim.oracle(truth, block="private:rna")
    np.testing.assert_array_equal(frame, sim.oracle_posterior(truth).mean("private:rna"))
    assert frame.index.equals(truth.obs_names)
    with pytest.raises(ValueError, match="choose from shared, shared:rna"):
        sim.oracle(truth, block="rna")
    with pytest.raises(ValueError, match="choose from normal, mixture"):
        sim.oracle(truth, prior="flat")
    with pytest.raises(ValueError, match="level"):
        sim.oracle_posterior(truth).interval(90)


def test_oracle_concordance_is_that_of_the_test_patients():
    from lifelines.utils import concordance_index

    _, test = _small().new_patients(500)
    expected = concordance_index(test.time, -test.log_hazard, test.event)
    assert sim.oracle_concordance(test) == pytest.approx(expected)
