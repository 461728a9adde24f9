import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvlatent import tl
from mvlatent.tl._outcomes.outcome import Censoring


def _outcome(n, seed, *, digits=None):
    rng = np.random.default_rng(seed)
    risk = rng.standard_normal(n)
    true, censored = rng.exponential(np.exp(-risk)), rng.exponential(1.2, n)
    time = np.minimum(true, censored)
    if digits is not None:
        time, risk = np.round(time, digits) + 0.1, np.round(risk, digits)
    return time, (true <= censored).astype(int), risk


@given(st.integers(5, 60), st.integers(0, 10_000), st.sampled_from([None, 1]))
@settings(max_examples=30, deadline=None)
def test_harrell_equals_the_count_of_pairs(n, seed, digits):
    time, event, risk = _outcome(n, seed, digits=digits)
    earlier = (time[:, None] < time) & (event[:, None] == 1)
    earlier |= (time[:, None] == time) & (event[:, None] == 1) & (event == 0)
    if not earlier.any():
        with pytest.raises(ValueError, match="no two patients"):
            tl.concordance(time, event, risk)
        return
    order = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    expected = (order * earlier).sum() / earlier.sum()
    both_dead = (time[:, None] == time) & (event[:, None] == 1) & (event == 1)
    if both_dead.sum() == both_dead.trace():
        assert tl.concordance(time, event, risk) == pytest.approx(expected)


@pytest.mark.parametrize("within", [False, True])
def test_entry_leaves_the_pairs_at_risk_together(within):
    time, event, risk = _outcome(120, 3, digits=1)
    rng = np.random.default_rng(4)
    site = rng.integers(0, 3, 120) if within else np.zeros(120)
    options = {"within": site} if within else {}
    entry = time * rng.random(120) * (rng.random(120) < 0.6)
    earlier = (time[:, None] < time) | ((time[:, None] == time) & (event == 0))
    pairs = earlier & (event[:, None] == 1) & (entry < time[:, None]) & (site[:, None] == site)
    order = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    expected = (order * pairs).sum() / pairs.sum()
    assert tl.concordance(time, event, risk, entry=entry, **options) == pytest.approx(expected)
    from_start = tl.concordance(time, event, risk, entry=np.zeros(120), **options)
    assert from_start != pytest.approx(expected, abs=1e-3)


def test_entry_is_not_for_uno():
    time, event, risk = _outcome(30, 5)
    with pytest.raises(ValueError, match="take kind='harrell'"):
        tl.concordance(time, event, risk, kind="uno", entry=0 * time)
    with pytest.raises(ValueError, match="no two patients"):
        tl.concordance(time, event, risk, entry=time)
    with pytest.raises(ValueError, match="entry must have one value"):
        tl.concordance(time, event, risk, entry=[0.0])


def test_harrell_equals_lifelines():
    from lifelines.utils import concordance_index

    time, event, risk = _outcome(200, 0, digits=1)
    assert tl.concordance(time, event, risk) == concordance_index(time, -risk, event)


def test_tau_is_administrative_censoring():
    time, event, risk = _outcome(150, 1)
    tau = np.quantile(time, 0.6)
    early = time < tau
    expected = tl.concordance(np.minimum(time, tau), event * early, risk)
    assert tl.concordance(time, event, risk, tau=tau) == expected


def test_uno_equals_torchsurv_where_no_death_ties_with_a_censoring():
    import torch
    from torchsurv.metrics.cindex import ConcordanceIndex
    from torchsurv.stats.ipcw import get_ipcw

    time, event, risk = _outcome(150, 2)
    t, e = torch.as_tensor(time), torch.as_tensor(event, dtype=torch.bool)
    weight = get_ipcw(e, t).double()  # single precision, whatever goes in
    reference = ConcordanceIndex()(torch.as_tensor(risk), e, t, weight=weight)
    found = tl.concordance(time, event, risk, kind="uno")
    assert found == pytest.approx(float(reference), rel=1e-5)


def test_uno_with_weights_of_the_training_patients_equals_its_definition():
    time, event, risk = _outcome(80, 3)
    train = _outcome(300, 4)[:2]
    tau = float(np.quantile(time, 0.8))
    weight = event * (time < tau) / Censoring(*train).before(time) ** 2
    pairs = weight[:, None] * (time[:, None] < time)
    expected = (pairs * (risk[:, None] > risk)).sum() / pairs.sum()
    found = tl.concordance(time, event, risk, kind="uno", train=train, tau=tau)
    assert found == pytest.approx(expected)


