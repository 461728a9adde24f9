"""A kind of survival is one file and one line of a registry: a toy is registered and used."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import mvlatent as mv
from mvlatent.outcomes import OutcomeLikelihood
from mvlatent.outcomes.bound import Curvature, LinearBaseline, ProfiledBaseline
from mvlatent.outcomes.likelihoods import baseline_of
from mvlatent.reading.annotate import outcome_columns
from mvlatent.specs.outcomes import KINDS_OF_SURVIVAL, SurvivalKind

# --- a constant hazard: all that a new kind needs -------------------------------------------------


class Exponential(OutcomeLikelihood):
    """Survival with a constant hazard ``exp(level + eta)``."""

    def __init__(self, level: Tensor) -> None:
        super().__init__()
        self.level = nn.Parameter(level)

    @classmethod
    def from_data(cls, data, spec):
        known = data.known()
        return cls((known.event.sum() / known.time.sum()).log().float())

    def log_prob(self, eta: Tensor, data) -> Tensor:
        log_hazard = self.level + eta
        value = data.event * log_hazard - data.time * log_hazard.exp()
        return torch.where(data.observed, value, 0.0)

    def log_prior(self) -> Tensor:
        return torch.zeros_like(self.level)

    def bind(self, data):
        return BoundExponential(data)


class BoundExponential:
    """The same with the level profiled out."""

    n_outputs, effective_share, has_baseline = 1, 1.0, True

    def __init__(self, data) -> None:
        self.rows = data.observed.nonzero()[:, 0]
        known = data.known()
        self.events, self.time = known.event, known.time
        self.total = self.events.sum()

    def place(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Level (1,) and expected events (n,)."""
        level = self.total.log() - torch.logsumexp(eta[:, 0] + self.time.log(), 0)
        return level[None], self.time * (level + eta[:, 0]).exp()

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        log_hazard = coordinates + eta[:, 0]
        return (self.events * log_hazard - self.time * log_hazard.exp()).sum()

    def loglik(self, eta: Tensor) -> Tensor:
        return self.joint(eta, self.place(eta)[0])

    def curvature(self, eta: Tensor) -> Curvature:
        _, expected = self.place(eta)
        low_rank = (expected / self.total.sqrt())[None, :, None]
        return Curvature(
            self.loglik(eta), (self.events - expected)[:, None], expected[:, None], low_rank
        )

    def log_volume(self, eta: Tensor) -> Tensor:
        return self.total.log()

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        level, expected = self.place(eta)
        factor = self.total.rsqrt()[None, None]
        return ProfiledBaseline(Constant(factor, level), (expected / self.total)[None, None])


@dataclass(frozen=True)
class Constant(LinearBaseline):
    kind: ClassVar[str] = "constant"
    log_hazard: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.log_hazard

    def exposure(self, times: Tensor, stratum: int = 0) -> Tensor:
        return times.double()[:, None] * self.log_hazard.exp()

    def knots(self, stratum: int = 0) -> Tensor:
        return self.log_hazard.new_zeros(0)


# --- used all the way -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The line of the registry, which is taken back after each test."""
    kind = SurvivalKind(f"{__name__}:Exponential", cause=True)
    monkeypatch.setitem(KINDS_OF_SURVIVAL, "exponential", kind)


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_a_kind_of_survival(small_fit, fitted_mdata, tmp_path, rho):
    spec = mv.Survival("survival_months", "event", kind="exponential")
    start = {} if rho == 0 else {"rho": rho, "max_epochs": 2}
    model = small_fit(fitted_mdata, labels=None, survival=spec, **start)
    curves = model.predict_survival([0.0, 10.0, 20.0], n_samples=50)
    assert (curves.iloc[0] == 1).all() and (curves.diff().iloc[1:] < 0).all(None)
    assert model.predict_median(n_samples=20).notna().all()
    assert model.hazard_ratios(n_samples=50)["hr"].gt(0).all()
    assert "survival_months, event (exponential)" in model.summary()
    assert list(outcome_columns(model.trained, model.latents())) == ["mvlatent_risk"]
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", fitted_mdata)
    pd.testing.assert_frame_equal(again.predict_survival([10.0], n_samples=5),
                                  model.predict_survival([10.0], n_samples=5))  # fmt: skip


def test_the_hazard_of_the_toy_is_events_over_time(small_fit, fitted_mdata):
    spec = mv.Survival("survival_months", "event", kind="exponential")
    head = small_fit(fitted_mdata, labels=None, survival=spec).trained.survival.shared_only
    flat = {name: torch.zeros(1, len(c)) for name, c in head.coef.items()}
    data = fitted_mdata.obs[["survival_months", "event"]].astype(float).dropna()
    rate = data["event"].sum() / data["survival_months"].sum()
    found = -head.survival(torch.tensor([1.0]), flat).log().item()
    assert found == pytest.approx(rate, rel=0.5)  # the mode of an average patient


def test_a_kind_of_survival_as_the_hazard_of_causes(small_fit, fitted_mdata):
    mdata = fitted_mdata.copy()
    cause = mdata.obs["event"].astype(float) * (1 + np.arange(mdata.n_obs) % 2)
    mdata.obs["cause"] = cause
    spec = mv.Survival("survival_months", "cause", kind="competing", hazard="exponential")
    model = small_fit(mdata, labels=None, survival=spec)
    parts = [model.predict_cumulative_incidence([15.0], cause=k, n_samples=20) for k in (1, 2)]
    total = sum(parts) + model.predict_survival([15.0], n_samples=20)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_a_baseline_that_nobody_has():
    with pytest.raises(ValueError, match="no likelihood has a baseline 'nothing'"):
        baseline_of("nothing")
