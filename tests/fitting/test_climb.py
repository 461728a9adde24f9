"""The climb rises, says why it ended and what binds, and takes cohorts of every size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mvlatent as mv
from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting import climb as climb_module
from mvlatent.fitting.climb import climb
from mvlatent.fitting.closed import closed_form
from mvlatent.fitting.convergence import closing_words
from mvlatent.fitting.honest import choose
from mvlatent.fitting.install import axes_of


def steps_of(history):
    return np.diff([row["elbo"] for row in history])


@pytest.fixture
def until_settled(monkeypatch):
    """Held-out patients never ask for fewer sweeps."""
    monkeypatch.setattr(
        climb_module, "choose", lambda *a, **k: replace(choose(*a, **k), sweeps=None)
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"absent": 0.3}, {"holes": ("a", "b")}, {"n_sites": 3}, {"n_sites": 3, "absent": 0.3}],
    ids=str,
)
def test_the_criterion_never_falls(make_cohort, until_settled, options):
    climbed = climb(make_cohort(n=60, **options), n_shared=4)
    steps = steps_of(climbed.history)
    assert (steps >= -1e-6).all()  # nats a patient, in floats
    assert climbed.stopped == "converged" and len(steps) > 1
    assert (steps[:-1] >= climb_module.TOLERANCE).all() and steps[-1] < climb_module.TOLERANCE


def test_a_row_is_the_criterion_and_its_parts(make_cohort):
    climbed = climb(make_cohort(n=60, n_sites=2), n_shared=4, max_epochs=3)
    names = ["x:a", "x:b", "x:c", "kl:z", "prior:loadings", "prior:private", "prior:means"]
    for epoch, row in enumerate(climbed.history):
        assert list(row) == ["epoch", "elbo", *names] and row["epoch"] == epoch
        assert row["elbo"] == pytest.approx(sum(row[name] for name in names))
    model = climbed.model
    assert climbed.history[-1]["elbo"] * 60 == pytest.approx(model.criterion(), rel=1e-6)
    torch.testing.assert_close(climbed.latent.mean, model.posterior().mean)


def test_epochs_asked_for_are_the_most(make_cohort):
    cohort = make_cohort(n=60)
    start = climb(cohort, n_shared=3, max_epochs=0)
    assert len(start.history) == 1 and start.stopped == "max_epochs"
    one = climb(cohort, n_shared=3, max_epochs=1)
    assert [row["epoch"] for row in one.history] == [0, 1] and one.stopped == "max_epochs"
    assert one.history[0] == start.history[0]
    assert one.history[1]["elbo"] > one.history[0]["elbo"] + 0.01
    exact = climb(cohort, n_shared=3, sweeps=2)
    assert len(exact.history) == 3 and exact.stopped == "asked"


def test_fewer_sweeps_where_held_out_patients_want_fewer(make_cohort, monkeypatch):
    cohort = make_cohort(n=60)
    fewer = replace(climb(cohort, n_shared=3).choice, sweeps=1)
    monkeypatch.setattr(climb_module, "choose", lambda *a, **k: fewer)
    climbed, _, words = said(cohort, n_shared=3)
    assert len(climbed.history) == 2 and climbed.stopped == "held_out"
    assert words[0].startswith("1 sweep, after which views of held-out patients were predicted")


def test_more_sweeps_lead_to_the_same_end_from_any_start(make_cohort):
    """Starts differ in where they begin, not in where the climb leads."""
    cohort, ends = make_cohort(n=80), {}
    for kind in ("gcca", "svd", "random"):
        climbed = climb(cohort, n_shared=2, rank="full", kind=kind, sweeps=150)
        ends[kind] = climbed.history[-1]["elbo"]
        assert (steps_of(climbed.history) >= -1e-6).all()
    assert ends["svd"] == pytest.approx(ends["gcca"], abs=0.1)
    assert ends["random"] == pytest.approx(ends["gcca"], abs=0.1)


# --- cohorts at the edge ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 12])
@pytest.mark.parametrize("sizes", [{"a": 7}, {"a": 7, "b": 5}, {"a": 1, "b": 9}], ids=str)
def test_few_patients_and_few_columns(make_cohort, n, sizes):
    cohort = make_cohort(sizes, n=n)
    climbed = climb(cohort, n_shared=4)
    assert climbed.choice is None and 1 <= climbed.model.k <= max(1, n - 2)
    assert bool(climbed.latent.mean.isfinite().all())
    assert all(np.isfinite(list(row.values())).all() for row in climbed.history)
    assert (steps_of(climbed.history) >= -1e-5).all()
    plans = axes_of(climbed, cohort, 2, "auto")
    assert all(bool(torch.isfinite(plan.variance).all()) for plan in plans.values())


def test_constant_features_do_no_harm(make_cohort):
    cohort = make_cohort(n=50)
    view = cohort.views["a"]
    x = view.x.clone()
    x[:, 2] = 0.0
    cohort = replace(cohort, views={**cohort.views, "a": replace(view, x=x)})
    climbed = climb(cohort, n_shared=2)
    assert bool(climbed.latent.mean.isfinite().all())
    assert (steps_of(climbed.history) >= -1e-6).all()


def one_view(n=120, p=30, k=3):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, k, generator=generator)
    x = 2 * z @ torch.randn(k, p, generator=generator) + torch.randn(n, p, generator=generator)
    seen = torch.ones(n, dtype=torch.bool)
    view = CohortView(x, seen, None, "normal", "view", tuple(map(str, range(p))))
    none = torch.zeros(n, 0)
    return Cohort(tuple(map(str, range(n))), {"a": view}, none, (), none, ()), x


def test_one_view_has_its_leading_components():
    cohort, x = one_view()
    climbed = climb(cohort, n_shared=3)
    assert climbed.stopped == "start" and len(climbed.history) == 1 and climbed.choice is None
    u = torch.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :3]
    z = climbed.latent.mean
    left = z - u @ (u.T @ z)
    assert float(left.norm() / z.norm()) < 1e-3
    assert closing_words(climbed, {}, n_shared=3, n_private=2) == [
        "one view: leading components, in closed form"
    ]


# --- what is said -------------------------------------------------------------------------------


def said(cohort, *, n_private=2, **options):
    climbed = climb(cohort, **options)
    plans = axes_of(climbed, cohort, n_private, "auto")
    sizes = {"n_shared": options["n_shared"], "n_private": n_private}
    words = closing_words(climbed, plans, **sizes, rank=options.get("rank", "auto"))
    return climbed, plans, words


def test_the_end_is_said(make_cohort, until_settled):
    cohort = make_cohort(n=60)
    climbed, _, words = said(cohort, n_shared=3)
    sweeps = len(climbed.history) - 1
    assert words[0].startswith(f"converged after {sweeps} sweeps (criterion ")
    assert f"{climbed.history[-1]['elbo']:.1f} nats a patient at the end" in words[0]
    assert f"through {climbed.choice.rank} shared factors" in words[1]
    climbed, _, words = said(cohort, n_shared=3, max_epochs=1)
    rise = climbed.history[1]["elbo"] - climbed.history[0]["elbo"]
    expected = f"stopped at max_epochs=1 while still rising by {rise:.3f} nats a patient: raise it"
    assert words[0].startswith(expected)
    _, _, words = said(make_cohort(n=20), n_shared=3)
    assert "too few patients to hold some out: ridges and rank are defaults" in words


def test_what_was_asked_for_is_not_said_to_be_chosen(make_cohort):
    """Sweeps that the caller set are nobody's best, and a start alone was not still rising."""
    cohort = make_cohort(n=60)
    _, _, words = said(cohort, n_shared=3, sweeps=2)
    assert "2" in words[0] and "best" not in words[0]
    _, _, words = said(cohort, n_shared=3, max_epochs=0)
    assert "still rising" not in words[0]


