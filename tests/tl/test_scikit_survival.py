"""Outcome metrics beside scikit-survival's, where it is installed."""

import numpy as np
import pandas as pd
import pytest

from mvlatent import tl

metrics = pytest.importorskip("sksurv.metrics")

TAU = 1.2


def simulate(seed, n=150):
    """Time, event and risk of patients, and as scikit-survival wants the first two."""
    from sksurv.util import Surv

    rng = np.random.default_rng(seed)
    risk = np.round(rng.standard_normal(n), 1)  # tied risks
    true, censored = rng.exponential(np.exp(-risk)), rng.exponential(1.5, n)
    time, event = np.minimum(true, censored), true <= censored
    return time, event, risk, Surv.from_arrays(event, time)


def curves(risk, at):
    return pd.DataFrame(np.exp(-at[:, None] * np.exp(risk)), index=at)


def harrell(new, train):
    return (
        tl.concordance(*new[:3]),
        metrics.concordance_index_censored(new[1], new[0], new[2])[0],
    )


def uno(new, train):
    return (
        tl.concordance(*new[:3], kind="uno", train=train[:2], tau=TAU),
        metrics.concordance_index_ipcw(train[3], new[3], new[2], tau=TAU)[0],
    )


def auc(new, train):
    at = np.linspace(0.2, TAU, 5)
    values, mean = metrics.cumulative_dynamic_auc(train[3], new[3], new[2], at)
    found = tl.time_dependent_auc(*new[:3], at, train=train[:2])
    return [*found, tl.integrated_auc(*new[:3], at, train=train[:2])], [*values, mean]


def brier(new, train):
    at = np.linspace(0.1, TAU, 7)
    predicted = curves(new[2], at)
    _, values = metrics.brier_score(train[3], new[3], predicted.to_numpy().T, at)
    return tl.brier(*new[:2], predicted, train=train[:2]), values


def integrated_brier(new, train):
    at = np.linspace(0.1, TAU, 40)
    predicted = curves(new[2], at)
    return (
        tl.integrated_brier(*new[:2], predicted, train=train[:2]),
        metrics.integrated_brier_score(train[3], new[3], predicted.to_numpy().T, at),
    )


@pytest.mark.parametrize("metric", [harrell, uno, auc, brier, integrated_brier])
@pytest.mark.parametrize("seed", [0, 1])
def test_metric_equals_scikit_survival(metric, seed):
    ours, theirs = metric(simulate(seed), simulate(seed + 10))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
