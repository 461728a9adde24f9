"""The loop: reproducible, stoppable, and quiet about everybody else's random numbers."""

import os
import subprocess
import sys
from dataclasses import replace

import pyro
import pytest
import torch

from mvlatent.fitting import loop
from mvlatent.fitting.loop import fit
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.objective import Objective


def run(make_cohort, make_vae, *, validate=False, encoder="exact", rows=60, **plan):
    """Fit a small model; returns it with what the run left and its cohorts."""
    cohort = make_cohort({"a": 8, "b": 6}, n=rows, n_sites=2, absent=0.2)
    vae = make_vae(cohort, encoder=encoder)
    train, held_out = cohort, None
    if validate:
        train = cohort.subset(torch.arange(0, rows - 15))
        held_out = cohort.subset(torch.arange(rows - 15, rows))
    options = {"max_epochs": 4, "accelerator": "cpu", **plan}
    fitted = fit(Objective(vae), train, Plan(**options), validation=held_out, progress=False)
    return vae, fitted, train, held_out


def weights(vae) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in vae.parameters()])


MINI = {"batch_size": 16, "view_dropout": 0.3}


@pytest.mark.parametrize("plan", [{}, MINI], ids=["whole", "mini"])
def test_a_seed_is_a_result(make_cohort, make_vae, plan):
    first, fitted, *_ = run(make_cohort, make_vae, seed=3, **plan)
    again, refitted, *_ = run(make_cohort, make_vae, seed=3, **plan)
    other, *_ = run(make_cohort, make_vae, seed=4, **plan)
    torch.testing.assert_close(weights(first), weights(again), atol=1e-4, rtol=1e-4)
    assert (weights(first) - weights(other)).abs().max() > 1e-3
    assert fitted.history[-1]["elbo"] == pytest.approx(refitted.history[-1]["elbo"], rel=1e-4)


def test_fitting_improves_the_bound(make_cohort, make_vae):
    _, fitted, *_ = run(make_cohort, make_vae, max_epochs=30, lr=2e-2)
    elbo = [row["elbo"] for row in fitted.history]
    assert sum(elbo[-5:]) / 5 > sum(elbo[:5]) / 5 + 1
    assert len(elbo) == 30 and fitted.stopped == "max_epochs" and fitted.best_epoch == 29


def test_history_has_a_column_a_term(make_cohort, make_vae):
    _, fitted, *_ = run(make_cohort, make_vae, batch_size=20, validate=True)
    terms = {"kl:z", *(f"{t}:{v}" for t in ("x", "kl:w", "kl:effect") for v in "ab")}
    for row in fitted.history:
        assert terms | {"epoch", "kl_weight", "elbo", "validation_elbo"} == set(row)
        assert row["elbo"] == pytest.approx(sum(row[t] for t in terms), rel=1e-6)
        assert all(isinstance(value, (int, float)) for value in row.values())


@pytest.mark.parametrize("batch_size", [None, 16, 7])
def test_every_patient_is_in_one_batch_an_epoch(make_cohort, make_vae, monkeypatch, batch_size):
    seen = []
    forward = Objective.forward

    def spy(self, cohort, *args, **kwargs):
        if self.training:  # not to judge by
            seen.append(cohort.obs_names)
        return forward(self, cohort, *args, **kwargs)

    monkeypatch.setattr(Objective, "forward", spy)
    _, _, train, _ = run(make_cohort, make_vae, batch_size=batch_size, max_epochs=1, rows=57)
    assert sorted(name for batch in seen for name in batch) == sorted(train.obs_names)
    assert min(map(len, seen)) > 1
    assert len(seen) == {None: 1, 16: 4, 7: 8}[batch_size]


def test_views_are_hidden_but_never_the_last(make_cohort, make_vae, monkeypatch):
    seen = []
    forward = Objective.forward

    def spy(self, cohort, *args, **kwargs):
        if self.training:
            seen.append(cohort.presence)
        return forward(self, cohort, *args, **kwargs)

    monkeypatch.setattr(Objective, "forward", spy)
    _, _, train, _ = run(make_cohort, make_vae, view_dropout=0.6, max_epochs=20)
    shown = torch.stack(seen)
    assert bool(shown.any(-1).all())
    assert not bool((shown & ~train.presence).any())
    both = train.presence.all(1)
    # shown: not drawn to be hidden, or the last one of both
    share = 0.4 + 0.6**2 / 2
    assert float(shown[:, both].float().mean()) == pytest.approx(share, abs=0.06)


