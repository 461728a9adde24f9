"""What it takes to add a kind of survival, or a role: toys are registered and used like others."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import mvlatent as mv
from mvlatent.data.columns import as_numbers
from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes import Likelihood, OutcomeRole
from mvlatent.outcomes.target import BaselineShape, Curvature, LinearBaseline, ProfiledBaseline
from mvlatent.reading.annotate import outcome_columns
from mvlatent.specs.outcomes import KINDS_OF_SURVIVAL, ROLES, OneColumn, Role, SurvivalKind

# --- a constant hazard: all that a new kind of survival needs -------------------------------------


class Rate(Likelihood):
    """Events at a rate ``exp(level + eta)`` per unit of exposure."""

    def __init__(self, level: Tensor) -> None:
        super().__init__()
        self.level = nn.Parameter(level)

    @staticmethod
    def counted(data) -> tuple[Tensor, Tensor]:
        """Events and exposure of each patient."""
        raise NotImplementedError

    @classmethod
    def from_data(cls, data, spec):
        events, exposure = cls.counted(data)
        return cls((events[data.observed].sum() / exposure[data.observed].sum()).log())

    def log_prob(self, eta: Tensor, data) -> Tensor:
        events, exposure = self.counted(data)
        log_rate = self.level + eta
        value = events * log_rate - exposure * log_rate.exp()
        return torch.where(data.observed, value, 0.0)

    def log_prior(self) -> Tensor:
        return torch.zeros_like(self.level)

    def target(self, data):
        return RateTarget(data.observed, *self.counted(data), self.baseline)


class RateTarget:
    """The same with the level profiled out."""

    n_outputs, effective_share, has_baseline = 1, 1.0, True

    def __init__(self, observed, events, exposure, baseline) -> None:
        self.rows, self.baseline = observed.nonzero()[:, 0], baseline
        self.events, self.exposure = events[self.rows].double(), exposure[self.rows].double()
        self.total = self.events.sum()

    def place(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Level (1,) and expected events (n,)."""
        level = self.total.log() - torch.logsumexp(eta[:, 0] + self.exposure.log(), 0)
        return level[None], self.exposure * (level + eta[:, 0]).exp()

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        log_rate = coordinates + eta[:, 0]
        return (self.events * log_rate - self.exposure * log_rate.exp()).sum()

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
        return ProfiledBaseline(self.baseline(factor, level), (expected / self.total)[None, None])


class Exponential(Rate):
    """Survival with a constant hazard."""

    @staticmethod
    def counted(data: SurvivalData) -> tuple[Tensor, Tensor]:
        return data.event, data.time

    @property
    def baseline(self):
        return Constant


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


# --- counts: all that a new role needs, a specification and the class of its way ------------------


@dataclass(frozen=True)
class Counts(OneColumn):
    """How often something happened to each patient."""

    column: str
    _: KW_ONLY
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "counts"
    phrase: ClassVar[str] = "counts"

    def __post_init__(self) -> None:
        self._name_and_weigh(self.column)


@dataclass(frozen=True)
class CountData:
    count: Tensor
    observed: Tensor

    def subset(self, rows):
        return CountData(self.count[rows], self.observed[rows])

    def to(self, device):
        return CountData(self.count.to(device), self.observed.to(device))


@dataclass(frozen=True)
class CountCoder:
    most: int

    @classmethod
    def check(cls, spec, obs, *, others, shared) -> None:
        cls.fit(spec, obs, spec.role, shared=shared)

    @classmethod
    def fit(cls, spec, obs, what, *, shared):
        values = as_numbers(obs[spec.column], what)
        if np.nanmin(values) < 0:
            raise ValueError(f"{what} {spec.column!r} hold negative values.")
        return cls(int(np.nanmax(values))), [f"{what}: at most {np.nanmax(values):g}"]

    def data(self, spec, tables):
        if spec.column not in tables.obs:
            return None
        values = torch.from_numpy(as_numbers(tables.obs[spec.column], spec.role)).float()
        return CountData(values.nan_to_num(), values.isfinite())

    def to_dict(self):
        return {"most": self.most}, {}

    @classmethod
    def from_dict(cls, state, arrays):
        return cls(state["most"])


class Poisson(Rate):
    """Counts of patients who were all seen as long."""

    @staticmethod
    def counted(data: CountData) -> tuple[Tensor, Tensor]:
        return data.count, torch.ones_like(data.count)

    @property
    def baseline(self):
        return LogRate


@dataclass(frozen=True)
class LogRate(BaselineShape):
    kind: ClassVar[str] = "log rate"
    place: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.place

    def level(self, draw: Tensor | None = None) -> Tensor:
        return self.place if draw is None else self.place + draw


class CountRole(OutcomeRole[Counts, CountData]):
    likelihoods = {"poisson": Poisson}  # noqa: RUF012
    score_name = "log-likelihood"

    def score(self, data: CountData, eta: Tensor) -> float:
        return float((data.count * eta[:, 0] - eta[:, 0].exp())[data.observed].sum())

    def expected(self, read) -> np.ndarray:
        """Expected counts, (n,)."""
        drawn = read.draws()
        means = [h.sample(x, read.n_samples, g)[..., 0].exp().mean(0) for _, h, x, g in drawn]
        return torch.cat(means).numpy()

    def columns(self, read):
        return {f"mvlatent_count{read.end}": self.expected(read)}

    def table(self, read):
        known = torch.where(read.data.observed, read.data.count, torch.nan).numpy()
        return {f"count{read.end}": known, f"predicted_count{read.end}": self.expected(read)}

    def remarks(self, heads, technical):
        if heads.inner_scores:
            yield f"  {self.score_name} in inner folds: {heads.inner_scores['full']:.2f}"

    def estimates(self, found):
        table = found.table
        error = (table["count"] - table["predicted_count"]).abs().mean()
        return [f"mean error of {self.spec.name}: {error:.2f}"]