def test_uno_ignores_how_censoring_fell_where_harrell_does_not():
    """Heavy censoring of late patients moves Harrell's C, not Uno's truncated one."""
    rng = np.random.default_rng(5)
    risk = rng.standard_normal(4000)
    true = rng.exponential(np.exp(-2 * risk))
    tau = np.quantile(true, 0.6)
    target = tl.concordance(true, np.ones(4000), risk, kind="uno", tau=tau)
    censored = rng.exponential(0.5, 4000)
    time, event = np.minimum(true, censored), (true <= censored).astype(int)
    uno = tl.concordance(time, event, risk, kind="uno", tau=tau)
    harrell = tl.concordance(time, event, risk, tau=tau)
    assert abs(uno - target) < 0.012
    assert abs(harrell - target) > 2 * abs(uno - target)


def test_uno_compares_a_death_with_a_censoring_of_the_same_time_and_needs_one_pair():
    assert tl.concordance([1.0, 1.0], [1, 0], [2.0, 1.0], kind="uno") == 1.0
    with pytest.raises(ValueError, match="no two patients"):
        tl.concordance([1.0, 2.0], [0, 1], [2.0, 1.0], kind="uno")


def test_uno_tells_close_risks_apart():
    risk = 1e6 + np.array([3e-3, 2e-3, 1e-3, 0.0])
    assert tl.concordance([1, 2, 3, 4], [1, 1, 1, 1], risk, kind="uno") == 1.0


def test_censoring_curve_puts_deaths_before_censorings_of_the_same_time():
    g = Censoring([1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1])
    np.testing.assert_allclose(g.at([0.5, 1.0, 2.0, 9.0]), [1, 3 / 4, 3 / 8, 3 / 8])
    np.testing.assert_allclose(g.before([1.0, 2.0, 3.0]), [1, 3 / 4, 3 / 8])


def test_censoring_curve_is_kaplan_meier_without_ties():
    from lifelines import KaplanMeierFitter

    time, event, _ = _outcome(100, 6)
    reference = KaplanMeierFitter().fit(time, 1 - event).survival_function_at_times(time)
    np.testing.assert_allclose(Censoring(time, event).at(time), reference, atol=1e-12)


def test_bootstrap_interval_holds_the_estimate_and_narrows_with_n():
    widths = []
    for n in (100, 900):
        time, event, risk = _outcome(n, 7)
        c, lower, upper = tl.bootstrap_interval(time, event, risk, n_bootstrap=100)
        assert lower < c < upper
        assert c == tl.concordance(time, event, risk)
        widths.append(upper - lower)
    assert widths[0] / widths[1] == pytest.approx(3, rel=0.5)
    again = tl.bootstrap_interval(time, event, risk, n_bootstrap=100)
    assert again == (c, lower, upper)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "c"}, "harrell, uno"),
        ({"risk": [1.0, 2.0]}, "one value a patient"),
        ({"risk": [1.0, np.nan, 0.0]}, "not finite"),
        ({"event": [0, 2, 1]}, "0/1"),
        ({"event": [0, 0, 0]}, "no two patients"),
        ({"time": [1.0, -1.0, 2.0]}, "not negative"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"time": [1.0, 2.0, 3.0], "event": [1, 1, 0], "risk": [3.0, 2.0, 1.0]} | change
    with pytest.raises(ValueError, match=message):
        tl.concordance(**good)


@pytest.mark.parametrize("kind", ["harrell", "uno"])
def test_within_site_only_pairs_of_one_site_count(kind):
    time, event, risk = _outcome(90, 8)
    site = np.array(["x", "y", "z"])[np.random.default_rng(0).integers(3, size=90)]
    weight = event.astype(float)
    if kind == "uno":
        weight = event / Censoring(time, event).before(time) ** 2
    pairs = weight[:, None] * (time[:, None] < time) * (site[:, None] == site)
    expected = (pairs * (risk[:, None] > risk)).sum() / pairs.sum()
    found = tl.concordance(time, event, risk, kind=kind, within=site)
    assert found == pytest.approx(expected)
    assert found != pytest.approx(tl.concordance(time, event, risk, kind=kind), abs=1e-4)


def test_a_score_that_only_knows_the_site_is_at_chance_within_it():
    rng = np.random.default_rng(9)
    site = rng.integers(4, size=400)
    time = rng.exponential(np.exp(-site))
    assert tl.concordance(time, np.ones(400), site) > 0.7
    assert tl.concordance(time, np.ones(400), site, within=site) == 0.5
    mixed = site + rng.standard_normal(400)
    found = tl.bootstrap_interval(time, np.ones(400), mixed, within=site, n_bootstrap=50)
    assert found.estimate == tl.concordance(time, np.ones(400), mixed, within=site)
    assert 0.4 < found.lower < found.upper < 0.6


def test_patients_without_a_site_and_sites_without_a_pair_do_not_count():
    time, event, risk = [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], [1.0, 2.0, 9.0, 0.0]
    assert tl.concordance(time, event, risk, within=["x", "x", None, "y"]) == 0.0
    with pytest.raises(ValueError, match="no two patients"):
        tl.concordance(time, event, risk, within=["w", "x", "y", "z"])
    with pytest.raises(ValueError, match="within must have one value a patient"):
        tl.concordance(time, event, risk, within=["x"])