def test_the_best_weights_are_restored(make_cohort, make_vae, monkeypatch):
    """Validation losses are dictated; the weights kept are those of the best epoch."""
    kept = []
    losses = iter([6.0, 5.0, 3.0, 1.0, 2.0, 4.0, 4.5, 9.0])  # the start's first

    def dictated(self, validation):
        kept.append(weights(self.objective.vae).clone())
        return {"validation_elbo": -next(losses)}

    monkeypatch.setattr(loop._Run, "validate", dictated)
    vae, fitted, *_ = run(make_cohort, make_vae, validate=True, max_epochs=7, patience=3)
    assert (fitted.best_epoch, fitted.stopped, len(fitted.history)) == (2, "early_stopping", 6)
    assert torch.equal(weights(vae), kept[3])
    assert not torch.equal(weights(vae), kept[-1])


def test_without_early_stopping_the_best_are_restored_too(make_cohort, make_vae, monkeypatch):
    losses = iter([4.0, 1.0, 3.0, 2.0])  # the start's first
    validate = lambda self, validation: {"validation_elbo": -next(losses)}  # noqa: E731
    monkeypatch.setattr(loop._Run, "validate", validate)
    _, fitted, *_ = run(
        make_cohort, make_vae, validate=True, max_epochs=3, patience=1, early_stopping=False
    )
    assert (fitted.best_epoch, fitted.stopped, len(fitted.history)) == (0, "max_epochs", 3)


def test_validation_is_on_the_same_noise_every_time(make_cohort, make_vae, monkeypatch):
    twice = []
    validate = loop._Run.validate

    def spy(self, validation):
        twice.append((validate(self, validation), validate(self, validation)))
        return twice[-1][0]

    monkeypatch.setattr(loop._Run, "validate", spy)
    run(make_cohort, make_vae, validate=True, max_epochs=2)
    assert all(one == other for one, other in twice)
    assert twice[0][0] != twice[1][0]


def test_a_nan_names_its_term_and_view(make_cohort, make_vae):
    cohort = make_cohort({"a": 8, "b": 6}, n=30)
    vae = make_vae(cohort)
    likelihood = vae.part("b").likelihood
    log_prob = likelihood.log_prob
    likelihood.log_prob = lambda *entries: log_prob(*entries) * float("nan")
    with pytest.raises(FloatingPointError, match="'x:b' of view 'b'"):
        fit(Objective(vae), cohort, Plan(max_epochs=2, accelerator="cpu"), progress=False)


def test_an_interrupt_leaves_a_usable_model(make_cohort, make_vae, monkeypatch):
    epoch = loop._Run.epoch

    def interrupted(self, train, number, generator):
        if number == 2:
            raise KeyboardInterrupt
        return epoch(self, train, number, generator)

    monkeypatch.setattr(loop._Run, "epoch", interrupted)
    vae, fitted, train, _ = run(make_cohort, make_vae, validate=True, max_epochs=9)
    assert (fitted.stopped, len(fitted.history)) == ("interrupted", 2)
    assert bool(vae.posterior(train)[0].mean.isfinite().all())


def test_an_interrupt_keeps_the_best_weights(make_cohort, make_vae, monkeypatch):
    kept, losses = [], iter([1.0, 2.0])

    def dictated(self, validation):
        kept.append(weights(self.objective.vae).clone())
        loss = next(losses, None)
        if loss is None:
            raise KeyboardInterrupt
        return {"validation_elbo": -loss}

    monkeypatch.setattr(loop._Run, "validate", dictated)
    vae, *_ = run(make_cohort, make_vae, validate=True, max_epochs=9)
    assert len(kept) == 3 and torch.equal(weights(vae), kept[0])