# --- driven all the way ---------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """One line of a registry each; both are taken back after the test."""
    kind = SurvivalKind(f"{__name__}:Exponential", cause=True)
    monkeypatch.setitem(KINDS_OF_SURVIVAL, "exponential", kind)
    parts = (f"{__name__}:{name}" for name in ("Counts", "CountCoder", "CountRole"))
    monkeypatch.setitem(ROLES, "counts", Role(*parts))


@pytest.fixture(scope="module")
def patients(small_cohort):
    mdata = small_cohort(n=120)
    rng = np.random.default_rng(0)
    score = np.asarray(mdata["rna"].X).astype(float)
    score = pd.DataFrame(score, mdata["rna"].obs_names).reindex(mdata.obs_names).fillna(0.0)
    leading = np.linalg.svd(score - score.mean(), full_matrices=False)[0][:, 0]
    mdata.obs["visits"] = rng.poisson(np.exp(1.0 + 8.0 * leading)).astype(float)
    mdata.obs.loc[mdata.obs_names[:5], "visits"] = np.nan
    return mdata


ALONE = {"survival": None, "labels": None}


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_a_kind_of_survival(small_fit, patients, tmp_path, rho):
    spec = mv.Survival("survival_months", "event", kind="exponential")
    start = {} if rho == 0 else {"rho": rho, "max_epochs": 2}
    model = small_fit(patients, labels=None, survival=spec, **start)
    curves = model.predict_survival([0.0, 10.0, 20.0], n_samples=50)
    assert (curves.iloc[0] == 1).all() and (curves.diff().iloc[1:] < 0).all(None)
    assert model.predict_median(n_samples=20).notna().all()
    assert model.hazard_ratios(n_samples=50)["hr"].gt(0).all()
    assert "survival_months, event (exponential)" in model.summary()
    assert list(outcome_columns(model.trained, model.latents())) == ["mvlatent_risk"]
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", patients)
    pd.testing.assert_frame_equal(again.predict_survival([10.0], n_samples=5),
                                  model.predict_survival([10.0], n_samples=5))  # fmt: skip


def test_the_hazard_of_the_toy_is_events_over_time(small_fit, patients):
    spec = mv.Survival("survival_months", "event", kind="exponential")
    head = small_fit(patients, labels=None, survival=spec).trained.survival.shared_only
    flat = {name: torch.zeros(1, len(c)) for name, c in head.coef.items()}
    data = patients.obs[["survival_months", "event"]].astype(float).dropna()
    rate = data["event"].sum() / data["survival_months"].sum()
    found = -head.survival(torch.tensor([1.0]), flat).log().item()
    assert found == pytest.approx(rate, rel=0.5)  # the mode of an average patient


def test_a_kind_of_survival_as_the_hazard_of_causes(small_fit, patients):
    mdata = patients.copy()
    cause = mdata.obs["event"].astype(float) * (1 + np.arange(mdata.n_obs) % 2)
    mdata.obs["cause"] = cause
    spec = mv.Survival("survival_months", "cause", kind="competing", hazard="exponential")
    model = small_fit(mdata, labels=None, survival=spec)
    parts = [model.predict_cumulative_incidence([15.0], cause=k, n_samples=20) for k in (1, 2)]
    total = sum(parts) + model.predict_survival([15.0], n_samples=20)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_a_role(small_fit, patients, tmp_path):
    options = {"head_blocks": ("auto",), "outcomes": [Counts("visits")]}
    model = small_fit(patients, **ALONE, **options)
    found = outcome_columns(model.trained, model.latents())
    assert list(found) == ["mvlatent_count"]
    known = patients.obs["visits"].notna()
    assert np.corrcoef(found["mvlatent_count"][known], patients.obs["visits"][known])[0, 1] > 0.5
    for line in ("counts:    visits", "counts: at most", "counts head", "log-likelihood in inner"):
        assert line in model.summary()
    model.refit_head(outcome="visits")
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", patients)
    kept = outcome_columns(again.trained, again.latents())
    pd.testing.assert_frame_equal(kept, outcome_columns(model.trained, model.latents()))
    with pytest.raises(ValueError, match="fitted without labels"):
        model.predict_labels()
    with pytest.raises(ValueError, match="'visits' is counts"):
        mv.tl.conformalize(model, patients, outcome="visits")
    unseen = patients.copy()
    del unseen.obs["visits"]
    assert outcome_columns(again.trained, again.latents(unseen)).notna().all(None)


def test_a_role_out_of_fold_and_while_training(patients):
    quick = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "rho": 0.3, "accelerator": "cpu"}
    quick |= {"head_blocks": ("shared",)}
    spec = Counts("visits")
    found = mv.study.out_of_fold(patients, folds=2, outcomes=[spec], **quick)
    assert {"count", "predicted_count"} <= set(found.table)
    from mvlatent.outcomes import role_of

    assert "mean error of visits" in role_of(spec).estimates(found)[0]


def test_what_is_wrong_with_a_toy_is_said_at_once(patients):
    mdata = patients.copy()
    mdata.obs["visits"] -= 100
    with pytest.raises(ValueError, match="negative"):
        mv.MVLatent.setup_mudata(mdata, outcomes=[Counts("visits")])
    with pytest.raises(ValueError, match="two roles"):
        mv.MVLatent.setup_mudata(mdata, outcomes=[Counts("visits")], clinical_keys=["visits"])
