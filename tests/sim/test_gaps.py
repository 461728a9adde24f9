import numpy as np
import pytest

from mvlatent import sim


@pytest.mark.parametrize("mechanism", ["random", "site", "outcome"])
@pytest.mark.parametrize("missing", [0.25, 0.5, 2 / 3, {"rna": 0.1, "img": 0.6}])
def test_shares_are_met_by_every_mechanism(mechanism, missing):
    views = {name: sim.ViewSpec(n_features=3, n_private=1) for name in ("rna", "cnv", "img")}
    _, truth = sim.cohort(
        "easy",
        n=4000,
        views=views,
        missing=missing,
        missing_mechanism=mechanism,
        confounding=0.5,
        seed=1,
    )
    wanted = [missing.get(v, 0) for v in views] if isinstance(missing, dict) else [missing] * 3
    for patients in (truth, truth.new_patients(4000)[1]):
        assert patients.present.any(axis=1).all()
        np.testing.assert_allclose(1 - patients.present.mean(axis=0), wanted, atol=0.035)


def _rates(truth):
    return np.array([1 - truth.present[truth.site == s].mean(axis=0) for s in truth.spec.sites])


def test_by_site_some_sites_never_measure_a_view_and_it_stays_so():
    _, truth = sim.cohort("easy", n=3000, missing=0.4, missing_mechanism="site")
    rates, later = _rates(truth), _rates(truth.new_patients(3000)[1])
    assert ((rates == 1).sum(axis=0) == 1).all()
    assert ((rates == 0).sum(axis=0) == 2).all()
    np.testing.assert_array_equal(rates == 1, later == 1)
    np.testing.assert_array_equal(rates == 0, later == 0)


def test_by_outcome_patients_with_early_events_miss_more():
    early = {}
    for mechanism in ("random", "outcome"):
        _, truth = sim.cohort("easy", n=4000, missing=0.3, missing_mechanism=mechanism)
        first = truth.event_time < np.median(truth.event_time)
        gaps = 1 - truth.present.mean(axis=1)
        early[mechanism] = gaps[first].mean() - gaps[~first].mean()
    assert abs(early["random"]) < 0.02
    assert early["outcome"] > 0.2


def test_wrong_gaps_are_refused():
    with pytest.raises(ValueError, match="choose from random, site, outcome"):
        sim.cohort("easy", missing_mechanism="never")
    with pytest.raises(ValueError, match="sum to at most 2"):
        rates = {"rna": 0.9, "cnv": 0.9, "img": 0.9}
        sim.cohort("easy", missing=rates, missing_mechanism="site")
    with pytest.raises(ValueError, match=r"within \[0, 1\].*1.2"):
        sim.cohort("easy", missing={"rna": 1.2})
