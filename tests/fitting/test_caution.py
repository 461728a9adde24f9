"""Evidence is weakened as far as held-out patients ask for it."""

from dataclasses import replace

import pytest
import torch

import mvlatent as mv
from mvlatent import tl
from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting import caution
from mvlatent.fitting.caution import HeldOut, caution_of, doubt_of, held_out
from mvlatent.fitting.climb import climb
from mvlatent.fitting.honest import FLAT, Choice
from mvlatent.fitting.private import PrivateCovariance
from mvlatent.vae.shift import with_shift


def linear_cohort(make_rows, n, *, sizes=(25, 20, 15), absent=0.0):
    rows, presence, _ = make_rows(sizes, n, absent=absent, private=1.0, dtype=torch.float32)
    views = {
        f"v{m}": CohortView(x, p, None, "normal", "feature", tuple(map(str, range(x.shape[1]))))
        for m, (x, p) in enumerate(zip(rows, presence.T, strict=True))
    }
    none = torch.zeros(n, 0)
    return Cohort(tuple(map(str, range(n))), views, none, (), none, ())


@pytest.fixture(scope="module")
def climbed(make_rows):
    return climb(linear_cohort(make_rows, 600), n_shared=4)


def surer(judges, factor):
    """The same models, with private covariances that are too small by a factor."""
    for model in judges.models:
        model.private = [
            PrivateCovariance(p.diagonal / factor, p.loadings, p.weight / factor)
            for p in model.private
        ]
    return judges


def test_a_right_model_is_trusted(climbed):
    assert 1.0 <= caution_of(held_out(climbed)) < 1.15


def test_caution_undoes_evidence_that_is_too_sure(climbed):
    own = caution_of(held_out(climbed))
    for factor in (1.5, 2.5):
        found = caution_of(surer(held_out(climbed), factor))
        assert found == pytest.approx(own * factor, rel=0.1)
    assert caution_of(surer(held_out(climbed), 10.0)) == caution.MOST
    assert caution_of(surer(held_out(climbed), 0.5)) == 1.0  # never below


def test_caution_is_where_the_distances_are_what_they_should_be(climbed):
    judges = surer(held_out(climbed), 2.0)
    groups = list(caution._groups(judges))
    assert caution._distance(groups, caution_of(judges)) == pytest.approx(1.0, abs=1e-3)
    # one pattern of three views: every view against the two others, in each of the folds
    assert len(groups) == 3 * len(judges.folds)


def test_a_distance_is_that_of_the_dense_normal(climbed):
    judges = held_out(climbed)
    potential, precision, other, sure = next(iter(caution._groups(judges)))
    posterior = torch.linalg.inv(torch.eye(len(sure)) + sure / 1.3)
    mean = (other / 1.3) @ posterior @ precision
    spread = 1.3 * precision + precision @ posterior @ precision
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(sure)).double(), spread)
    log_prob = normal.log_prob(potential - mean)
    at_zero = normal.log_prob(torch.zeros(len(sure)).double())
    expected = float((2 * (at_zero - log_prob)).mean()) / len(sure)
    found = caution._distance([(potential, precision, other, sure)], 1.3)
    assert found == pytest.approx(expected, rel=1e-6)


def test_patients_with_one_view_judge_nothing(make_rows):
    cohort = linear_cohort(make_rows, 200, absent=0.5)
    judges = held_out(climb(cohort, n_shared=3))
    asked = sum(len(g[0]) for g in caution._groups(judges))
    presence = torch.cat([f.presence for f in judges.folds])
    several = presence.sum(1) > 1
    assert asked == int(presence[several].sum()) < int(presence.sum())


def test_too_few_patients_or_views_are_not_asked(make_rows):
    assert held_out(climb(linear_cohort(make_rows, 20), n_shared=2)) is None
    assert held_out(climb(linear_cohort(make_rows, 100, sizes=(9,)), n_shared=2)) is None
    assert caution_of(HeldOut([], [])) == 1.0


def test_models_of_the_folds_are_fitted_as_the_whole_was(climbed):
    fewer = replace(climbed, choice=Choice((FLAT, FLAT, 0.1), climbed.model.k, 0))
    start, swept = held_out(fewer), held_out(climbed)
    for one, other in zip(start.models, swept.models, strict=True):
        assert one.k == other.k == climbed.model.k
        assert one.criterion() != other.criterion()
    energy = start.folds[0].views[2].energy
    assert len(set(start.models[0].ridges[2].tolist())) == 1 and len(energy) == 15


def test_doubt_shrinks_with_patients_and_is_what_moves(make_rows):
    sizes = []
    for n in (80, 600):
        fit = climb(linear_cohort(make_rows, n), n_shared=2, rank="full")
        doubt = doubt_of(fit, held_out(fit))
        assert doubt.shape == (2, 2) and float(torch.linalg.eigvalsh(doubt)[0]) >= 0
        sizes.append(float(doubt.trace()))
    assert sizes[1] < 0.4 * sizes[0]


# --- what becomes of it -------------------------------------------------------------------------


def test_caution_and_doubt_widen_the_posterior(make_cohort, make_vae):
    cohort = make_cohort(n=30, absent=0.3)
    vae = make_vae(cohort)
    q, _ = vae.posterior(cohort)
    assert with_shift(vae, q, cohort.technical) is q
    vae.caution.fill_(2.0)
    weaker = with_shift(vae, q, cohort.technical)
    eye = torch.eye(3)
    precision = torch.linalg.inv(q.covariance)
    expected = torch.linalg.inv(eye + (precision - eye) / 2)
    torch.testing.assert_close(weaker.covariance, expected, rtol=1e-3, atol=1e-5)
    potential = (precision @ q.mean[..., None]) / 2
    torch.testing.assert_close(
        weaker.mean, (expected @ potential)[..., 0].detach(), rtol=1e-3, atol=1e-4
    )


def test_what_is_not_known_of_parameters_reaches_z_as_far_as_it_follows_views(
    make_cohort, make_vae
):
    cohort = make_cohort(n=30, absent=0.3)
    vae = make_vae(cohort)
    vae.doubt.copy_(0.3 * torch.eye(3))
    evidence = vae.evidence(cohort)
    nothing = vae.product(evidence, torch.zeros_like(cohort.presence))
    prior = with_shift(vae, nothing, cohort.technical)
    torch.testing.assert_close(prior.covariance, torch.eye(3).expand(30, -1, -1))
    some = with_shift(vae, vae.product(evidence, cohort.presence), cohort.technical)
    assert bool((some.variance <= 1.0 + 1e-5).all())


def coverage(preset, n=500):
    mdata, truth = mv.sim.cohort(preset, n=n)
    model = mv.fit(mdata, batch="site", progress=False, accelerator="cpu")
    return float(tl.latent_calibration(model.posterior(), truth.shared, levels=[0.9]).coverage[0.9])


@pytest.mark.parametrize("preset", [pytest.param("easy", marks=pytest.mark.slow), "missing50"])
def test_intervals_of_z_hold_the_truth(preset):
    assert 0.86 < coverage(preset) < 0.94
