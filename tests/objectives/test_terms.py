"""Every term: finite, differentiable where it should be, off when it is off, a column when on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvlatent.fitting.loop import fit
from mvlatent.fitting.plan import Plan
from mvlatent.objectives import TERMS, Alignment, CrossView, Separation
from mvlatent.objectives.alignment import ALIGNMENTS
from mvlatent.objectives.base import Scene
from mvlatent.objectives.objective import Objective
from mvlatent.objectives.schedule import strength
from mvlatent.objectives.separation import SEPARATIONS
from mvlatent.objectives.terms import as_terms, term

MEMBERS = [
    *(kind() for kind in TERMS.values()),
    *(Alignment(kind=kind) for kind in ALIGNMENTS if kind != "infonce"),
    *(Separation(kind=kind) for kind in SEPARATIONS if kind != "hsic"),
]
IDS = ["-".join([m.name, getattr(m, "kind", "")]).strip("-") for m in MEMBERS]
every = pytest.mark.parametrize("member", MEMBERS, ids=IDS)

# (cohort, model): whole; gaps of views and entries; networks and other likelihoods
SETTINGS = {
    "exact": ({}, {}),
    "gaps": ({"absent": 0.4, "holes": ("a",)}, {}),
    "networks": (
        {"absent": 0.3, "likelihoods": {"b": "bernoulli", "c": "studentt"}},
        {"decoder": "mlp"},
    ),
    "power": ({"n_sites": 2}, {"powers": {"a": 0.3}, "encoder": "linear"}),
}


def made(make_cohort, make_vae, setting="gaps", **more):
    of_cohort, of_vae = SETTINGS[setting]
    cohort = make_cohort(**{"n_sites": 2, "n": 30, **of_cohort, **more})
    return cohort, make_vae(cohort, **of_vae)


def scene_of(vae, cohort, seed=0):
    torch.manual_seed(seed)
    q, evidence = vae.posterior(cohort)
    z = q.rsample()
    draw = {"z": z}
    for name, part in vae.items:
        draw[f"w:{name}"] = evidence[name].private(z).rsample()
        if part.effects is not None:
            draw[f"effect:{name}"] = part.effects.posterior(part.weight()).rsample()
    return Scene(vae, cohort, evidence, draw)


def value_of(member, vae, cohort, seed=0):
    scene = scene_of(vae, cohort, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        return member.value(scene, member.state(vae))


@every
@pytest.mark.parametrize("setting", SETTINGS)
def test_value_and_gradients_are_finite(make_cohort, make_vae, member, setting):
    cohort, vae = made(make_cohort, make_vae, setting)
    value = value_of(member, vae, cohort)
    assert value.dim() == 0 and bool(value.isfinite() & (value != 0))
    value.backward()
    grads = {k: p.grad for k, p in vae.named_parameters() if p.grad is not None}
    assert all(bool(g.isfinite().all()) for g in grads.values())
    reached = {name for name, grad in grads.items() if bool((grad != 0).any())}
    assert any(name.startswith("parts.0.") for name in reached)


REACHES_SHARED = {"cross_view": True, "agreement": True, "alignment": True, "separation": False}


@every
def test_gradients_reach_the_encoders_they_should(make_cohort, make_vae, member):
    """Networks have parameters for z and for w of their own: separation leaves z alone."""
    cohort, vae = made(make_cohort, make_vae, "networks")
    value_of(member, vae, cohort).backward()

    def reached(kind):
        expert = vae.part("a").expert
        grads = [p.grad for k, p in expert.named_parameters() if kind in k]
        return any(g is not None and bool((g != 0).any()) for g in grads)

    assert reached("shared") == REACHES_SHARED[member.name]
    assert reached("private") != REACHES_SHARED[member.name]


@every
def test_off_is_the_plain_elbo(make_cohort, make_vae, member):
    cohort, vae = made(make_cohort, make_vae)
    found = []
    for terms in ((), (replace(member, weight=0.0),), (replace(member, weight=2.0),)):
        objective = Objective(vae, terms=terms)
        torch.manual_seed(3)
        loss, columns = objective(cohort, len(cohort))
        vae.zero_grad()
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in vae.parameters() if p.grad is not None])
        found.append((loss.detach(), columns, gradient))
    (plain, columns, gradient), off, (loss, on_columns, on_gradient) = found
    assert torch.equal(plain, off[0]) and columns == off[1] and torch.equal(gradient, off[2])
    assert not torch.allclose(gradient, on_gradient)
    assert {k: v for k, v in on_columns.items() if k != member.name} == columns
    torch.testing.assert_close(loss, plain - 2.0 * on_columns[member.name])


@every
@pytest.mark.parametrize("batch_size", [None, 7])
def test_a_column_of_history_beside_the_pure_elbo(make_cohort, make_vae, member, batch_size):
    cohort, vae = made(make_cohort, make_vae, n=36)
    train, held_out = cohort.subset(range(24)), cohort.subset(range(24, 36))
    objective = Objective(vae, terms=(replace(member, weight=0.5),))
    plan = Plan(max_epochs=4, accelerator="cpu", batch_size=batch_size)
    fitted = fit(objective, train, plan, validation=held_out, progress=False)
    name = member.name
    for row in fitted.history:
        terms = [v for k, v in row.items() if k.startswith(("x:", "kl:"))]
        assert row["elbo"] == pytest.approx(sum(terms), rel=1e-6)
        assert np.isfinite(row[name]) and np.isfinite(row[f"validation_{name}"])
        whole = row["validation_elbo"] + 0.5 * row[f"validation_{name}"]
        assert row["validation_objective"] == pytest.approx(whole)
    weights = [row[f"weight:{name}"] for row in fitted.history]
    assert weights == pytest.approx([0.0, 0.25, 0.5, 0.5])


@every
def test_patients_with_one_view_add_nothing(double, make_cohort, make_vae, member, monkeypatch):
    cohort, vae = made(make_cohort, make_vae, "exact", n_sites=0)
    lonely = cohort.mask_views("a")
    if member.name == "separation":
        assert bool(value_of(member, vae, lonely) != 0)  # a view is enough for z against w
        return
    assert bool(value_of(member, vae, lonely) == 0)
    # and beside others: neither their number nor their values count
    views = {}
    for name, view in cohort.views.items():
        present = view.present if name == "a" else view.present & (torch.arange(30) < 20)
        views[name] = replace(view, present=present)
    mixed = replace(cohort, views=views)
    if member.name == "cross_view":
        monkeypatch.setattr("mvlatent.objectives.cross_view.draw_subsets", _first_of_several)
    monkeypatch.setattr("mvlatent.vae.gaussian.PrecisionNormal.rsample", lambda q: q.mean)
    share = 1.0 if member.name == "alignment" else 20 / 30
    few = value_of(member, vae, cohort.subset(range(20)))
    torch.testing.assert_close(value_of(member, vae, mixed), share * few)


def _first_of_several(presence):
    subset = torch.zeros_like(presence)
    subset[:, 0] = presence.sum(1) > 1
    return subset


@every
def test_values_of_absent_views_do_not_count(double, make_cohort, make_vae, member):
    cohort, vae = made(make_cohort, make_vae)
    views = {
        name: replace(view, x=torch.where(view.present[:, None], view.x, 1e4))
        for name, view in cohort.views.items()
    }
    clean, dirty = (
        value_of(member, vae, cohort),
        value_of(member, vae, replace(cohort, views=views)),
    )
    torch.testing.assert_close(clean, dirty)


@every
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_batches_of_any_size(make_cohort, make_vae, member, n):
    cohort, vae = made(make_cohort, make_vae, n=n)
    value = value_of(member, vae, cohort)
    value.backward()
    grads = [p.grad for p in vae.parameters() if p.grad is not None]
    assert bool(value.isfinite()) and all(bool(g.isfinite().all()) for g in grads)


@every
def test_json_round_trip(member):
    state = json.loads(json.dumps(replace(member, weight=0.3).to_dict()))
    assert as_terms([state]) == (replace(member, weight=0.3),)


def test_every_way_to_ask():
    asked = as_terms({"cross_view": 1, "alignment": {"kind": "cca", "weight": 0.1}})
    assert asked == (CrossView(weight=1.0), Alignment(kind="cca", weight=0.1))
    assert as_terms(["separation", CrossView()]) == (Separation(), CrossView())
    assert as_terms(None) == as_terms({}) == () and as_terms("cross_view") == (CrossView(),)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"crossview": 1.0}, KeyError, "no objective 'crossview'; .* cross_view, agreement"),
        ({"alignment": {"kid": "cca"}}, ValueError, "alignment: no option 'kid'"),
        ({"alignment": {"kind": "clip"}}, ValueError, "'clip' is not one of 'infonce'"),
        ({"alignment": {"temperature": 0.0}}, ValueError, "temperature must be positive"),
        ({"cross_view": -1.0}, ValueError, "weight must be 0 or more"),
        ({"cross_view": float("nan")}, ValueError, "weight must be 0 or more"),
        ({"cross_view": "1"}, ValueError, "cross_view: give a weight"),
        ({"cross_view": {"n_samples": 0}}, ValueError, "n_samples must be a positive integer"),
        ({"agreement": {"schedule": (0.5, 0.2)}}, ValueError, "agreement: schedule must be"),
        ({"agreement": {"schedule": "late"}}, ValueError, "agreement: schedule must be"),
        ([CrossView(), CrossView()], ValueError, "'cross_view' is given twice"),
        ([3.0], ValueError, "an objective is a name or one of"),
        (3.0, ValueError, "objectives must be a mapping"),
    ],
)
def test_what_cannot_be_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        as_terms(wrong)


def test_a_ramp_is_linear_between_its_ends():
    member = term("agreement", weight=2.0, schedule=(0.2, 0.6))
    at = [member.strength(progress) for progress in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert at == pytest.approx([0, 0, 1, 2, 2])
    assert strength((0.3, 0.3), 0.2) == 0 and strength((0.3, 0.3), 0.3) == 1