@pytest.mark.parametrize("encoder", ["exact", "mlp"])
def test_nobody_elses_random_numbers_are_touched(make_cohort, make_vae, encoder):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    run(make_cohort, make_vae, validate=True, encoder=encoder, batch_size=16, view_dropout=0.2)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_models_do_not_meet(make_cohort, make_vae):
    alone, *_ = run(make_cohort, make_vae, seed=1)
    one, *_ = run(make_cohort, make_vae, seed=1)
    kept = weights(one).clone()
    other, *_ = run(make_cohort, make_vae, seed=2, lr=0.05)
    assert torch.equal(weights(one), kept)
    torch.testing.assert_close(weights(one), weights(alone), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(weights(one), weights(other))
    assert list(pyro.get_param_store().keys()) == []


def test_argument_validation_is_off_in_the_loop_only(make_cohort, make_vae):
    assert torch.distributions.Distribution._validate_args
    run(make_cohort, make_vae, max_epochs=1)
    assert torch.distributions.Distribution._validate_args


def test_held_out_patients_do_not_change_what_is_learnt(make_cohort, make_vae):
    cohort = make_cohort({"a": 8}, n=40)
    train, held_out = cohort.subset(torch.arange(30)), cohort.subset(torch.arange(30, 40))
    strange = replace(held_out.views["a"], x=held_out.views["a"].x + 30)
    found = []
    for validation in (held_out, replace(held_out, views={"a": strange})):
        vae = make_vae(cohort)
        plan = Plan(max_epochs=1, accelerator="cpu")
        fit(Objective(vae), train, plan, validation=validation, progress=False)
        found.append(weights(vae))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


SCRIPT = """
import torch
from mvlatent.fitting.loop import fit, _Run
from mvlatent.fitting.plan import Plan
from mvlatent.objectives import TERMS
from mvlatent.objectives.objective import Objective
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign
from mvlatent.data.cohort import Cohort, CohortView

torch.manual_seed(0)
n = 60
x = torch.randn(n, 2) @ torch.randn(2, 8) + torch.randn(n, 8)
present = torch.ones(n, dtype=torch.bool)
view = CohortView(x, present, None, "normal", "feature", tuple("abcdefgh"))
none = torch.zeros(n, 0)
views = {"a": view}
designs = [ViewDesign("a", "normal", "feature", 8, 0, 2)]
terms, options, first = (), {}, 0.0
if BESIDE:
    some = torch.arange(n) % 4 > 0
    views["b"] = CohortView((x > 0).float(), some, None, "bernoulli", "feature", view.features)
    designs.append(ViewDesign("b", "bernoulli", "feature", 8, 0, 2))
    terms = tuple(kind(weight=0.2) for kind in TERMS.values())
    options, first = {"encoder": "mlp"}, 0.3
cohort = Cohort(tuple(map(str, range(n))), views, none, (), none, ())
vae = StructuredVAE(Design(tuple(designs), n_shared=2, **options))
objective = Objective(vae, terms=terms)
seen = []
forward = Objective.forward
def spy(self, batch, *args, **kwargs):
    seen.extend(map(int, batch.obs_names))
    return forward(self, batch, *args, **kwargs)
Objective.forward = spy
plan = Plan(
    max_epochs=EPOCHS, batch_size=20, strategy="ddp", devices=2, accelerator="cpu", lr=0.02,
    shared_first=first,
)
fitted = fit(objective, cohort, plan, progress=False)
import torch.distributed as dist
both, parameters = [None, None], [None, None]
dist.all_gather_object(both, seen)
flat = torch.cat([p.detach().flatten() for p in vae.parameters()])
dist.all_gather_object(parameters, flat)
if dist.get_rank() == 0:
    assert torch.equal(*parameters), "the processes hold different weights"
    assert sorted(both[0][:30] + both[1][:30]) == list(range(n)), "an epoch is a partition"
    assert fitted.history[-1]["elbo"] > fitted.history[0]["elbo"] + 0.5
    print("fitted on", dist.get_world_size())
"""


@pytest.mark.slow
@pytest.mark.parametrize("beside", [False, True], ids=["elbo", "every term"])
def test_two_processes(tmp_path, beside):
    script = tmp_path / "ddp.py"
    script.write_text(SCRIPT.replace("EPOCHS", "15").replace("BESIDE", str(beside)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "fitted on 2" in done.stdout