@pytest.fixture
def rich(make_rows):
    """Three shared factors and one strong private one a view."""
    rows, presence, _ = make_rows((40, 30, 20), 150, k=3, dtype=torch.float32, private=4.0)
    views = {
        f"v{m}": CohortView(x, p, None, "normal", "feature", tuple(map(str, range(x.shape[1]))))
        for m, (x, p) in enumerate(zip(rows, presence.T, strict=True))
    }
    none = torch.zeros(150, 0)
    return Cohort(tuple(map(str, range(150))), views, none, (), none, ())


@pytest.mark.parametrize("n_shared", [1, 2])
def test_too_few_shared_factors_are_said(rich, n_shared):
    climbed, _, words = said(rich, n_shared=n_shared, n_private=8)
    assert climbed.choice.rank == n_shared
    assert any(w.startswith(f"n_shared={n_shared} binds") for w in words)


def test_a_bound_that_was_asked_to_be_full_does_not_bind(rich):
    _, _, words = said(rich, n_shared=2, rank="full", n_private=8)
    assert not any("n_shared" in w for w in words)


def test_too_few_private_factors_are_said(make_rows):
    rows, presence, _ = make_rows((40, 30), 150, k=3, dtype=torch.float32, private=4.0)
    generator = torch.Generator().manual_seed(9)
    extra = torch.randn(150, 3, generator=generator) @ torch.randn(3, 40, generator=generator)
    views = {}
    for name, x, p in zip("ab", (rows[0] + 3 * extra, rows[1]), presence.T, strict=True):
        features = tuple(map(str, range(x.shape[1])))
        views[name] = CohortView(x, p, None, "normal", "feature", features)
    none = torch.zeros(150, 0)
    cohort = Cohort(tuple(map(str, range(150))), views, none, (), none, ())
    _, plans, words = said(cohort, n_shared=6, n_private=1)
    assert plans["a"].n_found == 4 and plans["b"].n_found == 1
    assert any(w.startswith("n_private=1 binds") and "(a 4)" in w for w in words)
    assert any("raise n_private (to 4)" in w for w in words)
    _, _, words = said(cohort, n_shared=8, n_private=4)
    assert not any("binds" in w for w in words)


def test_a_summary_says_it():
    mdata, _ = mv.sim.cohort("easy", n=80)
    model = mv.fit(mdata, n_shared=2, n_private=1, progress=False, accelerator="cpu")
    for words in model.trained.fitted.said:
        assert words in model.summary()
    assert "n_shared=2 binds" in model.summary()
    assert closed_form(model.trained.options, model.trained.plan)
