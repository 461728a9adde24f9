"""A new objective is one class and one line of the registry: nothing else knows its name."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from torch import Tensor

import mvlatent as mv
from mvlatent.objectives import TERMS
from mvlatent.objectives.base import Scene, Term
from mvlatent.objectives.terms import teachers


@dataclass(frozen=True, kw_only=True)
class Toy(Term):
    """Minus the squared distance of z from a point on the diagonal, mean over patients."""

    name: ClassVar[str] = "toy"
    needs_views: ClassVar[int] = 1
    teaches_z: ClassVar[bool] = True

    at: float = 0.0

    def check(self) -> None:
        if not abs(self.at) < 10:
            raise ValueError(f"{self.name}: at must be between -10 and 10, not {self.at!r}.")

    def value(self, scene: Scene, state: Any) -> Tensor:
        return -(scene.together.mean - self.at).square().sum(1).mean()


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(TERMS, Toy.name, Toy)


@pytest.mark.usefixtures("registered")
def test_a_new_term_goes_all_the_way(small_fit, fitted_mdata, tmp_path):
    model = small_fit(fitted_mdata, objectives={"toy": 0.1}, max_epochs=3)
    assert model.options.objectives == (Toy(weight=0.1),)
    assert (model.history["toy"] < 0).all() and model.history["weight:toy"].iloc[-1] == 0.1
    assert "beside the ELBO: toy 0.1" in model.summary()
    model.save(tmp_path / "model")
    loaded = mv.MVLatent.load(tmp_path / "model", fitted_mdata)
    assert loaded.options == model.options
    np.testing.assert_allclose(loaded.transform(), model.transform(), atol=1e-6)
    kept = json.loads((tmp_path / "model" / "spec.json").read_text())["options"]["objectives"]
    assert kept == [{"name": "toy", "weight": 0.1, "schedule": [0.0, 0.5], "at": 0.0}]


@pytest.mark.usefixtures("registered")
def test_a_new_term_is_heard(small_fit, fitted_mdata):
    """A heavy weight moves z where the term wants it."""
    options = {"rank": "full", "max_epochs": 6}
    near, far = (
        small_fit(
            fitted_mdata, objectives=[Toy(at=at, weight=100.0, schedule="constant")], **options
        )
        for at in (0.0, 3.0)
    )
    assert far.history["toy"].iloc[-1] > far.history["toy"].iloc[0]
    assert np.square(near.transform()).mean() < np.square(far.transform()).mean()


@pytest.mark.usefixtures("registered")
def test_what_a_term_says_of_itself_is_what_options_ask(small_fit, fitted_mdata):
    """A term that teaches z by itself does for the switches that cross view is known for."""
    switches = {"stop_gradient": True, "shared_first": 0.5}
    model = small_fit(fitted_mdata, objectives={"toy": 1.0}, max_epochs=2, **switches)
    assert (model.history["weight:toy"] == 1.0).all()  # at full from the first epoch
    assert teachers()[0] == "the cross-view or toy term"
    one_view = small_fit(fitted_mdata, objectives={"toy": 1.0}, views=["rna"], max_epochs=1)
    assert "toy" in one_view.history
    with pytest.raises(ValueError, match="no option 'to'; the options are weight, schedule, at"):
        small_fit(fitted_mdata, objectives={"toy": {"to": 1.0}})
    with pytest.raises(ValueError, match="toy: at must be between"):
        small_fit(fitted_mdata, objectives={"toy": {"at": 11.0}})


def test_the_registry_is_left_as_it_was():
    assert Toy.name not in TERMS
    with pytest.raises(KeyError, match="no objective 'toy'; the objectives are cross_view"):
        mv.fit(mv.sim.cohort("easy", n=30)[0], objectives={"toy": 0.1}, progress=False)
