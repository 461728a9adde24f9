"""Hazard ratios, ledger, summaries of curves and the value of a view, on the head alone."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from mvlatent.data.cohort import SurvivalData
from mvlatent.heads import BlockHead
from mvlatent.heads.blocks import head_blocks, head_draws
from mvlatent.heads.ledger import residual_scores
from mvlatent.outcomes import Cox
from mvlatent.outcomes.summaries import median_time, restricted_mean
from mvlatent.posterior import Latents
from mvlatent.reading.hazard_ratios import block_hazard_ratios, column_hazard_ratios, column_names
from mvlatent.reading.ledger import ledger, variance_shares
from mvlatent.reading.value import expected_reduction, with_drawn_view


def survival_of(eta, seed=0, rate=0.5):
    g = torch.Generator().manual_seed(seed)
    time = torch.empty(len(eta)).double().exponential_(generator=g) * torch.exp(-eta)
    follow_up = torch.empty(len(eta)).double().exponential_(generator=g) / rate
    return torch.minimum(time, follow_up), (time <= follow_up).double()


def clinical_head(n=300):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(1)).double()
    x[:, 2] = (x[:, 2] > 0).double()
    time, event = survival_of(0.6 * x[:, 0] - 0.3 * x[:, 1])
    blocks = {"clinical": x}
    bound = Cox().bind(SurvivalData(time, event))
    head = BlockHead.fit(blocks, bound, fixed_sd={"clinical": 1e3})
    return blocks, time, event, head


def test_hazard_ratios_are_those_of_lifelines_with_a_wide_prior():
    from lifelines import CoxPHFitter

    blocks, time, event, head = clinical_head()
    names = ["age", "stage", "sex"]
    frame = pd.DataFrame(blocks["clinical"].numpy(), columns=names).assign(t=time, e=event)
    reference = CoxPHFitter(alpha=0.1).fit(frame, "t", "e")
    table = column_hazard_ratios(
        head,
        column_names({"clinical": 3}, {"clinical": names}),
        {"clinical": torch.ones(3)},
        level=0.9,
        n_samples=20_000,
        seed=0,
    )
    assert list(table.index) == ["clinical:age", "clinical:stage", "clinical:sex"]
    expected = reference.summary
    np.testing.assert_allclose(table["hr"], expected["exp(coef)"], rtol=0.01)
    np.testing.assert_allclose(table["lower"], expected["exp(coef) lower 90%"], rtol=0.015)
    np.testing.assert_allclose(table["upper"], expected["exp(coef) upper 90%"], rtol=0.015)
    with pytest.raises(ValueError, match="level"):
        block_hazard_ratios(head, blocks, level=1.0, n_samples=10, seed=0)


def test_a_block_of_one_column_has_its_ratio_a_sd():
    blocks, *_, head = clinical_head()
    table = block_hazard_ratios(head, blocks, level=0.9, n_samples=4000, seed=0)
    sd = (blocks["clinical"] @ head.coef["clinical"])[:, 0].std(correction=0)
    assert table.loc["clinical", "hr"] == pytest.approx(float(sd.exp()), rel=0.03)
    assert (table["lower"] > 1).all()


def test_shares_of_uncorrelated_parts_are_their_variances():
    g = torch.Generator().manual_seed(0)
    parts = torch.linalg.qr(torch.randn(50, 4, generator=g).double())[0]
    parts = torch.linalg.qr(parts - parts.mean(0))[0] * torch.tensor([1.0, 2.0, 0.0, 3.0])
    share = variance_shares(parts)
    np.testing.assert_allclose(share, np.array([1, 4, 0, 9]) / 14, atol=1e-12)


def test_shares_of_correlated_parts_are_positive_and_fair():
    g = torch.Generator().manual_seed(0)
    common = torch.randn(400, 1, generator=g).double()
    parts = torch.randn(6, 400, 3, generator=g).double() - 0.9 * common
    share = variance_shares(parts)
    assert share.shape == (6, 3)
    assert (share >= 0).all()
    torch.testing.assert_close(share.sum(-1), torch.ones(6).double())
    twins = torch.cat([common, common, 0 * common], 1)  # of one mind: half each
    torch.testing.assert_close(variance_shares(twins), torch.tensor([0.5, 0.5, 0.0]).double())
    assert (variance_shares(torch.zeros(5, 2)) == 0).all()


def drawn_head(on):
    """A head of two blocks of a column each whose draws are 2 and 1, or 0 where not ``on``."""
    beta = torch.as_tensor(on).double()[:, None, None]
    drawn = {"shared": 2 * beta, "clinical": beta}
    return SimpleNamespace(coefficient_draws=lambda n_samples, generator: drawn)


def two_blocks(n=40):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double()
    x = torch.linalg.qr(x - x.mean(0))[0]
    return {"shared": x[:, :1], "clinical": x[:, 1:]}


LEDGER = {"level": 0.9, "n_samples": 20, "seed": 0}


def test_shares_are_those_of_the_draws_in_which_the_hazard_varies():
    on = [1] * 12 + [0] * 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = ledger(drawn_head(on), two_blocks(), **LEDGER)
    np.testing.assert_allclose(table["share"], [0.8, 0.2])
    assert table.attrs["constant"] == pytest.approx(0.4)
    assert ((table["lower"] <= table["share"]) & (table["share"] <= table["upper"])).all()


def test_nothing_to_share_is_nan_and_says_so():
    on = [1] * 8 + [0] * 12
    with pytest.warns(UserWarning, match=r"same for all 40 patients with probability 0\.60"):
        table = ledger(drawn_head(on), two_blocks(), **LEDGER)
    assert table.isna().all(axis=None) and list(table.index) == ["shared", "clinical"]
    blocks = {name: x[:1].expand(25, -1) for name, x in two_blocks().items()}
    with pytest.warns(UserWarning, match=r"same for all 25 patients with probability 1\.00"):
        table = ledger(drawn_head([1] * 20), blocks, **LEDGER)
    assert table.isna().all(axis=None)


def test_patients_who_do_not_differ_but_for_rounding_share_nothing():
    parts = torch.full((30, 2), 0.7).double()
    parts[::3] *= 1 + 1e-15
    assert (variance_shares(parts) == 0).all()


def test_residual_scores_are_beyond_the_latents():
    g = torch.Generator().manual_seed(0)
    sizes = {"shared": 2, "private:a": 1}
    blocks = {name: torch.randn(90, k, generator=g) for name, k in sizes.items()}
    mixed = torch.cat(list(blocks.values()), 1) @ torch.randn(3, 5, generator=g)
    beyond = torch.randn(90, 5, generator=g)
    blocks |= {"scores:a": mixed + beyond + 4.0, "clinical": torch.randn(90, 1, generator=g)}
    out = residual_scores(blocks)
    latents = torch.cat([torch.ones(90, 1), blocks["shared"], blocks["private:a"]], 1).double()
    assert (latents.T @ out["scores:a"]).abs().max() < 1e-4
    explained = latents @ torch.linalg.lstsq(latents, beyond.double()).solution
    torch.testing.assert_close(out["scores:a"], beyond.double() - explained, atol=1e-5, rtol=0)
    assert torch.equal(out["clinical"], blocks["clinical"].double())
    few = {name: x[:4] for name, x in blocks.items()}  # new patients take the training's slope
    torch.testing.assert_close(residual_scores(few, blocks)["scores:a"], out["scores:a"][:4])


def test_medians_and_restricted_means_of_known_curves():
    times = np.linspace(0, 10, 2001)
    rates = np.array([0.05, 0.2, 1.0])
    curves = np.exp(-times[:, None] * rates)
    expected = np.where(np.log(2) / rates <= 10, np.log(2) / rates, np.inf)
    np.testing.assert_allclose(median_time(times, curves), expected, rtol=1e-5)
    np.testing.assert_allclose(
        restricted_mean(times, curves), (1 - np.exp(-10 * rates)) / rates, rtol=1e-4
    )
    both = np.stack([curves, curves**2])
    assert median_time(times, both).shape == restricted_mean(times, both).shape == (2, 3)


@pytest.fixture(scope="module")
def hazard_on_views(make_cohort, make_vae):
    """Return a factory of heads on z and w whose coefficients are chosen."""

    def make(on, n=60):
        cohort = make_cohort(n=n, absent=0.4, seed=3)
        latents = Latents(make_vae(cohort, seed=1), cohort)
        blocks = head_blocks(latents, {})
        eta = sum(blocks[name].double() @ weight for name, weight in on.items())
        data = SurvivalData(*survival_of(eta.flatten(), seed=2, rate=0.2))
        x = {name: blocks[name] for name in on}
        head = BlockHead.fit(x, Cox().bind(data), fixed_sd=dict.fromkeys(on, 0.7))
        return latents, head

    return make


@pytest.mark.slow
def test_a_view_is_worth_what_a_nested_simulation_says(hazard_on_views):
    weights = {"shared": torch.ones(3, 1).double(), "private:b": torch.ones(2, 1).double()}
    latents, head = hazard_on_views(weights)
    lacking = latents.cohort.subset(~latents.cohort.views["b"].present)
    now = Latents(latents.vae, lacking)
    found = expected_reduction(head, now, {}, "b", horizon=None, n_samples=1500, seed=0)

    def variance(of, seed):
        drawn = head_draws(of, {}, head.coef, 400, seed)
        return head.mean(drawn)[..., 0].var(0)

    left = []
    for outer, measured in enumerate(with_drawn_view(now, "b", 25, 7)):
        left.append(variance(Latents(latents.vae, measured), outer))
    before = torch.stack([variance(now, 100 + s) for s in range(10)]).mean(0)
    brute = (before - torch.stack(left).mean(0)).numpy()
    np.testing.assert_allclose(found, brute, rtol=0.15, atol=0.1 * brute.mean())
    pattern = lacking.presence.long() @ torch.tensor([1, 2, 4])
    for group in pattern.unique():  # who has the same views is worth the same
        own = (pattern == group).numpy()
        assert found[own].mean() == pytest.approx(brute[own].mean(), rel=0.06)


def test_the_value_of_a_view_for_z_has_a_closed_form(hazard_on_views):
    latents, head = hazard_on_views({"shared": torch.ones(3, 1).double()})
    now = Latents(latents.vae, latents.cohort.mask_views(["a", "c"]))
    found = expected_reduction(head, now, {}, "b", horizon=None, n_samples=1500, seed=0)
    after = Latents(latents.vae, next(iter(with_drawn_view(now, "b", 1, 7))))
    scale = head.mean({"shared": torch.eye(3)}) - head.mean({"shared": torch.zeros(3, 3)})
    gained = (now.z.covariance - after.z.covariance).double()
    exact = (scale.T @ gained @ scale)[:, 0, 0]
    np.testing.assert_allclose(found, exact.numpy(), rtol=0.15)
    assert found.mean() == pytest.approx(float(exact.mean()), rel=0.03)


def test_a_view_the_hazard_does_not_depend_on_is_worth_nothing(hazard_on_views):
    latents, head = hazard_on_views({"private:c": torch.ones(2, 1).double()})
    now = Latents(latents.vae, latents.cohort.mask_views(["c"]))
    options = {"horizon": None, "n_samples": 60, "seed": 0}
    nothing = expected_reduction(head, now, {}, "a", **options)
    bare = Latents(latents.vae, latents.cohort.mask_views(["a", "b"]))
    much = expected_reduction(head, bare, {}, "c", **options)
    # through z it says a little of what c's private part is
    assert nothing.mean() < 0.15 * much.mean()
    absent = ~now.cohort.views["c"].present
    assert nothing[absent.numpy()].max() < 1e-9  # w is not known, z is not in the hazard


def test_fewer_other_views_make_a_view_worth_more(hazard_on_views):
    latents, head = hazard_on_views({"shared": torch.ones(3, 1).double()})
    rows = latents.cohort.subset(latents.cohort.views["a"].present)
    few = Latents(latents.vae, rows.mask_views(["a"]))
    none = Latents(latents.vae, rows.mask_views([]))
    worth = [
        expected_reduction(head, of, {}, "b", horizon=None, n_samples=300, seed=0).mean()
        for of in (none, few)
    ]
    assert worth[0] > 1.05 * worth[1] > 0


def test_value_for_the_risk_at_a_horizon(hazard_on_views):
    latents, head = hazard_on_views({"shared": torch.ones(3, 1).double()})
    now = Latents(latents.vae, latents.cohort.mask_views(["a"]))
    found = expected_reduction(head, now, {}, "b", horizon=0.5, n_samples=600, seed=0)
    time = torch.tensor([0.5])

    def risk(of, seed):
        drawn = head_draws(of, {}, head.coef, 300, seed)
        hazard = head.baseline.cumulative_hazard(time, head.mean(drawn)[..., 0])[:, 0]
        return 1 - torch.exp(-hazard)

    left = []
    for outer, measured in enumerate(with_drawn_view(now, "b", 50, 7)):
        left.append(risk(Latents(latents.vae, measured), outer).var(0))
    before = torch.stack([risk(now, 100 + s).var(0) for s in range(10)]).mean(0)
    brute = (before - torch.stack(left).mean(0)).numpy()
    assert found.mean() == pytest.approx(brute.mean(), rel=0.15)
    assert np.corrcoef(found, brute)[0, 1] > 0.5  # 50 outcomes a patient are a noisy reference
