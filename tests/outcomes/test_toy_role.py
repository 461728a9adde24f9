"""An outcome role is two files and one line of a registry: a toy is registered and used."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import mvlatent as mv
from mvlatent.data.obs_columns import as_numbers
from mvlatent.data.outcome_data import TargetData
from mvlatent.outcomes import Continuous, OutcomeRole, role_of
from mvlatent.reading.annotate import outcome_columns
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import OUTCOME_ROLES, OneColumn, OutcomeSpec, RoleParts

# --- counts: what the user says of them -----------------------------------------------------------


@dataclass(frozen=True)
class Counts(OneColumn):
    """How often something happened to each patient."""

    column: str
    _: KW_ONLY
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "counts"
    balanced_part: ClassVar[str] = "column"  # what random folds are balanced by
    phrase: ClassVar[str] = "counts"

    def __post_init__(self) -> None:
        self._name_and_weigh(self.column)


# --- and their whole way --------------------------------------------------------------------------


@dataclass(frozen=True)
class CountCoder:
    most: int
    taken = ""

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
        values = torch.from_numpy(as_numbers(tables.obs[spec.column], spec.role)).float().log1p()
        return TargetData(values.nan_to_num(), values.isfinite())

    def to_dict(self):
        return {"most": self.most}, {}

    @classmethod
    def from_dict(cls, state, arrays):
        return cls(state["most"])


class CountRole(OutcomeRole[Counts, TargetData]):
    likelihoods = {"log": Continuous}  # noqa: RUF012
    score_name = "minus squared error of the log"

    def score(self, data: TargetData, eta: Tensor) -> float:
        centred = data.value - data.value[data.observed].mean()
        return -float((centred - eta[:, 0]).square()[data.observed].sum())

    def expected(self, read) -> np.ndarray:
        """Expected counts, (n,)."""
        drawn = read.draws()
        means = [h.sample(x, read.n_samples, g)[..., 0].expm1().mean(0) for _, h, x, g in drawn]
        return torch.cat(means).numpy()

    def columns(self, read):
        return {f"mvlatent_count{read.end}": self.expected(read)}

    def table(self, read):
        known = torch.where(read.data.observed, read.data.value.expm1(), torch.nan).numpy()
        return {f"count{read.end}": known, f"predicted_count{read.end}": self.expected(read)}

    def remarks(self, heads, technical):
        if heads.inner_scores:
            yield f"  {self.score_name} in inner folds: {heads.inner_scores['full']:.2f}"

    def estimates(self, found):
        table = found.table
        error = (table["count"] - table["predicted_count"]).abs().mean()
        return [f"mean error of {self.spec.name}: {error:.2f}"]


# --- used all the way -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The line of the registry, which is taken back after each test."""
    parts = (f"{__name__}:{name}" for name in ("Counts", "CountCoder", "CountRole"))
    monkeypatch.setitem(OUTCOME_ROLES, "counts", RoleParts(*parts))


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


def test_a_role(small_fit, patients, tmp_path):
    options = {"head_blocks": ("auto",), "outcomes": [Counts("visits")]}
    model = small_fit(patients, **ALONE, **options)
    found = outcome_columns(model.trained, model.latents())
    assert list(found) == ["mvlatent_count"]
    known = patients.obs["visits"].notna()
    assert found["mvlatent_count"][known].corr(patients.obs["visits"][known], "spearman") > 0.3
    for line in ("counts:    visits", "counts: at most", "counts head", "of the log in inner"):
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
    assert "mean error of visits" in role_of(spec).estimates(found)[0]


def test_every_role_is_what_the_registry_says(registered):
    for name, places in OUTCOME_ROLES.items():
        named = (places.spec, places.coder, places.role)
        spec, coder, role = map(implementation_of, named)
        assert spec.role == name and issubclass(spec, OutcomeSpec) and spec.phrase
        assert all(hasattr(coder, part) for part in ("check", "fit", "data", "to_dict"))
        assert issubclass(role, OutcomeRole) and role.likelihoods
        assert not {"columns", "table"} & set(vars(OutcomeRole)) - set(vars(role))


def test_what_is_wrong_with_a_toy_is_said_at_once(patients):
    mdata = patients.copy()
    mdata.obs["visits"] -= 100
    with pytest.raises(ValueError, match="negative"):
        mv.MVLatent.setup_mudata(mdata, outcomes=[Counts("visits")])
    with pytest.raises(ValueError, match="two roles"):
        mv.MVLatent.setup_mudata(mdata, outcomes=[Counts("visits")], clinical_keys=["visits"])
